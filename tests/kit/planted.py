# ruff: noqa: SLF001 (mistakes are planted inside)
"""Backends with a mistake: the memory queue with one operation that is wrong, and the clause that it breaks."""

import time
from collections.abc import Callable
from typing import Any

from worq.const import ENQUEUED, PENDING, PROCESSING, RESERVED, TASK_EXPIRED
from worq.queue.memory import TaskQueue
from worq.values import Claim, Finished, Submitted

MISTAKES: dict[str, tuple[str, type[TaskQueue]]] = {}


def breaks(clause: str) -> Callable[[type[TaskQueue]], type[TaskQueue]]:
    """Names the clause that a mistake breaks."""

    def note(kind: type[TaskQueue]) -> type[TaskQueue]:
        MISTAKES[kind.__name__] = clause, kind
        return kind

    return note


def tasks_of(queue: Any) -> Any:
    return queue._store.tasks


@breaks("CLM-1")
class ClaimsTheNewest(TaskQueue):
    def _claim(self, timeout_ms: Any) -> Any:
        def turn() -> None:
            ready = tasks_of(self)._ready
            if ready:
                ready.move_to_end(next(reversed(ready)), last=False)

        self._apply(turn)
        return super()._claim(timeout_ms)


@breaks("CLM-4")
class ClaimsWithoutArguments(TaskQueue):
    def _claim(self, timeout_ms: Any) -> Any:
        claim = super()._claim(timeout_ms)
        return claim and claim._replace(arguments={})


@breaks("TOK-3")
class StartsAreNotCounted(TaskQueue):
    def _claim(self, timeout_ms: Any) -> Any:
        claim: Claim | None = super()._claim(timeout_ms)
        return claim and claim._replace(token=claim.token._replace(start=1))


@breaks("SUB-1")
class SubmitsAgainAreDuplicates(TaskQueue):
    def _submit(self, task: Any, *args: Any) -> Any:
        if self._status(task.id, None) is not None:
            return Submitted("duplicate")
        return super()._submit(task, *args)


@breaks("SUB-2")
class SubmitsReplace(TaskQueue):
    def _submit(self, task: Any, *args: Any) -> Any:
        if self._status(task.id, task.incarnation) is None:
            self._discard(task.id, None)
        return super()._submit(task, *args)


@breaks("SUB-3")
class NamesTheLastUnavailable(TaskQueue):
    def _submit(self, task: Any, message: Any, args: Any, outcome: Any) -> Any:
        answer = super()._submit(task, message, args, outcome)
        return answer if answer.argument_id is None else answer._replace(argument_id=max(args))


@breaks("SUB-4")
class KeepsNoFetchedFailure(TaskQueue):
    def _submit(self, task: Any, message: Any, args: Any, outcome: Any) -> Any:
        answer = super()._submit(task, message, args, outcome)
        if outcome is not None and answer.status == "accepted":
            self._discard(task.id, None)
        return answer


@breaks("FIN-4")
class DropsTheOutcome(TaskQueue):
    def _finish(self, task_id: str, *args: Any) -> Any:
        done = super()._finish(task_id, *args)
        if done.accepted:
            self._discard(task_id, None)
        return done


@breaks("TOK-1")
class FinishesWithAStaleToken(TaskQueue):
    def _finish(self, task_id: str, outcome: Any, retention_ms: Any, token: Any) -> Any:
        return super()._finish(task_id, outcome, retention_ms, None)


@breaks("FIN-1")
class FinishesTwice(TaskQueue):
    def _finish(self, *args: Any) -> Any:
        super()._finish(*args)
        return Finished(accepted=True)


@breaks("FIN-2")
class NamesNoDependent(TaskQueue):
    def _finish(self, *args: Any) -> Any:
        return super()._finish(*args)._replace(dependent_id=None)


@breaks("OUT-5")
class FailuresArePassed(TaskQueue):
    def _submit(self, task: Any, *args: Any) -> Any:
        return super()._submit(task._replace(passes_errors=True), *args)


@breaks("OUT-2")
class FailuresAreNeverPassed(TaskQueue):
    def _submit(self, task: Any, *args: Any) -> Any:
        return super()._submit(task._replace(passes_errors=False), *args)


@breaks("OUT-6")
class ExpiriesAreNotPassedOn(TaskQueue):
    def _discard(self, task_id: str, incarnation: Any) -> Any:
        def forget() -> None:
            record = tasks_of(self).find(task_id, incarnation)
            if record is not None and record.dependent is not None:
                record.dependent = None

        self._apply(forget)
        return super()._discard(task_id, incarnation)


@breaks("TIM-3")
class StartsOnce(TaskQueue):
    def _submit(self, task: Any, *args: Any) -> Any:
        return super()._submit(task._replace(attempts=1), *args)


@breaks("TIM-4")
class LeasesAreTooLong(TaskQueue):
    def _heartbeat(self, task_id: str, lease_ms: int, token: Any) -> Any:
        return super()._heartbeat(task_id, lease_ms + 1, token)


@breaks("TIM-5")
class OutcomesAreKeptForEver(TaskQueue):
    def _finish(self, task_id: str, outcome: Any, retention_ms: Any, token: Any) -> Any:
        return super()._finish(task_id, outcome, None, token)


@breaks("HRT-2")
class HeartbeatsAreAlwaysHeard(TaskQueue):
    def _heartbeat(self, *args: Any) -> bool:
        super()._heartbeat(*args)
        return True


@breaks("REL-1")
class ReleasesDoNothing(TaskQueue):
    def _release(self, task_id: str, token: Any, *, begun: bool) -> bool:
        return tasks_of(self)._claimed(task_id, token) is not None


@breaks("REL-3")
class NothingCanBeGivenBack(TaskQueue):
    def _release(self, task_id: str, token: Any, *, begun: bool) -> bool:
        return begun and super()._release(task_id, token, begun=True)


@breaks("POP-1")
class AbsentIsNotYet(TaskQueue):
    def _pop(self, *args: Any) -> Any:
        popped = super()._pop(*args)
        return None if popped is TASK_EXPIRED else popped


@breaks("POP-3")
class ReservedIsNotYet(TaskQueue):
    def _pop(self, *args: Any) -> Any:
        popped = super()._pop(*args)
        return None if popped is RESERVED else popped


@breaks("POP-5")
class PopsLeaveTheOutcome(TaskQueue):
    def _pop(self, task_id: str, timeout_ms: Any, incarnation: Any) -> Any:
        outcome = self._apply(
            lambda: getattr(tasks_of(self).find(task_id, incarnation), "outcome", None)
        )
        return outcome or super()._pop(task_id, timeout_ms, incarnation)


@breaks("DSC-1")
class RunningTasksStay(TaskQueue):
    def _discard(self, task_id: str, incarnation: Any) -> Any:
        if self._status(task_id, incarnation) == PROCESSING:
            return True
        return super()._discard(task_id, incarnation)


@breaks("PRG-1")
class PendingTasksStay(TaskQueue):
    def _purge(self) -> int:
        ready = self._apply(lambda: list(tasks_of(self)._ready))
        return sum(super(PendingTasksStay, self)._discard(task_id, None) for task_id in ready)


@breaks("PRG-2")
class PurgesWhatRuns(TaskQueue):
    def _purge(self) -> int:
        def end() -> None:
            tasks = tasks_of(self)
            for record in [r for r in tasks._records.values() if r.state == PROCESSING]:
                tasks._remove(record)

        purged = super()._purge()
        self._apply(end)
        return purged


@breaks("SIZ-1")
class CountsWhatRuns(TaskQueue):
    def _size(self) -> int:
        return self._apply(
            lambda: sum(
                r.state in (PENDING, ENQUEUED, PROCESSING) for r in tasks_of(self)._records.values()
            )
        )


@breaks("DFR-1")
class DefersAnyId(TaskQueue):
    def _defer(self, *args: Any) -> bool:
        super()._defer(*args)
        return True


@breaks("ARG-4")
class TheLastArgumentIsNotSeen(TaskQueue):
    def _set_argument(self, *args: Any) -> bool:
        super()._set_argument(*args)
        return False


@breaks("GAR-1")
class ReadingTakesTheArguments(TaskQueue):
    def _get_arguments(self, task_id: str, token: Any) -> Any:
        got = super()._get_arguments(task_id, token)
        self._apply(lambda: getattr(tasks_of(self).find(task_id, None), "arguments", {}).clear())
        return got


@breaks("RSV-3")
class WhatIsThereIsOnlyPromised(TaskQueue):
    def _reserve_argument(self, *args: Any) -> Any:
        reserved, _ = super()._reserve_argument(*args)
        return reserved, None


@breaks("ENV-WAIT-2")
class NobodyIsWoken(TaskQueue):
    def _submit(self, *args: Any) -> Any:
        def submit_and_tell_nobody() -> Any:
            self._look()
            return tasks_of(self).submit(*args)

        return self._store.guard.run(submit_and_tell_nobody)


@breaks("ENV-WAIT-3")
class LooksAllTheTime(TaskQueue):
    def _claim(self, timeout_ms: Any) -> Any:
        until_s = float("inf") if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        while (claim := super()._claim(0)) is None and time.monotonic() < until_s:
            time.sleep(0.01)
        return claim


@breaks("ENV-WAIT-6")
class AllClaimsWake(TaskQueue):
    def _submit(self, *args: Any) -> Any:
        def wake() -> None:
            for waiter in self._store.waiting._sleepers:
                waiter.gate.open()

        answer = super()._submit(*args)
        self._store.guard.run(wake)
        return answer


@breaks("ENV-WAIT-7")
class ClosedIsStillOpen(TaskQueue):
    def close(self) -> None:
        pass


@breaks("ENV-BAD-3")
class TextIsAMessage(TaskQueue):
    def submit(self, result: Any, message: Any, *args: Any, **kw: Any) -> Any:
        message = message.encode() if isinstance(message, str) else message
        return super().submit(result, message, *args, **kw)


class AsksAgain(TaskQueue):
    """Where a reply is lost it asks again, and what it asks happens twice."""

    loses = False

    def _apply(self, *args: Any, **kw: Any) -> Any:
        if self.loses:
            self.loses = False
            super()._apply(*args, **kw)
        return super()._apply(*args, **kw)
