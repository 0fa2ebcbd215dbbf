"""The commands of `worq`, and how each of them ends."""

import click

from worq.cli.demo import demo

EPILOG = """\b
Exit codes:
  0    it worked
  1    it did not: a task failed, or a check found a difference
  2    bad input: an argument or an option makes no sense
  3    the server of the queue can't be reached, or is too old
  130  interrupted (Ctrl-C); 143: terminated
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(package_name="worq-spec", prog_name="worq", message="%(prog)s %(version)s")
def worq() -> None:
    """Run worq, a task queue whose behaviour is defined by an executable specification."""


worq.add_command(demo)
