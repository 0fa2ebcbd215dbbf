"""How much the engines do, by profile."""

import os
from typing import TypeVar

T = TypeVar("T")

PROFILE = os.environ.get("WORQ_PROFILE", "dev")


def by_profile(dev: T, ci: T, deep: T) -> T:
    return {"dev": dev, "ci": ci}.get(PROFILE, deep)
