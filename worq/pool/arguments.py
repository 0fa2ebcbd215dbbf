"""Checks of what pools are given: each error names the argument and shows the value. [ENV-BAD-5]"""

from worq import checks

WORKERS_MAX = 10_000
TASKS_MAX = 10**9


def count(argument: str, value: object, most: int) -> int:
    """An integer from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}: an integer is needed, not {value!r}")
    if not 1 <= value <= most:
        raise ValueError(f"{argument}: 1 to {most} is needed, not {value!r}")
    return value


def positive_seconds_or_forever(argument: str, value: object) -> float | None:
    """More than 0 seconds; None for None and infinity."""
    value_s = checks.seconds_or_forever(argument, value)
    return None if value_s is None else checks.positive_seconds(argument, value_s)
