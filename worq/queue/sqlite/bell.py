"""Those of this process that wait on a file, and the thread that watches it for them. [ENV-SQLITE-2]

Who changes something in this process tells those who wait for it. What other processes change, nobody
tells: while somebody waits, one thread asks SQLite for the file's `data_version`, often at first and
more and more seldom. It also applies the deadlines that pass. Who waits does nothing.
"""

import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from worq.const import COMPLETED
from worq.errors import QueueClosed
from worq.queue.sqlite.tasks import Tasks, next_deadline_ms

if TYPE_CHECKING:
    from worq.queue.sqlite.database import Client, Database

LOOK_S: Final = (0.001, 0.05)
"""The shortest and the longest pause between two looks for what other processes have done."""
LOOK_SHARE: Final = 0.25
"""A pause is at most this share of the time since something last happened."""
SLEEP_S_MAX: Final = 5.0
"""Who waits looks again after that time, whatever happens."""
SWEEP_S: Final = 1.0
"""How long the applying of deadlines tries to get at the file, before it is tried again."""


class Sleeper:
    """A call that waits: for the outcomes of `tasks`, ids and incarnations; with none, for a task that is ready."""

    def __init__(
        self,
        client: "Client",
        tasks: Sequence[tuple[str, bytes | None]],
        timeout_ms: int | None,
    ) -> None:
        self.client = client
        self.tasks: list[tuple[str, bytes | None]] = list(tasks)
        self.ids: frozenset[str] = frozenset(task_id for task_id, _ in tasks)
        self.is_woken: bool = False
        self._until_s = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        self._until_ms: int | None = None
        if client.clock is not None and timeout_ms is not None:
            self._until_ms = client.clock.now_ms() + timeout_ms
        # A bare lock: a signal's handler may wake the very call that it has interrupted.
        self._gate = threading.Lock()
        self._gate.acquire()

    def is_over(self) -> bool:
        """Whether its timeout has passed, by the clock that was given or the machine's. [ENV-WAIT-8]"""
        if self.client.clock is not None:
            return self._until_ms is not None and self._until_ms <= self.client.clock.now_ms()
        return self._until_s is not None and self._until_s <= time.monotonic()

    def sleep(self) -> None:
        """Until it is woken, or its timeout has passed, or for five seconds. [ENV-WAIT-3]"""
        if self.client.is_closed:  # while it began to wait
            return
        longest_s = SLEEP_S_MAX
        if self.client.clock is None and self._until_s is not None:
            longest_s = min(longest_s, max(0.0, self._until_s - time.monotonic()))
        self._gate.acquire(timeout=longest_s)

    def wake(self) -> None:
        self.is_woken = True
        with suppress(RuntimeError):  # it is open already
            self._gate.release()


class Bell:
    """Who waits, and who is told.

    `leave`, `wake_all_of`, `wake_all` and `ring` are for everybody, all else for whoever has the file to itself.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._sleepers: dict[Sleeper, None] = {}  # its methods are atomic
        self._alarms: dict[str, int] = {}
        self._version: int | None = None
        self._since_s = 0.0
        self._gate = threading.Lock()
        self._gate.acquire()
        self._watcher: threading.Thread | None = None

    def add(self, sleeper: Sleeper) -> None:
        """Somebody begins to wait, or waits on."""
        sleeper.is_woken = False
        self._sleepers[sleeper] = None
        self._since_s = time.monotonic()
        if self._watcher is None:
            watcher = threading.Thread(target=self._watch, name="worq-sqlite", daemon=True)
            watcher.start()
            self._watcher = watcher
        self.ring()

    def leave(self, sleeper: Sleeper, *, is_served: bool) -> None:
        """Somebody waits no more; if what it was woken for may be there still, the next one is woken."""
        self._sleepers.pop(sleeper, None)
        if not sleeper.tasks and sleeper.is_woken and not is_served:
            for other in list(self._sleepers):
                if _is_alike(other, sleeper) and not other.is_woken:
                    other.wake()
                    return

    def tell(self, queue: str, tasks: Tasks) -> None:
        """Wake those of this process who wait for what a transaction has changed."""
        sleepers = [each for each in list(self._sleepers) if each.client.name == queue]
        if not sleepers:
            return
        changes = tasks.changes
        for sleeper in sleepers:
            if sleeper.tasks and not sleeper.ids.isdisjoint(changes.ids):
                sleeper.wake()
        if changes.ready:
            self._wake_claims(tasks.connection, queue, sleepers)
        self._set_alarm(queue, next_deadline_ms(tasks.connection, queue))
        if tasks.is_behind:
            self.ring()

    def wake_all_of(self, client: "Client") -> None:
        for sleeper in list(self._sleepers):
            if sleeper.client is client:
                sleeper.wake()

    def wake_all(self) -> None:
        for sleeper in list(self._sleepers):
            sleeper.wake()

    def ring(self) -> None:
        """Have the watcher look now."""
        with suppress(RuntimeError):
            self._gate.release()

    def forget(self) -> None:
        """There is a new connection, whose `data_version` says nothing of what was before."""
        self._version = None

    # Who is woken

    def _wake_claims(
        self, connection: sqlite3.Connection, queue: str, sleepers: list[Sleeper]
    ) -> None:
        """As many as there are tasks that are ready, those that are awake already counted. [ENV-WAIT-6]"""
        claims = [each for each in sleepers if not each.tasks]
        if not claims:
            return
        (ready,) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM task WHERE queue = ? AND position IS NOT NULL"
            " LIMIT ?)",
            (queue, len(claims)),
        ).fetchone()
        asleep = [each for each in claims if not each.is_woken]
        for sleeper in asleep[: max(0, ready - (len(claims) - len(asleep)))]:
            sleeper.wake()

    def _set_alarm(self, queue: str, deadline_ms: int | None) -> None:
        if deadline_ms is None:
            self._alarms.pop(queue, None)
        else:
            self._alarms[queue] = deadline_ms

    # The watcher

    def _watch(self) -> None:
        while self._database.is_used() or not self._database.alone(self._ends):
            self._gate.acquire(timeout=self._pause_s())
            try:
                self._look()
            except Exception:  # noqa: BLE001 (those who wait look for themselves, and are told)
                self.wake_all()
                time.sleep(LOOK_S[1])

    def _ends(self) -> bool:
        """Nobody uses the file any more; who does from now on needs a watcher of their own."""
        if self._database.is_used():
            return False
        self._watcher = None
        return True

    def _pause_s(self) -> float:
        if not self._sleepers:
            return -1  # until somebody waits
        return pause_s(time.monotonic() - self._since_s)

    def _look(self) -> None:
        if not self._sleepers:
            return
        for sleeper in list(self._sleepers):
            if sleeper.client.clock is not None and sleeper.is_over():
                sleeper.wake()
        has_changed = self._database.look(self._has_changed)
        # Who begins to wait only now has seen all that had changed by then.
        sleepers = list(self._sleepers)
        clients = {each.client.name: each.client for each in sleepers if not each.client.is_closed}
        if has_changed:
            self._since_s = time.monotonic()
            for name in clients:
                self._database.look(lambda connection, name=name: self._look_at(connection, name))  # type: ignore[misc]
        for name, client in clients.items():
            alarm_ms = self._alarms.get(name)
            if alarm_ms is not None and alarm_ms <= client.now_ms():
                self._sweep(client)

    def _has_changed(self, connection: sqlite3.Connection) -> bool:
        """Whether another process has committed something, as far as this connection knows."""
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return bool(version != before)

    def _look_at(self, connection: sqlite3.Connection, queue: str) -> None:
        """Wake those who would find what they wait for."""
        sleepers = [each for each in list(self._sleepers) if each.client.name == queue]
        for sleeper in sleepers:
            if not sleeper.is_woken and any(_is_told(connection, queue, *t) for t in sleeper.tasks):
                sleeper.wake()
        self._wake_claims(connection, queue, sleepers)
        self._set_alarm(queue, next_deadline_ms(connection, queue))

    def _sweep(self, client: "Client") -> None:
        """Apply the deadlines that have passed, as any operation does. [ENV-WAIT-4]"""
        with suppress(QueueClosed):
            self._database.transact(client, Tasks.on_time, SWEEP_S)


def pause_s(since_s: float) -> float:
    """The pause between two looks when nothing has happened for so long."""
    shortest_s, longest_s = LOOK_S
    return min(max(LOOK_SHARE * since_s, shortest_s), longest_s)


def _is_alike(one: Sleeper, other: Sleeper) -> bool:
    return not one.tasks and one.client.name == other.client.name


def _is_told(
    connection: sqlite3.Connection, queue: str, task_id: str, incarnation: bytes | None
) -> bool:
    """Whether who waits for that task has something to hear."""
    row = connection.execute(
        "SELECT incarnation, state, dependent FROM task WHERE queue = ? AND id = ?",
        (queue, task_id),
    ).fetchone()
    return row is None or row[0] != incarnation or row[1] == COMPLETED or row[2] is not None
