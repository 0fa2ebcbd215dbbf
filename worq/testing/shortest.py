"""The shortest part of a program that shows what is wrong: delta debugging on a bench."""

from collections.abc import Callable

from worq.testing.bench import Bench
from worq.testing.driver import BulkProgram, Do
from worq.testing.lockstep import Lockstep
from worq_model import operations as ops


def run(bench: Bench, program: BulkProgram, *, observe: bool = True) -> None:
    """A program from empty queues to the end of every task; what goes wrong is raised by its shortest part."""
    lockstep = bench.lockstep()
    try:
        lockstep.run(program, observe=observe)
        bench.done(lockstep)
    except AssertionError:
        raise_shortest(bench, lockstep)
        raise


def raise_shortest(bench: Bench, failed: Lockstep) -> None:
    """Leave out what need not be there of what was done: halves first, single steps last.

    What goes wrong before all tasks have been ended is shown without ending them.
    """
    program = failed.program
    winds_up = _failure_of(bench, program, failed, winds_up=False) is None

    def fails(program: BulkProgram) -> bool:
        return _failure_of(bench, program, failed, winds_up=winds_up) is not None

    longer: BulkProgram = ()
    while program != longer:
        longer = program
        program = _simpler(_shorter(program, fails), fails)
    failure = _failure_of(bench, program, failed, winds_up=winds_up)
    if failure is not None:
        raise failure from None


def _shorter(program: BulkProgram, fails: Callable[[BulkProgram], bool]) -> BulkProgram:
    size = len(program)
    while size:
        for start in range(0, len(program), size):
            shorter = program[:start] + program[start + size :]
            if fails(shorter):
                program = shorter
                break
        else:
            size //= 2
    return program


def _simpler(program: BulkProgram, fails: Callable[[BulkProgram], bool]) -> BulkProgram:
    """Without the arguments of tasks that need not have any: then those need not be there."""
    for place, entry in enumerate(program):
        if (
            isinstance(entry, Do)
            and isinstance(entry.operation, ops.Submit)
            and entry.operation.args
        ):
            alone = entry._replace(operation=entry.operation._replace(args=()))
            simpler = (*program[:place], alone, *program[place + 1 :])
            if fails(simpler):
                program = simpler
    return program


def _failure_of(
    bench: Bench, program: BulkProgram, failed: Lockstep, *, winds_up: bool
) -> AssertionError | None:
    lockstep = bench.lockstep()
    lockstep.looks_at_arguments = failed.looks_at_arguments
    try:
        lockstep.run(program)
        if winds_up:
            bench.done(lockstep)
    except AssertionError as failure:
        return failure
    return None
