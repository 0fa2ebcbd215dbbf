"""What the commands log, to standard error: worq's own loggers, and nobody else's."""

import logging

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
