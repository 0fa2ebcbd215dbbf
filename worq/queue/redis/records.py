"""Packing and unpacking: records, packed ids, outcomes, blobs of arguments, replies. The layouts: docs/redis.md."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

from worq.backend import Ending, Entry, Ticket
from worq.const import INCARNATION_BYTES, RESERVED, TASK_EXPIRED, Sentinel
from worq.values import Claim, Finished, Outcome, OutcomeKind, Submitted, Token

FOREVER_MS = 2**48 - 1
START_BYTES = 3
FINISHING_FIELDS = 5
_ANY = b"*" + bytes(INCARNATION_BYTES)
_TOKEN_BYTES = INCARNATION_BYTES + START_BYTES
_LENGTH_BYTES = 4
_EPOCH_0 = bytes(5)
_NO_START = bytes(START_BYTES)
_ROW_OUTCOME_AT = 2 + INCARNATION_BYTES
_KINDS: dict[bytes, OutcomeKind] = {b"r": "result", b"f": "failure", b"x": "expired"}
_ACCEPTED = Submitted("accepted")
_DUPLICATE = Submitted("duplicate")
_LETTERS: dict[OutcomeKind, bytes] = {kind: letter for letter, kind in _KINDS.items()}


def record(state: Literal["P", "E"], task: Ticket, message: bytes, arguments: bytes) -> bytes:
    """The record of a new task; `arguments` are its packed ids."""
    _, incarnation, *terms = task
    before, after = _frame(state, bool(arguments), *terms)
    if arguments:
        message = b"".join((_length(arguments), arguments, message))
    return b"".join((before, incarnation, after, message))


@lru_cache(maxsize=1024)
def _frame(
    state: str,
    has_arguments: bool,  # noqa: FBT001 - the rest are the fields of a Ticket
    ignore_result: bool,  # noqa: FBT001
    passes_errors: bool,  # noqa: FBT001
    lease_ms: int,
    retention_ms: int | None,
    attempts: int,
) -> tuple[bytes, bytes]:
    """What is in front of the incarnation in a header, and what is behind it."""
    flags = (ignore_result, "i"), (passes_errors, "p"), (has_arguments, "a")
    letters = state + "".join(letter if is_set else "-" for is_set, letter in flags)
    times = lease_ms.to_bytes(6, "big") + retention(retention_ms).to_bytes(6, "big")
    return letters.encode(), _NO_START + attempts.to_bytes(3, "big") + times + _EPOCH_0


def submitting(entry: Entry) -> tuple[bytes | str, ...]:
    """The arguments of a submit; the last three are empty for a task without arguments and an outcome."""
    task, message, args, given = entry
    ids = wanted = b""
    if args:
        ids = packed_ids(args)
        wanted = b"".join(
            _ANY if inc is None else b"=" + inc for _, inc in sorted(args.items(), key=_id)
        )
    packed = b"" if given is None else packed_outcome(given)
    return task.id, record("E", task, message, ids), ids, wanted, packed


def finishing(ending: Ending) -> tuple[bytes | str, ...]:
    """The arguments of a finish."""
    task_id, given, retention_ms, claim_token = ending
    kind = b"f" if given.kind == "failure" else b"r"
    retained = b"%d" % retention(retention_ms)
    return task_id, token(claim_token), kind, given.message or b"", retained


def retention(ms: int | None) -> int:
    return FOREVER_MS if ms is None else ms


def token(value: Token | None) -> bytes:
    """Incarnation and start; empty for none. A start that no claim can have is left out, so nothing matches it."""
    if value is None:
        return b""
    if not 0 <= value.start < 2 ** (8 * START_BYTES):
        return value.incarnation
    return value.incarnation + value.start.to_bytes(START_BYTES, "big")


def packed_ids(ids: Iterable[str]) -> bytes:
    """Each id behind its length, in the order of code points, which is that of UTF-8."""
    encoded = sorted(task_id.encode() for task_id in ids)
    return b"".join(part for task_id in encoded for part in (_length(task_id), task_id))


def packed_outcome(outcome: Outcome) -> bytes:
    source = (outcome.source_id or "").encode()
    return b"".join((_LETTERS[outcome.kind], _length(source), source, outcome.message or b""))


def outcome(packed: bytes) -> Outcome:
    kind = _KINDS[packed[:1]]
    source, at = _take(packed, 1)
    return Outcome(kind, None if kind == "expired" else packed[at:], source.decode() or None)


def arguments(blob: bytes) -> Iterator[tuple[str, Outcome]]:
    """The arguments in a blob that have arrived."""
    at = 0
    while at < len(blob):
        task_id, at = _take(blob, at)
        row, at = _take(blob, at)
        if row[:1] in _KINDS:
            yield task_id.decode(), outcome(row[:1] + row[_ROW_OUTCOME_AT:])


def submitted(reply: bytes, given: Outcome | None) -> Submitted:
    """The answer to a submit, which was `given` this outcome."""
    match reply[:1]:
        case b"A":
            return _ACCEPTED
        case b"D":
            return _DUPLICATE
        case b"U":
            return Submitted("unavailable", reply[1:].decode())
        case _:  # an outcome of its own is not sent back
            return Submitted("accepted", outcome=outcome(reply[1:]) if len(reply) > 1 else given)


def finished(reply: bytes) -> Finished:
    return Finished(reply[:1] == b"A", reply[1:].decode() or None)


def popped(reply: bytes) -> Outcome | Sentinel | None:
    match reply[:1]:
        case b"O":
            return outcome(reply[1:])
        case b"R":
            return RESERVED
        case b"X":
            return TASK_EXPIRED
        case _:
            return None


def claim(packed: bytes) -> Claim:
    """One claim of an answer."""
    task_id, at = _take(packed, 0)
    start_at, end = at + INCARNATION_BYTES, at + _TOKEN_BYTES
    start = int.from_bytes(packed[start_at:end], "big")
    blob, message_at = _take(packed, end)
    held = dict(arguments(blob)) if blob else {}
    return Claim(task_id.decode(), Token(packed[at:start_at], start), packed[message_at:], held)


def parts(reply: bytes, at: int = 0) -> list[bytes]:
    """What follows there in a reply, each part behind its length."""
    found: list[bytes] = []
    while at < len(reply):
        part, at = _take(reply, at)
        found.append(part)
    return found


def _length(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH_BYTES, "big")


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes behind their length, and where they end."""
    begin = at + _LENGTH_BYTES
    end = begin + int.from_bytes(data[at:begin], "big")
    return data[begin:end], end


def _id(item: tuple[str, object]) -> str:
    return item[0]
