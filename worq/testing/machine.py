"""The queue machine: random operations of several clients on several queues, in lockstep with the model.

Draws are symbolic ("the current token", "a stale one") and are resolved against the model alone, so that
histories collide often, shrink well, and stay valid programs whatever is cut out of them. Most are *aimed*:
of the tasks in the model one is taken to which the operation does something, and if there is none a step is done
towards one: Hypothesis switches rules off in most runs, and then hardly a claim finds a task and hardly a finish a
claim. Two machines drive the same operations: one with a rule for each, one with a single rule that draws from all.
"""

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Literal, TypedDict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from worq.testing.bench import Bench
from worq.testing.driver import Bulk, Do
from worq.testing.lockstep import Lockstep
from worq_model import operations as ops
from worq_model.values import (
    COMPLETED,
    ENQUEUED,
    EXPIRED,
    PENDING,
    PROCESSING,
    Options,
    Outcome,
    Task,
    Token,
    find,
)

IDS = ("a", "b", "\N{SNOWMAN}:{a} b", "c", "d")
RETENTIONS_MS = (1, 3, 5002, None)
LEASES_MS = (5002, 5004)  # the shortest there are: 2·heartrate + 5 s
USUAL = Options(lease_ms=5004, retention_ms=5002, attempts=2)

Which = Literal["any", "current", "stale"]
Moment = Literal["little", "before", "at", "after", "far"]
FROM_DEADLINE_MS: dict[Moment, int] = {"before": -1, "at": 0, "after": 1, "far": 5003}

ids: st.SearchStrategy[str] = st.sampled_from(IDS)
whiches: st.SearchStrategy[Which] = st.sampled_from(("any", "current", "current", "stale"))
messages: st.SearchStrategy[bytes] = st.binary(max_size=4)
options: st.SearchStrategy[Options] = st.builds(
    Options,
    st.sampled_from((False, False, False, True)),
    st.booleans(),
    st.sampled_from(LEASES_MS),
    st.sampled_from(RETENTIONS_MS),
    st.sampled_from((1, 1, 2)),
)
arguments: st.SearchStrategy[dict[str, Which]] = st.dictionaries(ids, whiches, max_size=2)
fetched: st.SearchStrategy[Outcome | None] = st.sampled_from(
    (None,) * 6 + (Outcome("failure", b"fetched", "x"), EXPIRED)
)
places: st.SearchStrategy[dict[str, int | bool]] = st.fixed_dictionaries(
    {
        "queue": st.sampled_from((0, 0, 0, 1)),
        "client": st.sampled_from((0, 1)),
        "api": st.booleans(),
        "aimed": st.sampled_from((True, True, True, True, True, False)),
    }
)
rarely: st.SearchStrategy[bool] = st.sampled_from((False,) * 7 + (True,))


class Place(TypedDict):
    """Who asks where, by which name; `aimed`: at a task that is there, if the operation needs one."""

    queue: int
    client: int
    api: bool
    aimed: bool


class Machine(RuleBasedStateMachine):
    """What both machines share. A subclass names its bench; `make_machine` does that."""

    bench: ClassVar[Bench]
    lockstep: Lockstep

    def __init__(self) -> None:
        super().__init__()
        self.lockstep = self.bench.lockstep()
        self._incarnations = 0
        self._failed = False
        self._known: dict[tuple[int, str], list[Hashable]] = {}

    def teardown(self) -> None:
        if not self._failed:
            self.bench.done(self.lockstep)

    def do(self, operation: ops.Operation, place: Place) -> ops.Reply:
        self._failed = True
        where = (place["queue"], place["client"], place["api"])
        reply = self.lockstep.do(Do(operation, *where))
        self._failed = False
        return reply

    def do_in_bulk(self, operations: Sequence[ops.Operation], place: Place) -> None:
        if operations:
            self._failed = True
            bulk = Bulk(tuple(operations), place["queue"], place["client"])
            self.lockstep.do_in_bulk(bulk)
            self._failed = False

    def tick(self, to: Moment, little: int) -> None:
        """A few milliseconds, or to the next deadline, give or take one, or far past it. [TIM-1] [TIM-2]"""
        left_ms = self.lockstep.next_deadline_ms()
        if to == "little" or left_ms is None:
            self.lockstep.tick(little)
        else:
            self.lockstep.tick(max(0, left_ms + FROM_DEADLINE_MS[to]))

    # Names become values here, with the help of the model only.

    def aim(self, place: Place, drawn: str, *states: str) -> str:
        """An id of a task in one of these states, which is made if there is none; with no states one that is free."""
        if not place["aimed"]:
            return drawn
        there = self._ids_in(place["queue"], states) if states else self._free_ids(place["queue"])
        if not there and states:
            self._come_nearer(place, states[0])
            there = self._ids_in(place["queue"], states)
        return there[IDS.index(drawn) % len(there)] if there else drawn

    def aim_at_argument(self, place: Place, drawn: str, dependent_id: str) -> str:
        """An id that a task can reserve: if it is there one that it misses, else any with a free outcome."""
        if not place["aimed"]:
            return drawn
        dependent = find(self.lockstep.states[place["queue"]], dependent_id)
        if dependent is None:
            self._have_an_argument(place, dependent_id)
        tasks = self.lockstep.states[place["queue"]].tasks
        there = [task.id for task in tasks if task.id != dependent_id and _is_free(task)]
        if dependent is not None:
            missed = [a.id for a in dependent.arguments if a.held is None]
            there = [each for each in there if each in missed] or missed
        return there[IDS.index(drawn) % len(there)] if there else drawn

    def _ids_in(self, queue: int, states: Sequence[str]) -> list[str]:
        return [task.id for task in self.lockstep.states[queue].tasks if task.state in states]

    def _reserved(self, queue: int) -> list[tuple[str, str]]:
        """Argument and dependent, where the one was reserved for the other."""
        tasks = self.lockstep.states[queue].tasks
        return [(a.id, task.id) for task in tasks for a in task.arguments if a.answer != "refused"]

    def _free_ids(self, queue: int) -> list[str]:
        return [task_id for task_id in IDS if find(self.lockstep.states[queue], task_id) is None]

    def _have_an_argument(self, place: Place, dependent_id: str) -> None:
        queue = place["queue"]
        free = [task_id for task_id in self._free_ids(queue) if task_id != dependent_id]
        if free and not any(map(_is_free, self.lockstep.states[queue].tasks)):
            self.do(ops.Submit(free[0], self.fresh(queue, free[0]), b"m", (), None, USUAL), place)

    def _come_nearer(self, place: Place, wanted: str) -> None:
        """Do what brings the queue nearer to a task in that state."""
        queue = place["queue"]
        free = self._free_ids(queue)
        if wanted == COMPLETED and (running := self._ids_in(queue, [PROCESSING])):
            self.do(ops.Finish(running[0], Outcome("result", b"r"), 5002), place)
        elif wanted in (PROCESSING, COMPLETED) and self._ids_in(queue, [ENQUEUED]):
            self.do(ops.Claim(), place)
        elif wanted == PENDING and free:
            others = tuple(task_id for task_id in IDS if task_id != free[-1])[:2]
            self.do(ops.Defer(free[-1], self.fresh(queue, free[-1]), b"m", others, USUAL), place)
        elif free:
            self.do(ops.Submit(free[0], self.fresh(queue, free[0]), b"m", (), None, USUAL), place)

    def fresh(self, queue: int, task_id: str) -> bytes:
        """A new incarnation of an id; those before it are stale, or will be."""
        self._incarnations += 1
        made = self._incarnations.to_bytes(16, "big")
        self._known.setdefault((queue, task_id), [b"\xff" * 16]).append(made)
        return made

    def incarnation(self, queue: int, task_id: str, which: Which) -> Hashable:
        if which == "any":
            return None
        task = find(self.lockstep.states[queue], task_id)
        if which == "current" and task is not None:
            return task.incarnation
        known = self._known.get((queue, task_id), [b"\xff" * 16])
        return next(made for made in reversed(known) if task is None or made != task.incarnation)

    def token(self, queue: int, task_id: str, which: Which, behind: int) -> Token | None:
        """`behind`: of an earlier start of the incarnation there."""
        incarnation = self.incarnation(queue, task_id, which)
        if incarnation is None:
            return None
        task = find(self.lockstep.states[queue], task_id)
        last = [s.token.start for s in self.lockstep.states[queue].last_starts if s.id == task_id]
        start = task.start if task is not None else max(last, default=1)
        return Token(incarnation, max(0, start - behind))

    def submission(self, task_id: str, place: Place, again: bool) -> Hashable:
        """The incarnation to submit with: the one that is there, as after a lost reply, or a fresh one."""
        queue: int = place["queue"]
        task = find(self.lockstep.states[queue], task_id)
        return task.incarnation if again and task is not None else self.fresh(queue, task_id)


behinds: st.SearchStrategy[int] = st.sampled_from((0, 0, 0, 1))
kept_ms: st.SearchStrategy[int | None] = st.sampled_from((0, *RETENTIONS_MS))
agains: st.SearchStrategy[bool] = st.sampled_from((False, False, False, True))
ticks: st.SearchStrategy[Moment] = st.sampled_from(("little", "before", "at", "at", "after", "far"))
littles: st.SearchStrategy[int] = st.integers(0, 6)


class RulesMachine(Machine):
    """A rule for each operation."""

    @rule(
        place=places,
        task_id=ids,
        message=messages,
        args=arguments,
        options=options,
        outcome=fetched,
        again=agains,
    )
    def submit(
        self,
        place: Place,
        task_id: str,
        message: bytes,
        args: dict[str, Which],
        options: Options,
        outcome: Outcome | None,
        again: bool,
    ) -> None:
        self.do(self._submit(place, task_id, message, args, options, outcome, again), place)

    def _submit(
        self,
        place: Place,
        task_id: str,
        message: bytes,
        args: dict[str, Which],
        options: Options,
        outcome: Outcome | None,
        again: bool,
    ) -> ops.Submit:
        if not again:
            task_id = self.aim(place, task_id)
        incarnation = self.submission(task_id, place, again)
        aimed: dict[str, Which] = {
            self.aim_at_argument(place, arg, task_id): which for arg, which in args.items()
        }
        pairs = tuple(
            (arg, self.incarnation(place["queue"], arg, which)) for arg, which in aimed.items()
        )
        return ops.Submit(task_id, incarnation, message, pairs, outcome, options)

    @rule(
        place=places,
        task_id=ids,
        message=messages,
        args=st.sets(ids, min_size=1),
        options=options,
        again=agains,
    )
    def defer(
        self,
        place: Place,
        task_id: str,
        message: bytes,
        args: set[str],
        options: Options,
        again: bool,
    ) -> None:
        if not again:
            task_id = self.aim(place, task_id)
        incarnation = self.submission(task_id, place, again)
        self.do(ops.Defer(task_id, incarnation, message, tuple(sorted(args)), options), place)

    @rule(place=places)
    def claim(self, place: Place) -> None:
        self.do(ops.Claim(), place)

    @rule(
        place=places,
        task_id=ids,
        message=messages,
        failed=st.booleans(),
        retention_ms=kept_ms,
        which=whiches,
        behind=behinds,
    )
    def finish(
        self,
        place: Place,
        task_id: str,
        message: bytes,
        failed: bool,
        retention_ms: int | None,
        which: Which,
        behind: int,
    ) -> None:
        self.do(self._finish(place, task_id, message, failed, retention_ms, which, behind), place)

    def _finish(
        self,
        place: Place,
        task_id: str,
        message: bytes,
        failed: bool,
        retention_ms: int | None,
        which: Which,
        behind: int,
    ) -> ops.Finish:
        task_id = self.aim(place, task_id, PROCESSING)
        token = self.token(place["queue"], task_id, which, behind)
        outcome = Outcome("failure" if failed else "result", message)
        return ops.Finish(task_id, outcome, retention_ms, token)

    @rule(place=places, task_id=ids, lease_ms=st.integers(0, 6), which=whiches, behind=behinds)
    def heartbeat(
        self, place: Place, task_id: str, lease_ms: int, which: Which, behind: int
    ) -> None:
        task_id = self.aim(place, task_id, PROCESSING)
        self.do(
            ops.Heartbeat(task_id, lease_ms, self.token(place["queue"], task_id, which, behind)),
            place,
        )

    @rule(place=places, task_id=ids, which=whiches, behind=behinds, begun=st.booleans())
    def release(self, place: Place, task_id: str, which: Which, behind: int, begun: bool) -> None:
        task_id = self.aim(place, task_id, PROCESSING)
        token = self.token(place["queue"], task_id, which, behind)
        self.do(ops.Release(task_id, token, begun), place)

    @rule(place=places, task_id=ids, which=whiches)
    def pop(self, place: Place, task_id: str, which: Which) -> None:
        self.do(self._pop(place, task_id, which), place)

    def _pop(self, place: Place, task_id: str, which: Which) -> ops.Pop:
        task_id = self.aim(place, task_id, COMPLETED)
        return ops.Pop(task_id, self.incarnation(place["queue"], task_id, which))

    @rule(place=places, task_id=ids, which=whiches)
    def discard(self, place: Place, task_id: str, which: Which) -> None:
        task_id = self.aim(place, task_id, PENDING, ENQUEUED, PROCESSING)
        self.do(ops.Discard(task_id, self.incarnation(place["queue"], task_id, which)), place)

    @rule(place=places, really=rarely)
    def purge(self, place: Place, really: bool) -> None:
        """Rarely, or no task would grow old."""
        self.do(ops.Purge() if really else ops.Size(), place)

    @rule(place=places, task_id=ids, which=whiches)
    def status(self, place: Place, task_id: str, which: Which) -> None:
        self.do(ops.Status(task_id, self.incarnation(place["queue"], task_id, which)), place)

    @rule(place=places, task_id=ids, which=whiches)
    def undefer(self, place: Place, task_id: str, which: Which) -> None:
        task_id = self.aim(place, task_id, PENDING)
        self.do(ops.Undefer(task_id, self.incarnation(place["queue"], task_id, which)), place)

    @rule(
        place=places,
        argument_id=ids,
        deferred_id=ids,
        which=whiches,
        deferred=whiches,
        again=agains,
    )
    def reserve(
        self,
        place: Place,
        argument_id: str,
        deferred_id: str,
        which: Which,
        deferred: Which,
        again: bool,
    ) -> None:
        queue = place["queue"]
        pairs = self._reserved(queue) if again else []
        if pairs:
            argument_id, deferred_id = pairs[IDS.index(argument_id) % len(pairs)]
        else:
            deferred_id = self.aim(place, deferred_id, PENDING)
            argument_id = self.aim_at_argument(place, argument_id, deferred_id)
        incarnation = self.incarnation(queue, argument_id, which)
        deferred_incarnation = self.incarnation(queue, deferred_id, deferred)
        self.do(
            ops.ReserveArgument(argument_id, deferred_id, incarnation, deferred_incarnation), place
        )

    @rule(place=places, task_id=ids, argument_id=ids, message=messages, which=whiches)
    def set_argument(
        self, place: Place, task_id: str, argument_id: str, message: bytes, which: Which
    ) -> None:
        task_id = self.aim(place, task_id, PENDING)
        argument_id = self.aim_at_argument(place, argument_id, task_id)
        incarnation = self.incarnation(place["queue"], task_id, which)
        self.do(ops.SetArgument(task_id, argument_id, message, incarnation), place)

    @rule(place=places, task_id=ids, which=whiches, behind=behinds)
    def get_arguments(self, place: Place, task_id: str, which: Which, behind: int) -> None:
        last_starts = self.lockstep.states[place["queue"]].last_starts
        if last_starts and place["aimed"]:
            task_id = last_starts[IDS.index(task_id) % len(last_starts)].id
        self.do(
            ops.GetArguments(task_id, self.token(place["queue"], task_id, which, behind)), place
        )

    @rule(
        place=places,
        drawn=st.lists(
            st.tuples(ids, messages, arguments, options, fetched, agains), min_size=1, max_size=4
        ),
    )
    def submit_many(self, place: Place, drawn: list[tuple[Any, ...]]) -> None:
        self.do_in_bulk([self._submit(place, *each) for each in drawn], place)

    @rule(
        place=places,
        drawn=st.lists(
            st.tuples(ids, messages, st.booleans(), kept_ms, whiches, behinds), max_size=3
        ),
        claims=st.integers(0, 3),
    )
    def finish_many(self, place: Place, drawn: list[tuple[Any, ...]], claims: int) -> None:
        """One after another; what comes of the first is not known to those who draw the next."""
        finishes = [self._finish(place, *each) for each in drawn]
        self.do_in_bulk([*finishes, *[ops.Claim()] * claims], place)

    @rule(place=places, limit=st.integers(1, 4))
    def claim_many(self, place: Place, limit: int) -> None:
        self.do_in_bulk([ops.Claim()] * limit, place)

    @rule(place=places, drawn=st.lists(st.tuples(ids, whiches), min_size=1, max_size=4))
    def pop_many(self, place: Place, drawn: list[tuple[Any, ...]]) -> None:
        self.do_in_bulk([self._pop(place, *each) for each in drawn], place)

    @rule(to=ticks, little=littles)
    def time_passes(self, to: Any, little: int) -> None:
        self.tick(to, little)


KINDS = (
    *("submit", "feed", "feed", "claim", "claim", "claim", "finish", "fail", "time", "time") * 3,
    *(
        "beat",
        "release",
        "give back",
        "pop",
        "discard",
        "defer",
        "reserve",
        "reserve",
        "set",
        "arguments",
    )
    * 2,
    "purge",
)
LIVE = (PENDING, ENQUEUED, PROCESSING)
# What each kind does something to: tasks in these states; none: an id that is free, or any will do.
AIMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(KINDS, ()),
    **dict.fromkeys(("finish", "fail", "beat", "release", "give back"), (PROCESSING,)),
    **dict.fromkeys(("reserve", "set"), (PENDING,)),
    **dict.fromkeys(("discard", "arguments"), LIVE),
    "pop": (COMPLETED,),
}


class OneRuleMachine(Machine):
    """One rule that draws from all operations: short programs over few values, which Hypothesis shrinks best."""

    @rule(
        kind=st.sampled_from(KINDS),
        one=ids,
        other=ids,
        which=whiches,
        options=options,
        to=ticks,
        aimed=st.sampled_from((True, True, True, True, True, False)),
    )
    def operate(
        self,
        kind: str,
        one: str,
        other: str,
        which: Which,
        options: Options,
        to: Any,
        aimed: bool,
    ) -> None:
        if kind == "time":
            self.tick(to, 2)
            return
        place = Place(queue=0, client=0, api=False, aimed=aimed)
        one = self.aim(place, one, *AIMS[kind])
        other = self.aim_at_argument(place, other, one)
        self.do(self._operation(kind, one, other, which, options), place)

    def _operation(
        self, kind: str, one: str, other: str, which: Which, options: Options
    ) -> ops.Operation:
        match kind:
            case "submit":
                return ops.Submit(one, self.fresh(0, one), b"m", (), None, options)
            case "feed":
                return ops.Submit(one, self.fresh(0, one), b"m", ((other, None),), None, options)
            case "claim":
                return ops.Claim()
            case "finish":
                return ops.Finish(one, Outcome("result", b"r"), 3, self.token(0, one, which, 0))
            case "fail":
                return ops.Finish(one, Outcome("failure", b"f"), 3, self.token(0, one, which, 0))
            case "beat":
                return ops.Heartbeat(one, 4, self.token(0, one, which, 0))
            case "release":
                return ops.Release(one, self.token(0, one, which, 0))
            case "give back":
                return ops.Release(one, self.token(0, one, which, 0), begun=False)
            case "pop":
                return ops.Pop(one, self.incarnation(0, one, which))
            case "discard":
                return ops.Discard(one, self.incarnation(0, one, which))
            case "purge":
                return ops.Purge()
            case "defer":
                return ops.Defer(one, self.fresh(0, one), b"m", (other,), options)
            case "reserve":
                return ops.ReserveArgument(other, one, self.incarnation(0, other, which))
            case "set":
                return ops.SetArgument(one, other, b"s", self.incarnation(0, one, which))
            case _:
                return ops.GetArguments(one, self.token(0, one, which, 0))


def _is_free(task: Task) -> bool:
    return task.dependent_id is None and not task.options.ignore_result


MACHINES: tuple[type[Machine], ...] = (RulesMachine, OneRuleMachine)


def make_machine(machine: type[Machine], bench: Bench) -> type[Machine]:
    """The machine, bound to the queues of a bench: `run_state_machine_as_test` takes it."""
    return type(machine.__name__, (machine,), {"bench": bench})
