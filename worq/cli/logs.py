"""What the commands log, to standard error: worq's own loggers, and nobody else's."""

import logging
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

LEVELS = ("debug", "info", "warning", "error", "critical")
_FORMAT = "%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s"


def configure(level: str) -> None:
    """Have the loggers `worq.*` write what has this level or more.

    An application that configures them itself, when it is imported, is not disturbed: its own
    handlers come on top of this one, and the root logger is its own.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger = logging.getLogger("worq")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())


@contextmanager
def unheard(*names: str) -> Generator[None]:
    """Leave out what these loggers say: a command that somebody looks at says it once, at its end."""
    with ExitStack() as restoring:
        for name in names:
            logger = logging.getLogger(name)
            restoring.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        yield
