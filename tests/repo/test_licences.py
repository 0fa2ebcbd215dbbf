"""What worq's users install with it may be used under licences that ask for no more than worq's own does."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

FOR_USERS = ("redis", "cli", "watch", "msgpack", "testing")
# MPL-2.0, which is Hypothesis's, asks to publish changes of its own files only.
ALLOWED = re.compile(
    r"\b(MIT|BSD|Apache|PSF|Python Software Foundation|MPL|Mozilla|ISC|Unlicense)", re.IGNORECASE
)


def licence_of(found: Distribution) -> str:
    """What its metadata says, in the newest of the three ways to say it."""
    meta = found.metadata
    classifiers = [c for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
    return meta["License-Expression"] or "; ".join(classifiers) or meta["License"] or "unknown"


def needed(extras: tuple[str, ...]) -> dict[str, str]:
    """The distributions that these extras of worq bring, and their licences."""
    licences: dict[str, str] = {}
    todo = [Requirement(f"worq-spec[{','.join(extras)}]")]
    while todo:
        requirement = todo.pop()
        name = requirement.name.lower().replace("_", "-")
        try:
            found = distribution(name)
        except PackageNotFoundError:
            pytest.fail(f"{requirement} is needed and is not installed")
        if name in licences and not requirement.extras:
            continue
        licences[name] = licence_of(found)
        for text in found.requires or []:
            more = Requirement(text)
            environments = [{"extra": extra} for extra in (*requirement.extras, "")]
            if more.marker is None or any(map(more.marker.evaluate, environments)):
                todo.append(more)
    return licences


def test_licences_of_what_users_install() -> None:
    licences = needed(FOR_USERS)
    assert {"redis", "hiredis", "click", "rich", "hypothesis", "msgspec"} <= licences.keys()
    assert {name: said for name, said in licences.items() if not ALLOWED.search(said)} == {}


def test_without_extras_nothing_is_installed() -> None:
    assert needed(()).keys() == {"worq-spec"}
