"""What a backend may tell of its queues besides the contract. Source: SPEC.md, section 11."""

from abc import ABC, abstractmethod
from typing import NamedTuple


class Counts(NamedTuple):
    """How many tasks of a queue are in each state, at one instant. [ENV-INFO-2]"""

    pending: int
    enqueued: int
    processing: int
    completed: int


class Sign(NamedTuple):
    """A sign of life of one pool: who it is, and what it is at. [ENV-INFO-3]

    `id` is random; `workers`: how many; `running_ms`: since it was started; `tasks`: the ids of
    those whose claims it keeps, of very many only the first.
    """

    id: str
    name: str
    host: str
    pid: int
    workers: int
    running_ms: int
    tasks: tuple[str, ...]


class Seen(NamedTuple):
    """The last sign of life of a pool, and how long ago that was."""

    sign: Sign
    age_ms: int


class Introspective(ABC):
    """What a queue object can do besides the contract, if it can. [ENV-INFO-1]"""

    @abstractmethod
    def queues(self) -> list[str]:
        """The names of all queues on its server, in alphabetical order. It looks at every key there."""

    @abstractmethod
    def counts(self) -> Counts:
        """The tasks of this queue by state."""

    @abstractmethod
    def workers(self) -> list[Seen]:
        """The pools that serve this queue, by the time of their last sign of life, the oldest first."""

    @abstractmethod
    def sign(self, sign: Sign, ttl_ms: int) -> None:
        """Leave a sign of life, which goes after that time. Tried once, never waiting for a server."""

    @abstractmethod
    def sign_off(self, sign_id: str) -> None:
        """Take it away. Tried once."""
