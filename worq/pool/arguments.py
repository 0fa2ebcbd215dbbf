"""Checks of what pools are given: each error names the argument and shows the value. [ENV-BAD-5]"""

WORKERS_MAX = 10_000
TASKS_MAX = 10**9


def count(argument: str, value: object, most: int) -> int:
    """An integer from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}: an integer is needed, not {value!r}")
    if not 1 <= value <= most:
        raise ValueError(f"{argument}: 1 to {most} is needed, not {value!r}")
    return value
