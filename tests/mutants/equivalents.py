"""What looked like a mutant and is none: no clause is broken by it. The table is laid out by hand."""

from tests.mutants.mutant import Mutant

TASKS = "queue/memory/tasks.py"
WAITING = "queue/memory/waiting.py"
LUA = "queue/redis/lua/"
REFERENCE = "queue/sqlite/reference.py"
SQLITE_QUEUE = "queue/sqlite/queue.py"

# fmt: off

# Each with the reason. It has no engine.
EQUIVALENT: tuple[tuple[Mutant, str], ...] = (
    (Mutant("SweepAtTheTimeBefore", TASKS, """\
        self.now_ms = now_ms
        while (task_id := self._deadlines.pop_passed(now_ms)) is not None:
            self._lapse(self._records[task_id])
""", """\
        while (task_id := self._deadlines.pop_passed(now_ms)) is not None:
            self._lapse(self._records[task_id])
        self.now_ms = now_ms
""", "TIM-6", ""),
     "A sweep makes expiries and requeues, and neither has a deadline: it needs no time."),
    (Mutant("NobodyWatches", WAITING, "        if self._watch is None:\n            self._watch = waiter\n",
           "        if self._watch is waiter:\n            self._watch = waiter\n", "ENV-WAIT-4", ""),
     "`settle`, which follows, makes somebody the watch, and has that one plan again."),
    (Mutant("PurgeFreesNothing", LUA + "purge.lua", "keys.wake, keys.args, keys.reserved)", "keys.wake)", "OUT-7 PRG-1", ""),
     "Nothing waits after a purge, and `seal` drops these keys whenever nothing waits."),
    (Mutant("HeadOfTheGone", LUA + "cascade.lua", "    call('HDEL', keys.args, incarnation(record))\n", "", "OUT-7", ""),
     "A reservation stands on the row of the argument, which `drop` removes; the head alone is garbage until nothing waits."),
    (Mutant("SetOfTheCompleted", LUA + "set_argument.lua", "if not record or sub(record, 1, 1) == 'C' then", "if not record then", "ARG-1", ""),
     "A COMPLETED record has lost the flag that says that it has arguments."),
    (Mutant("ReservationOfAnyIncarnation", LUA + "dependent.lua", " and sub(rows[2], 3, 18) == inc then", " then", "TOK-1 OUT-7", ""),
     "A reserved task that ends always reaches the row, so there is no row of an incarnation that is gone."),
    (Mutant("TakenInSilence", LUA + "looking.lua", "    consume(id)\n    tell(id)\n", "    consume(id)\n", "ENV-WAIT-5", ""),
     "Who waited was told when the task became COMPLETED, and nobody begins to wait for one that is."),
    (Mutant("EverybodyHasTheAlarm", LUA + "wait.lua", "if at and at > queue.now and at <= lease and session ~= SLEEPER then", "if false then", "ENV-WAIT-3", ""),
     "All who wait may wake at the next deadline; that only one does is an economy."),
    (Mutant("ReserveForTheCompleted", REFERENCE, "if dependent is None or dependent.state == COMPLETED:", "if dependent is None:", "RSV-2", ""),
     "A COMPLETED task has no arguments any more, so there is none to reserve."),
    (Mutant("ClockRingsNobody", SQLITE_QUEUE, "else clock.subscribe(wake)", "else clock.subscribe(lambda: None)", "ENV-WAIT-8", ""),
     "While somebody waits the watcher looks at the clock every 50 ms; that it is rung only makes it sooner."),
)

# Changes made by `sweep` that nobody finds, as it calls them: why they are no mistakes.
SURVIVORS: dict[str, str] = {
    "queue/memory/tasks __init__: 0 -> 1": "Of `now_ms` nobody asks before the first operation sets it; ages are only compared, so they may be counted from 1.",
    "queue/memory/taskqueue : process_local = True -> pass": "Of the schemes of worq itself `urls.PROCESS_LOCAL` says it.",
    "queue/memory/taskqueue : True -> False": "The same.",
    "queue/memory/taskqueue _end: return False -> return None": "It is asked for its truth alone.",
    "queue/memory/taskqueue _end: False -> True": "Who is closed again is counted no more, and nothing is freed that is needed.",
    "queue/memory/waiting : 0 -> 1": "`_plan` sets it before anybody reads it.",
    "queue/memory/waiting sleep: 1000 -> 1001": "It wakes a thousandth too early, and sleeps on.",
    "queue/memory/waiting wake_overdue: waiter.limit_ms is not None and waiter.limit_ms <= now_ms -> waiter.limit_ms is not None": "Whose limit has not passed looks, and sleeps on.",
    "queue/memory/deadlines : 64 -> 65": "How many stale entries are too few to make the heap anew is an economy.",
}
