"""Who takes part: what peers.toml says."""

import tomllib
from pathlib import Path
from typing import Any, Literal, NamedTuple

FOLDER = Path(__file__).parent
GROUPS: tuple["Group", ...] = ("redis", "threads", "processes")

Group = Literal["redis", "threads", "processes"]


class Peer(NamedTuple):
    """`environment`: empty for worq's own. `module`: whose import is timed; empty for none."""

    name: str
    group: Group
    adapter: str
    variant: str = ""
    environment: str = ""
    module: str = ""

    @property
    def is_worq(self) -> bool:
        return self.adapter in ("on_worq", "on_memory")

    @property
    def is_floor(self) -> bool:
        return self.adapter == "on_floor"

    @property
    def is_base(self) -> bool:
        """Is it what the others of its group are compared with?"""
        return self.adapter == "on_executors" and self.variant == self.group

    @property
    def is_rival(self) -> bool:
        return not (self.is_worq or self.is_floor)


def read() -> tuple[list[Peer], dict[str, list[str]]]:
    """All peers, and environment → what is installed there."""
    content: dict[str, Any] = tomllib.loads((FOLDER / "peers.toml").read_text(encoding="utf-8"))
    peers = [
        Peer(name, group, **entry) for group in GROUPS for name, entry in content[group].items()
    ]
    return peers, content["environments"]
