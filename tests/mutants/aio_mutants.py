"""Mutants of coroutine tasks and of `worq.aio`. The table is laid out by hand."""

from tests.mutants.mutant import Mutant

CORE = "core.py"
COROUTINES = "coroutines.py"
SHIFT = "pool/shift.py"
KEEPER = "pool/keeper.py"

# fmt: off

AIO: tuple[Mutant, ...] = (
    Mutant("CoroutinesAreResults", CORE, "if isinstance(result, CoroutineType) else result", "if result is None else result", "ENV-AIO-1", "coroutines", "as_others"),
    Mutant("StraysRunOn", COROUTINES, "        while others := asyncio.all_tasks() - {limit.task}:\n            await _cancel(others)\n", "", "ENV-AIO-2", "coroutines", "left_running"),
    Mutant("StraysAreNotAwaited", COROUTINES, "        while others := asyncio.all_tasks() - {limit.task}:\n            await _cancel(others)\n", "        for other in asyncio.all_tasks() - {limit.task}:\n            other.cancel()\n", "ENV-AIO-2", "coroutines", "left_running"),
    Mutant("StraysFailUnheard", COROUTINES, '            _log.error("failed after its task had ended: %r", task, exc_info=error)\n', "            pass\n", "ENV-AIO-2", "coroutines", "is_logged"),
    Mutant("GeneratorsCostTheLoop", COROUTINES, "        for _ in range(2):  #", "        for _ in range(0):  #", "ENV-AIO-2", "coroutines", "generator"),
    Mutant("OneContextForAll", COROUTINES, "context=copy_context()", "context=None", "ENV-AIO-2", "coroutines", "context"),
    Mutant("BrokenLoopsAreKept", COROUTINES, "                self.close()  # SystemExit", "                pass  # SystemExit", "ENV-AIO-1", "coroutines", "whatever", needs="threads"),
    Mutant("LoopsOutliveTheirPool", COROUTINES, "        _here.loop = None\n        loop.close()\n", "        _here.loop = None\n", "ENV-AIO-2", "coroutines", "closes_its_loops", needs="threads"),
    Mutant("ALoopForEachCoroutine", SHIFT, "            with coroutines.loop_kept():\n                body()\n", "            body()\n", "ENV-AIO-2", "coroutines", "left_running", needs="threads"),
    Mutant("CoroutinesHaveNoLimit", KEEPER, '                is_ended = end(f"time limit of {task.time_limit:g} s passed")\n', "                is_ended = False\n", "ENV-AIO-3", "coroutines", "time_limit", needs="threads"),
    Mutant("LimitsThatComeEarlyAreForgotten", COROUTINES, "    if limit.reason is not None:\n        raise asyncio.CancelledError\n", "", "ENV-AIO-3", "coroutines", "before_the_coroutine"),
    Mutant("LimitIsNoReason", COROUTINES, "            if limit.reason is None:\n                raise\n", "            if limit.reason is not None:\n                raise\n", "ENV-AIO-3", "coroutines", "time_limit", needs="threads"),
)
