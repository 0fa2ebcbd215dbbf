"""The conformance kit: what a backend's implementer runs to see that it keeps SPEC.md."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worq.testing.conformance import QueueConformance
    from worq.testing.kit import Effort

__all__ = ["Effort", "QueueConformance"]


def __getattr__(name: str) -> Any:
    """Imported when it is asked for: the kit needs Hypothesis, and other modules here do not."""
    if name == "QueueConformance":
        from worq.testing.conformance import QueueConformance

        return QueueConformance
    if name == "Effort":
        from worq.testing.kit import Effort

        return Effort
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
