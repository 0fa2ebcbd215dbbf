"""Names of a package whose modules are imported when somebody asks for them: a program pays for what it uses."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def attributes(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """The `__getattr__` of a package: module → the names that are found there.

    Type checkers are to see plain imports in its stead.
    """
    modules = {name: module for module, there in names.items() for name in there}

    def __getattr__(name: str) -> object:  # noqa: N807 - it becomes the package's
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)  # asked for once
        return value

    return __getattr__
