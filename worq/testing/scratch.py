"""Queues on somebody's server that are nobody else's: made by URL, under names of this process's own, and removed."""

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, Final, cast

from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.testing.bench import nothing
from worq.testing.capabilities import ALL, CONTRACT, MANUAL_CLOCK, REFERENCE, RETRIES, Capability
from worq.testing.kit import Effort, Kit, Lossy, Subject
from worq.testing.stages import all_checks
from worq.urls import SCHEMES, open_queue, scheme_of, without_serializer

ON_A_SERVER: Final = Effort(length=1, every=20, examples=15, walks=5, programs=5, times=3)
"""For a server that may be far away."""


RETRY_S: Final = 3.0
"""Somebody is looking on."""


def _path_of(url: str) -> Path:
    from worq.queue.sqlite.place import place_of

    return Path(place_of(url).path)


class Scratch:
    """Where a kit may work on what a URL means. It touches no queue whose name does not begin with its own.

    Close it at the end; what is left then is removed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.name: str = f"worq check {secrets.token_hex(8)}"
        self._scheme = scheme_of(url)
        self._made: list[Path] = []  # files that were not there before
        if self._is_sqlite:
            self._will_make(_path_of(url))

    def queue(self, name: str, clock: Clock | None = None) -> AbstractTaskQueue:
        """A queue object; its name is put behind that of this place."""
        options = {"retry_deadline_s": RETRY_S} if self._is_redis or self._is_sqlite else {}
        return open_queue(self.url, f"{self.name} {name}", clock=clock, **options)

    def kit(self, effort: Effort) -> Kit:
        """The kit, for the capabilities that this backend says or shows that it has."""
        new_store = self._new_file if self._is_sqlite else None
        subject = Subject(self.queue, nothing, self._claimed(), effort, self._lossy, new_store)
        return Kit(subject, all_checks())

    def _new_file(self) -> AbstractTaskQueue:
        """A queue in a file of its own beside the one that is checked, which goes in the end."""
        path = _path_of(self.url)
        path = path.with_name(f"{path.name}.{self.name.replace(' ', '-')}-{len(self._made)}")
        self._will_make(path)
        _, _, options = self.url.partition("?")
        return open_queue(f"sqlite:///{path}?{options}", "new", retry_deadline_s=RETRY_S)

    def _will_make(self, path: Path) -> None:
        if not path.exists():
            self._made.append(path)

    def _lossy(self, name: str, clock: Clock | None) -> AbstractContextManager[Lossy]:
        from worq.testing.proxy import lossy_queue

        return lossy_queue(
            self.url, lambda url: open_queue(url, f"{self.name} {name}", clock=clock)
        )

    def _claimed(self) -> frozenset[Capability]:
        if self._is_redis:
            return ALL if self._scheme in ("redis", "unix") else ALL - {RETRIES}
        if self._is_sqlite:
            return ALL - {RETRIES}  # nothing is sent
        if self._scheme == "memory":
            return frozenset({CONTRACT, REFERENCE, MANUAL_CLOCK})
        return self._shown()

    def _shown(self) -> frozenset[Capability]:
        """Those that a backend shows which says nothing of them."""
        probes = [check for check in all_checks() if check.probe]
        subject = Subject(self.queue, nothing, frozenset({CONTRACT}), ON_A_SERVER)
        kit = Kit(subject, probes)
        shown = (probe.needs for probe in probes if kit.verdict(probe).answer == "works")
        return frozenset({CONTRACT}).union(*shown)

    @property
    def _is_redis(self) -> bool:
        return SCHEMES.get(self._scheme) == "worq.queue.redis"

    @property
    def _is_sqlite(self) -> bool:
        return SCHEMES.get(self._scheme) == "worq.queue.sqlite"

    def close(self) -> list[str]:
        """Remove what is left; the names of the keys, or queues, that ought not to have been there.

        [ENV-REDIS-5] [ENV-SQLITE-8]
        """
        if self._is_redis:
            return sorted(self._removed())
        if not self._is_sqlite:
            return []
        from worq.queue.sqlite.schema import remove_if_unused

        left = self._removed_from_file()
        for path in self._made:
            remove_if_unused(path)
        return left

    def _removed_from_file(self) -> list[str]:
        from worq.queue.sqlite import TaskQueue
        from worq.queue.sqlite.schema import remove_queues

        if not _path_of(self.url).exists():
            return []
        with closing(TaskQueue(self.url, self.name)) as queue:
            return queue.database.transact(
                queue, lambda tasks: remove_queues(tasks.connection, self.name), RETRY_S
            )

    def _removed(self) -> Iterator[str]:
        from worq.queue.redis.keys import SESSION, prefix
        from worq.queue.redis.url import target

        found = target(without_serializer(self.url))
        begin = prefix(self.name, found.prefix).removesuffix("}")
        with found.clients() as clients:
            for client in clients:
                for key in cast("Iterator[bytes]", cast("Any", client).scan_iter(f"{begin}*", count=1000)):  # fmt: skip
                    if f"}}{SESSION}".encode() not in key:
                        yield key.decode(errors="replace")
                    client.delete(key)
