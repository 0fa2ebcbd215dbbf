"""The conformance kit: what a backend's implementer runs to see that it keeps SPEC.md; and a sandbox."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worq.testing.conformance import QueueConformance
    from worq.testing.kit import Effort
    from worq.testing.sandbox import Sandbox

__all__ = ["Effort", "QueueConformance", "Sandbox"]

_PLACES = {
    "Effort": "worq.testing.kit",
    "QueueConformance": "worq.testing.conformance",
    "Sandbox": "worq.testing.sandbox",
}


def __getattr__(name: str) -> Any:
    """Imported when it is asked for: the kit needs Hypothesis, and other modules here do not."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_PLACES[name]), name)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "hypothesis":
            raise
        raise ImportError(
            f"worq.testing.{name} needs the package hypothesis: install worq-spec[testing]",
            name="hypothesis",
        ) from error
