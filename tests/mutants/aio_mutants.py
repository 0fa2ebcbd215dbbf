"""Mutants of coroutine tasks and of `worq.aio`. The table is laid out by hand."""

from tests.mutants.mutant import Mutant

CORE = "core.py"
COROUTINES = "coroutines.py"
SHIFT = "pool/shift.py"
KEEPER = "pool/keeper.py"
ARRIVALS = "aio/arrivals.py"
BROKER = "aio/broker.py"
AIO_COLLECTING = "aio/collecting.py"
THREADS = "aio/threads.py"
DEFERRED = "deferred.py"
IN_MEMORY = "queue/memory/aio.py"
ON_REDIS = "queue/redis/aio.py"

# fmt: off

AIO: tuple[Mutant, ...] = (
    Mutant("CoroutinesAreResults", CORE, "if isinstance(result, Coroutine) else result", "if result is None else result", "ENV-AIO-1", "coroutines", "as_others"),
    Mutant("StraysRunOn", COROUTINES, "        while others := asyncio.all_tasks() - {limit.task}:\n            await _cancel(others)\n", "", "ENV-AIO-2", "coroutines", "left_running"),
    Mutant("StraysAreNotAwaited", COROUTINES, "        while others := asyncio.all_tasks() - {limit.task}:\n            await _cancel(others)\n", "        for other in asyncio.all_tasks() - {limit.task}:\n            other.cancel()\n", "ENV-AIO-2", "coroutines", "left_running"),
    Mutant("StraysFailUnheard", COROUTINES, '            log.error("failed after its task had ended: %r", task, exc_info=error)\n', "            del log\n", "ENV-AIO-2", "coroutines", "is_logged"),
    Mutant("GeneratorsCostTheLoop", COROUTINES, "        for _ in range(2):  #", "        for _ in range(0):  #", "ENV-AIO-2", "coroutines", "generator"),
    Mutant("OneContextForAll", COROUTINES, "context=copy_context()", "context=None", "ENV-AIO-2", "coroutines", "context"),
    Mutant("BrokenLoopsAreKept", COROUTINES, "                self.close()  # SystemExit", "                pass  # SystemExit", "ENV-AIO-1", "coroutines", "whatever", needs="threads"),
    Mutant("LoopsOutliveTheirPool", COROUTINES, "        _here.loop = None\n        loop.close()\n", "        _here.loop = None\n", "ENV-AIO-2", "coroutines", "closes_its_loops", needs="threads"),
    Mutant("ALoopForEachCoroutine", SHIFT, "            with coroutines.loop_kept():\n                body()\n", "            body()\n", "ENV-AIO-2", "coroutines", "left_running", needs="threads"),
    Mutant("CoroutinesHaveNoLimit", KEEPER, '                is_ended = end(f"time limit of {task.time_limit:g} s passed")\n', "                is_ended = False\n", "ENV-AIO-3", "coroutines", "time_limit", needs="threads"),
    Mutant("LimitsThatComeEarlyAreForgotten", COROUTINES, "    if limit.reason is not None:\n        raise asyncio.CancelledError\n", "", "ENV-AIO-3", "coroutines", "before_the_coroutine"),
    Mutant("LimitsThatComeLateCount", COROUTINES, "        limit.is_over = True\n", "", "ENV-AIO-3", "coroutines", "comes_too_late"),
    Mutant("LimitIsNoReason", COROUTINES, "            if limit.reason is None:\n                raise\n", "            if limit.reason is not None:\n                raise\n", "ENV-AIO-3", "coroutines", "time_limit", needs="threads"),
    # producers
    Mutant("FetchedForNobody", ARRIVALS, "            self._settle(deferreds, answers)\n", "            self._settle([each for each in deferreds if each in self.wanted], answers)\n", "ENV-AIO-6", "aio", "test_aio", needs="threads"),
    Mutant("CancelledWaitsGoOn", ARRIVALS, "                await group.leave(deferred)\n", "                pass\n", "ENV-AIO-6", "aio", "takes_nothing", needs="threads"),
    Mutant("WhoLeavesDoesNotWait", ARRIVALS, "            await asyncio.wait({self._round}, timeout=LEAVE_S)\n", "", "ENV-AIO-6", "aio", "takes_nothing", needs="threads"),
    Mutant("OneWhoIsCancelledEndsAll", ARRIVALS, "            await asyncio.shield(want.arrived)\n", "            await want.arrived\n", "ENV-AIO-5", "aio", "several_may_await", needs="threads"),
    Mutant("NewcomersWaitForTheOthers", ARRIVALS, "        if self.poke is not None:\n            self.poke()\n", "", "ENV-AIO-5", "aio", "deferreds_of_several or takes_nothing or wait_says", needs="threads"),
    Mutant("LaterIncarnationsAreTaken", ARRIVALS, "seen.get(each, _incarnation(each))", "_incarnation(each)", "ENV-AIO-6", "arrivals"),
    Mutant("ErrorsAreNotTold", ARRIVALS, "                    want.arrived.set_exception(error)\n", "                    want.arrived.set_result(None)\n", "ENV-AIO-8", "aio", "closed"),
    Mutant("ReservedIsAwaited", DEFERRED, '            if self.held is None:\n                raise AttributeError(f"{PASSED_ON}: {self!r}")\n', "", "ENV-AIO-5", "aio", "raises_as_the_value"),
    Mutant("AnyLoopMay", BROKER, "        if self._used[0] is not asyncio.get_running_loop():\n", "        if self._used[0] is None:\n", "ENV-AIO-8", "aio", "one_event_loop"),
    Mutant("ClosedBrokersOpenAgain", BROKER, "        self._is_closed = True\n", "        self._used = self._used\n", "ENV-AIO-8", "aio", "closed"),
    Mutant("CloseIsCutOff", BROKER, "        await asyncio.shield(self._closing)\n", "        await self._closing\n", "ENV-AIO-8", "aio", "close_goes_on", needs="threads"),
    Mutant("PassedOnIsAwaited", AIO_COLLECTING, "            if each.has_value() or each.is_passed_on:\n", "            if each.has_value():\n", "ENV-AIO-9", "aio", "wait_says or each_comes"),
    Mutant("ErrorsComeFirst", AIO_COLLECTING, "        if self._error is not None and not arrived:\n", "        if self._error is not None:\n", "ENV-AIO-9", "aio", "with_an_error"),
    Mutant("TimeoutIsSilent", AIO_COLLECTING, "            if arrived is None and pending:\n", "            if arrived is None:\n                return\n            if not pending and until is None:\n", "ENV-AIO-9", "aio", "each_comes"),
    Mutant("WokenInNoLoop", IN_MEMORY, "            self._loop.call_soon_threadsafe(self._opened.set)\n", "            pass\n", "ENV-AIO-5", "aio", "awaited_and_so", needs="threads"),
    Mutant("WhoWaitsStaysRegistered", IN_MEMORY, "        self.leave()\n        if self._records is None", "        self._waiter = None\n        if self._records is None", "ENV-AIO-9", "aio memory", needs="threads"),
    Mutant("WakeUpsComeTooEarly", ON_REDIS, "            if is_blocked and not was_poked:\n", "            if not is_blocked:\n", "ENV-AIO-5", "aio on Redis", "joins", needs="threads"),
    Mutant("RepliesOnTheirWayAreLost", ON_REDIS, "                if script is not scripts.POP_MANY:\n                    raise\n", "                if script is not None:\n                    raise\n", "ENV-AIO-6", "aio on Redis", "on_its_way", needs="threads"),
    Mutant("LooksForRightsGoOn", ON_REDIS, "            looking.interrupt()\n", "            del looking\n", "ENV-AIO-8", "aio on Redis", "look_for_rights", needs="threads"),
    Mutant("NewNumberForEachTry", ON_REDIS, "                command = self._command(channel, script, number,", "                command = self._command(channel, script, channel.next_number(),", "ENV-AIO-4 ENV-RETRY-1", "aio on Redis", "nothing_happens_twice", needs="crash"),
)
