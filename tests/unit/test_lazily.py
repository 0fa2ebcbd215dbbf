"""What `import worq` brings along, and what it leaves for whoever asks."""

import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import worq
from worq import lazily, serializer

# Each costs milliseconds, and many a producer or command needs none of them.
DEAR = {
    "asyncio",
    "concurrent",
    "dataclasses",
    "hiredis",
    "hmac",
    "inspect",
    "json",
    "logging",
    "multiprocessing",
    "pickle",
    "redis",
    "socket",
    "sqlite3",
    "traceback",
    "urllib",
}
OWN = {"worq.collecting", "worq.pool", "worq.queue", "worq.serializer.plain", "worq.typed_task"}


def imported_by(statement: str) -> list[str]:
    """The modules that a fresh interpreter has after a statement, without those of its start."""
    program = f"""import sys
started = set(sys.modules)
{statement}
found = sorted(set(sys.modules) - started)
import json
print(json.dumps(found))"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    modules: list[str] = json.loads(done.stdout)
    return modules


def test_importing_worq_imports_nothing_that_only_some_need() -> None:
    modules = imported_by("import worq")
    assert "worq.core" in modules
    assert DEAR.isdisjoint(module.partition(".")[0] for module in modules)
    assert OWN.isdisjoint(modules)


@pytest.mark.parametrize("package", [worq, serializer], ids=lambda package: package.__name__)
def test_every_public_name_is_there_when_it_is_asked_for(package: Any) -> None:
    for name in package.__all__:
        assert getattr(package, name) is getattr(package, name)


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = ModuleType("some_package")
    monkeypatch.setitem(sys.modules, "some_package", package)
    package.__getattr__ = lazily.attributes("some_package", {"math": ("pi",)})
    assert package.pi == vars(package)["pi"]


@pytest.mark.parametrize("package", [worq, serializer], ids=lambda package: package.__name__)
def test_an_unknown_name_is_an_attribute_error_that_shows_it(package: Any) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no .* 'nothing'"):
        package.nothing  # noqa: B018
