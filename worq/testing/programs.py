"""Programs as Python to paste into a test. The model prints its histories in the same way, so it is written there."""

from worq_model.programs import INCARNATION_BYTES, as_code, inc

__all__ = ["INCARNATION_BYTES", "as_code", "inc"]
