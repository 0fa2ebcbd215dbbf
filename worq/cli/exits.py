"""How commands end: the exit codes, in one place. The same table stands in docs/cli.md."""

from collections.abc import Generator
from contextlib import contextmanager

import click

from worq.errors import BackendUnavailable, BackendUnsupported

WORKED = 0
FAILED = 1
BAD_INPUT = 2
NO_SERVER = 3
CUT_SHORT = 4
SIGNALLED = 128

# click leaves what follows \b as it is.
TABLE = """\b
Exit codes:
  0    it worked; worq worker: it ended, and all that it had begun was finished
  1    it did not: a task failed, a check found a difference, a worker process
       could not be started, there is no such task, the answer was no
  2    bad input: an argument or an option makes no sense, or the
       application can't be loaded
  3    the server of the queue can't be reached, or is too old
  4    worq worker: it ended, and tasks that ran were ended with it
  130  worq check, demo: interrupted (Ctrl-C); 143: terminated
"""


class NoServer(click.ClickException):
    """The server can't be reached, or is too old."""

    exit_code = NO_SERVER


@contextmanager
def needing_a_server(argument: str) -> Generator[None]:
    """Make one line of it if there is none."""
    try:
        yield
    except (BackendUnavailable, BackendUnsupported) as error:
        raise NoServer(f"{argument}: {error}") from error
