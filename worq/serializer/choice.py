"""Which serializer a name means: that in a URL, for instance, which can go where keys must not. [ENV-SER-7]"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, cast

from worq.checks import SHOWN
from worq.serializer.seam import Serializer, check_serializer

PICKLE: Final = "pickle"

# Name → the module and the class, which is imported when that name is asked for.
_PLAIN: Final[Mapping[str, tuple[str, str]]] = {
    PICKLE: ("worq.serializer.pickles", "Pickle"),
    "json": ("worq.serializer.plain", "Json"),
    "msgpack": ("worq.serializer.plain", "MsgPack"),
}
_SIGNER: Final = ("worq.serializer.signed", "Signed")
_SIGNED: Final = "signed+"
NAMES: Final = (*_PLAIN, *(_SIGNED + name for name in _PLAIN))


def check_name(argument: str, name: str) -> str:
    """One of the names that there are."""
    if name not in NAMES:
        raise ValueError(f"{argument}: one of {', '.join(NAMES)} is needed, not {SHOWN.repr(name)}")
    return name


def named(name: str) -> Serializer:
    """The serializer of that name; what signs has its keys from WORQ_SECRET.

    ValueError if there is none, or no key; ModuleNotFoundError, which says what to install.
    """
    check_name("serializer", name)
    made: Serializer = _class(_PLAIN[name.removeprefix(_SIGNED)])()
    return cast("Serializer", _class(_SIGNER)(made)) if name.startswith(_SIGNED) else made


def name_of(serializer: Serializer) -> str | None:
    """The name that means such a serializer; None for one that worq doesn't know."""
    place = type(serializer).__module__, type(serializer).__qualname__
    if place == _SIGNER:
        name = name_of(cast("Any", serializer).serializer)
        return None if name is None else _SIGNED + name
    return next((name for name, there in _PLAIN.items() if place == there), None)


def _class(place: tuple[str, str]) -> Any:
    module, name = place
    return getattr(import_module(module), name)


def resolve(given: Serializer | str | None, in_url: str | None = None) -> Serializer:
    """The serializer that is meant: pickle, unless told otherwise. `in_url`: the name in the URL."""
    if given is None:
        return named(PICKLE if in_url is None else in_url)
    serializer = named(given) if isinstance(given, str) else check_serializer(given)
    if in_url not in (None, name_of(serializer)):
        raise ValueError(f"serializer: the URL says {in_url!r}, not {given!r}")
    return serializer
