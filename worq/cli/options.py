"""Options that several commands have."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from worq.const import TIMEOUT_S_MAX
from worq.masking import masked

_BETWEEN_URLS = re.compile(r"\s+(?=[\w+.-]+://)")

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.ParamType[float]):
    """A number of seconds; `inf` too unless it must be more than 0."""

    name = "seconds"

    def __init__(self, *, above_zero: bool = False) -> None:
        self._above_zero = above_zero

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        if self._above_zero:
            if not 0 < seconds <= TIMEOUT_S_MAX:
                self.fail(f"{value!r}: more than 0 seconds are needed", param, ctx)
        elif not (0 <= seconds <= TIMEOUT_S_MAX or seconds == math.inf):
            self.fail(f"{value!r}: 0 seconds or more are needed", param, ctx)
        return seconds


class Url(click.ParamType[str]):
    """A URL. A variable may have several, parted by white space; a path in one may have blanks too."""

    name = "text"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return _BETWEEN_URLS.split(rv.strip())


class OneUrl(Url):
    """For a command that takes one alone, though the variable may have several, for workers."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if len(_BETWEEN_URLS.split(str(value).strip())) > 1:
            self.fail(
                f"several URLs: only `worq worker` takes them: {masked(str(value))!r}", param, ctx
            )
        return str(value)


def url_option(*, required: bool, help: str) -> Callable[[F], F]:  # noqa: A002 - click's word
    return click.option(
        "--url", type=OneUrl(), required=required, envvar="WORQ_URL", show_envvar=True, help=help
    )
