"""From MODULE:OBJECT to brokers: in the command itself, and in the worker processes of its pool."""

import importlib
import inspect
import traceback
from collections.abc import Callable, Sequence
from functools import reduce
from types import ModuleType
from typing import TYPE_CHECKING, cast

import click

from worq.cli import logs
from worq.core import Broker
from worq.failures import describe
from worq.pool.feed import Feed, Ledger
from worq.task import TaskSpace

if TYPE_CHECKING:
    from worq.deferred import Home

ARGUMENT = "MODULE:OBJECT"


class NotLoaded(click.UsageError):
    """There is no broker. `trace`: where the application's own code went wrong."""

    def __init__(self, reason: str, trace: str = "") -> None:
        super().__init__(reason)
        self.trace = trace

    def show(self, file: object = None) -> None:
        del file
        click.echo(f"{self.trace}Error: {self.message}", err=True)


def load(text: str, url: str | None, *, url_is_default: bool = False) -> Broker:
    """The broker that MODULE:OBJECT is or makes.

    `url`: replaces that of a broker, unless it is a default, and is given to a function.
    """
    found, module = _find(text)
    if isinstance(found, Broker):
        return found if url is None or url_is_default else _at(found, url)
    if not callable(found) or inspect.isclass(found):
        raise NotLoaded(
            f"{ARGUMENT}: a Broker, or a function that makes one, not {text!r}: {found!r}"
        )
    if owner := _who_exposes(found, module):
        raise NotLoaded(f"{ARGUMENT}: {text!r} is a task, not a Broker; {owner} exposes it")
    if url is None:
        raise NotLoaded(f"--url (or WORQ_URL): the function {text!r} needs the URL of a server")
    made = _made(text, found, url)
    if not isinstance(made, Broker):
        raise NotLoaded(f"{ARGUMENT}: the function {text!r} must return a Broker, not {made!r}")
    return made


def _find(text: str) -> tuple[object, ModuleType]:
    """The object, and the module that it was found in."""
    module_name, colon, path = text.partition(":")
    if not (module_name and colon and path) or module_name.startswith("."):
        raise NotLoaded(f"{ARGUMENT}: something like app:broker is needed, not {text!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _broken(f"{ARGUMENT}: {text!r}: importing {module_name} failed", error) from error
        raise NotLoaded(f"{ARGUMENT}: there is no module {error.name!r}: {text!r}") from error
    except Exception as error:
        raise _broken(f"{ARGUMENT}: {text!r}: importing {module_name} failed", error) from error
    try:
        return cast("object", reduce(getattr, path.split("."), module)), module
    except AttributeError as error:
        raise NotLoaded(f"{ARGUMENT}: {module_name} has no {path}: {text!r}") from error


def _who_exposes(found: object, module: ModuleType) -> str | None:
    """The name of a Broker or a TaskSpace of the module that this exposes: a task is not to be called."""
    for name, value in vars(module).items():
        if isinstance(value, (Broker, TaskSpace)) and found in value.tasks.values():
            return f"{module.__name__}:{name}"
    return None


def _made(text: str, function: Callable[..., object], url: str) -> object:
    _check_signature(text, function)
    try:
        return function(url)
    except ValueError as error:
        if str(error).startswith("url: "):  # it is what we were given
            raise NotLoaded(f"--url: {error}") from error
        raise _broken(f"{ARGUMENT}: the function {text!r} failed", error) from error
    except Exception as error:
        raise _broken(f"{ARGUMENT}: the function {text!r} failed", error) from error


def _check_signature(text: str, function: Callable[..., object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some that are built in have none
    try:
        signature.bind("url")
    except TypeError as error:
        raise NotLoaded(
            f"{ARGUMENT}: the function {text!r} must take the URL and nothing else, "
            f"not {signature}: {error}"
        ) from error


def _broken(what: str, error: Exception) -> NotLoaded:
    return NotLoaded(f"{what}: {describe(error)}", traceback.format_exc())


def _at(broker: Broker, url: str) -> Broker:
    try:
        return broker if url == broker.url else broker.clone(url=url)
    except (ValueError, ModuleNotFoundError) as error:
        raise NotLoaded(f"--url: {error}") from error


def of_queues(broker: Broker, names: Sequence[str]) -> list[Broker]:
    """The same tasks on each of these queues; without names, on the broker's own."""
    brokers: list[Broker] = []
    for name in dict.fromkeys(names):
        try:
            brokers.append(broker if name == broker.name else broker.clone(name=name))
        except ValueError as error:
            raise NotLoaded(f"--queue: {error}") from error
    return brokers or [broker]


def of_urls(
    text: str, urls: Sequence[str], names: Sequence[str], *, are_default: bool = False
) -> list[Broker]:
    """The brokers of each of these servers and queues; without URLs, of the object's own."""
    found: dict[Home, Broker] = {}
    for url in dict.fromkeys(urls) or (None,):
        broker = load(text, url, url_is_default=are_default)
        for each in of_queues(broker, names):
            found.setdefault(each.home, each)
    return list(found.values())


def fed(brokers: Sequence[Broker], ledger: Ledger | None = None) -> Broker:
    """One broker for a pool."""
    return brokers[0] if len(brokers) == 1 and ledger is None else Feed(brokers, ledger)


def for_worker(
    url: str, text: str, urls: Sequence[str], names: Sequence[str], level: str
) -> Broker:
    """What a worker process of the pool makes for itself; `url`, `urls` and `names` are the pool's."""
    logs.configure(level)
    return fed(of_urls(text, urls if len(urls) > 1 else (url,), names))
