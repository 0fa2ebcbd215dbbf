"""One file as this process sees it: one connection, which one thread uses at a time. docs/sqlite.md.

Whoever finds the file locked by another process tries again, for a time with a bound; between two
tries nothing is held. Before a fork the connection is closed: SQLite's must not be in two processes.
"""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NoReturn, Protocol, TypeVar

from worq import bounds
from worq.clock import Clock
from worq.errors import BackendUnavailable, BackendUnsupported, QueueClosed
from worq.queue.sqlite import mounts, schema
from worq.queue.sqlite.bell import Bell, Sleeper
from worq.queue.sqlite.place import Place, Synchronous
from worq.queue.sqlite.tasks import Tasks

T = TypeVar("T")

TRY_AGAIN_S: Final = (0.0005, 0.005)
"""The shortest and the longest pause before a file that was locked is tried again."""
WAL_BYTES_MAX: Final = 16 * 1024 * 1024
"""What the write-ahead log is cut to once all of it is in the file."""
CACHED_STATEMENTS: Final = 256
NESTED_S: Final = 0.5
"""How long a call that has interrupted one on another file waits until no other thread uses its own."""


class Busy(Exception):
    """Another process has the file. Nothing was done."""


class Client(Protocol):
    """A queue object, as its file knows it."""

    name: str
    clock: Clock | None

    is_closed: bool

    def now_ms(self) -> int: ...


class Database:
    """Thread-safe. It lives while a queue object uses it, and is opened by the first operation."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._synchronous: Synchronous = "normal"
        self._is_synchronous = False
        self._file: tuple[int, int] | None = None
        self._lock = threading.RLock()  # a handler that finds it taken by its own thread is refused
        self._owner: int | None = None
        self._users: dict[object, None] = {}
        self.bell: Bell = Bell(self)

    def join(self, synchronous: Synchronous) -> object:
        """One user more; the answer is what `leave` is given."""
        user = object()
        self._users[user] = None
        if synchronous == "full":
            self._synchronous = synchronous  # for as long as anybody uses it
        return user

    def leave(self, user: object) -> None:
        """The last one closes the connection; an operation that this has interrupted does that when it is done."""
        self._users.pop(user, None)
        if self._users:
            return
        self.bell.ring()
        if _is_in_the_midst():  # of an operation on another file, perhaps: then it must not wait
            self._close_if_unused()
        else:
            self.alone(lambda: None)

    def ring(self) -> None:
        """A clock that was given has been advanced by hand."""
        self.bell.ring()

    def is_used(self) -> bool:
        return bool(self._users)

    def transact(
        self,
        client: Client,
        act: Callable[[Tasks], T],
        retry_deadline_s: float,
        sleeper: Sleeper | None = None,
    ) -> T:
        """Do it in one transaction, all or nothing.

        `sleeper`: will be told of what comes, if the answer is None. Raises BackendUnavailable when
        the file could not be used until the retry deadline had passed. [ENV-SQLITE-3]
        """
        until_s = min(time.monotonic() + retry_deadline_s, bounds.until_s() or float("inf"))
        pause_s, longest_s = TRY_AGAIN_S
        while True:
            if client.is_closed:
                raise QueueClosed(f"{client!r} is closed")
            with suppress(Busy):
                return self.alone(
                    lambda: self._transact(client, act, sleeper), until_s=bounds.until_s()
                )
            if time.monotonic() >= until_s:
                raise BackendUnavailable(
                    f"{self.path}: locked by another process for {retry_deadline_s:g} s",
                    "not_sent",
                )
            time.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 (no secret)
            pause_s = min(2 * pause_s, longest_s)

    def give_way(self) -> None:
        """Between two transactions of one operation: whoever tries again meanwhile gets at the file."""
        time.sleep(TRY_AGAIN_S[1])

    def look(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Read something, outside of any transaction. Raises Busy, or BackendUnavailable."""
        return self.alone(lambda: self._guarded(lambda: read(self._connected())))

    # One thread at a time

    def alone(self, act: Callable[[], T], *, until_s: float | None = None) -> T:
        """Do it while no other thread uses the file.

        Raises RuntimeError where it would wait for itself, and BackendUnavailable at that moment.
        """
        is_nested = _is_in_the_midst()
        try:
            if is_nested or until_s is not None:
                return self._alone_soon(act, until_s, is_nested=is_nested)
            with self._lock:  # what a handler raises can't come between this and what is in it
                return self._alone(act)
        finally:
            self._close_if_unused()

    def _alone_soon(self, act: Callable[[], T], until_s: float | None, *, is_nested: bool) -> T:
        patience_s = threading.TIMEOUT_MAX
        if until_s is not None:
            patience_s = min(patience_s, max(0.0, until_s - time.monotonic()))
        if is_nested:  # who has this file may wait for the one that was interrupted
            patience_s = min(patience_s, NESTED_S)
        lock = self._lock
        if not lock.acquire(timeout=patience_s):
            if is_nested:
                raise RuntimeError(
                    "a signal's handler or a finalizer has interrupted an operation on another file,"
                    f" while other threads use this one: {self.path}"
                )
            raise BackendUnavailable(
                f"{self.path}: in use by other threads all the time", "not_sent"
            )
        try:
            return self._alone(act)
        finally:
            lock.release()

    def _alone(self, act: Callable[[], T]) -> T:
        if self._owner is not None:
            raise RuntimeError(
                "a signal's handler or a finalizer has interrupted an operation on the same"
                f" file, or a fork: {self.path}"
            )
        self._owner = threading.get_ident()
        try:
            return act()
        finally:
            self._end_if_unused()
            self._owner = None

    def _close_if_unused(self) -> None:
        """Whoever is at it meanwhile does so when they are done, which is why each looks after its release."""
        while not self._users and self._lock.acquire(blocking=False):
            try:
                if self._owner is not None or self._end_if_unused():
                    return
            finally:
                self._lock.release()

    def _end_if_unused(self) -> bool:
        if self._users:
            return False
        self._disconnect()
        _forget(self)
        return True

    # Transactions

    def _transact(self, client: Client, act: Callable[[Tasks], T], sleeper: Sleeper | None) -> T:
        connection = self._guarded(self._connected)
        tasks, answer = self._guarded(lambda: self._committed(connection, client, act))
        if sleeper is not None and answer is None:
            self.bell.add(sleeper)
        try:
            self.bell.tell(client.name, tasks)
        except sqlite3.Error:  # it is done all the same: those who wait look for themselves
            self.bell.wake_all()
        return answer

    def _committed(
        self, connection: sqlite3.Connection, client: Client, act: Callable[[Tasks], T]
    ) -> tuple[Tasks, T]:
        outcome: Literal["not_sent", "unknown"] = "not_sent"
        try:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            schema.check_format(version, self.path)
            before = connection.total_changes
            tasks = Tasks(connection, client.name, client.now_ms())
            answer = act(tasks)
            self._check_not_inherited(connection)
            outcome = "unknown"
            connection.execute("COMMIT" if connection.total_changes > before else "ROLLBACK")
        except sqlite3.Error as error:
            self._roll_back(connection)
            self._raise(error, outcome)
        except BaseException:
            self._roll_back(connection)
            raise
        return tasks, answer

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Or, where even that is impossible, begin anew: then nothing of it counts either."""
        if connection is not self._connection:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()

    def _guarded(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except sqlite3.Error as error:
            self._raise(error, "not_sent")

    def _raise(self, error: sqlite3.Error, outcome: Literal["not_sent", "unknown"]) -> NoReturn:
        """Say what callers are told; an error of theirs or of ours stays what it is."""
        path = self.path
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Busy from error
        if code == sqlite3.SQLITE_NOTADB:
            raise BackendUnsupported(f"{path} is no database of SQLite") from error
        if code == sqlite3.SQLITE_FULL:  # a commit that finds no room is taken back
            raise BackendUnavailable(f"{path}: {error}", "not_sent") from error
        if code in _STATES_OF_THE_FILE:
            folder = Path(path).parent
            where = "" if folder.is_dir() else f": there is no folder {folder}"
            raise BackendUnavailable(f"{path}: {error}{where}", outcome) from error
        raise error

    # The connection

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._file == _identity(self.path):
                self._synchronize(self._connection)
                return self._connection
            self._disconnect()  # the file was removed, or is another one
        self._check_not_inherited()
        if _forking.stack:
            raise RuntimeError(
                f"a signal's handler or a finalizer has interrupted a fork: {self.path}"
            )
        if _forks:
            raise Busy  # the fork would not find this connection
        mounts.check(self.path)
        if sqlite3.sqlite_version_info < schema.SQLITE_MIN:
            need = ".".join(map(str, schema.SQLITE_MIN))
            raise BackendUnsupported(f"SQLite {need} is needed, not {sqlite3.sqlite_version}")
        connection = sqlite3.connect(
            self.path,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
        )
        self._connection = connection  # or a handler that forks now would not find it
        try:
            self._prepare(connection)
            self._file = _identity(self.path)
        except BaseException:
            if connection is self._connection:
                self._disconnect()
            raise
        self.bell.forget()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        path = self.path
        connection.execute("BEGIN")  # or another process may make the tables between two looks
        is_new = schema.is_new(connection, path)
        connection.execute("ROLLBACK")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise BackendUnsupported(f"{path}: its file system can't have a write-ahead log")
        self._is_synchronous = False
        connection.execute("PRAGMA synchronous = normal")
        self._synchronize(connection)
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        if is_new:
            connection.execute("BEGIN IMMEDIATE")
            if schema.is_new(connection, path):  # no other process was faster
                schema.create(connection)
            connection.execute("COMMIT")

    def _synchronize(self, connection: sqlite3.Connection) -> None:
        """As the strictest of those who have used it wants it."""
        if self._synchronous == "full" and not self._is_synchronous:
            connection.execute("PRAGMA synchronous = full")
            self._is_synchronous = True

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    # Forks

    def before_fork(self, *, blocking: bool) -> bool:
        """Have no connection while this thread forks; False if it is in use, and the child inherits it.

        In use: by an operation that the fork interrupts or, unless `blocking`, by another thread.
        """
        if not self._lock.acquire(blocking):
            return False
        if self._owner is not None:
            self._lock.release()
            return False
        self._owner = threading.get_ident()
        self._disconnect()
        return True

    def after_fork(self) -> None:
        self._owner = None
        self._end_if_unused()
        self._lock.release()

    def in_child(self) -> None:
        """Nobody else is here: no thread that holds the lock, none that waits."""
        if self._connection is not None:
            _inherited.append((self.path, self._connection))
            self._connection = None
        self._lock = threading.RLock()
        self._owner = None
        self.bell = Bell(self)

    @property
    def is_interrupted(self) -> bool:
        """Whether this thread is in the midst of an operation on it, or of a fork."""
        return self._owner == threading.get_ident()

    def _check_not_inherited(self, connection: sqlite3.Connection | None = None) -> None:
        """SQLite takes locks that the parent has for this process's own, over a new connection too."""
        for path, inherited in _inherited:
            if path == self.path and connection in (None, inherited):
                raise RuntimeError(
                    "this process was forked in the midst of an operation on this file, which it"
                    f" can't use therefore: {path}"
                )


# Connections that were open when this process was forked: never used, nor closed while it runs.
_inherited: list[tuple[str, sqlite3.Connection]] = []

_STATES_OF_THE_FILE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    }
)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (each operation asks, and this is the fastest)
    except OSError:
        return None
    return found.st_dev, found.st_ino


# Those that are used in this process. A dict's own methods are atomic, and a handler may come in the midst.
_databases: dict[str, Database] = {}


def database_of(place: Place) -> tuple[Database, object]:
    """The file as this process sees it, and the user that the caller is of it now."""
    while True:
        database = _databases.setdefault(place.path, Database(place.path))
        user = database.join(place.synchronous)
        if _databases.setdefault(place.path, database) is database:
            return database, user
        database.leave(user)  # its last user had left meanwhile, and another one is there


def _is_in_the_midst() -> bool:
    """Whether what this thread does now has interrupted an operation of its own on some file, or a fork."""
    return any(each.is_interrupted for each in list(_databases.values()))


def _forget(database: Database) -> None:
    if _databases.get(database.path) is database and not database.is_used():
        _databases.pop(database.path, None)
        if database.is_used():  # since just now
            _databases.setdefault(database.path, database)


class _Fork:
    """A fork that is under way, and what it has locked."""

    def __init__(self) -> None:
        self.locked: list[Database] = []


class _Forking(threading.local):
    """The forks of this thread: a handler may fork while another fork is about to happen."""

    def __init__(self) -> None:
        self.stack: list[_Fork] = []


_forking = _Forking()
_forks: dict[_Fork, None] = {}
"""Those of all threads. While there is one no connection is opened."""


def _before_fork() -> None:
    fork = _Fork()
    _forking.stack.append(fork)
    _forks[fork] = None
    # Two threads that fork lock in the same order. Who holds something already waits for nobody.
    databases = sorted(_databases.values(), key=lambda each: each.path)
    blocking = not _is_in_the_midst()
    for database in databases:
        if database.before_fork(blocking=blocking):
            fork.locked.append(database)


def _after_in_parent() -> None:
    fork = _forking.stack.pop()
    _forks.pop(fork, None)
    for database in fork.locked:
        database.after_fork()


def _after_in_child() -> None:
    _forking.stack.pop()
    for interrupted in _forking.stack:
        interrupted.locked.clear()
    _forks.clear()
    for database in list(_databases.values()):
        database.in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
