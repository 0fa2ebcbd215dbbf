"""The shortest part of a program that shows what is wrong: delta debugging on a bench."""

from worq.testing.bench import Bench
from worq.testing.driver import BulkProgram
from worq.testing.lockstep import Lockstep


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
    """Leave out what need not be there of what was done: halves first, single steps last."""
    program = failed.program
    size = len(program)
    while size:
        for start in range(0, len(program), size):
            shorter = program[:start] + program[start + size :]
            if _failure_of(bench, shorter):
                program = shorter
                break
        else:
            size //= 2
    failure = _failure_of(bench, program)
    if failure is not None:
        raise failure from None


def _failure_of(bench: Bench, program: BulkProgram) -> AssertionError | None:
    lockstep = bench.lockstep()
    try:
        lockstep.run(program)
        bench.done(lockstep)
    except AssertionError as failure:
        return failure
    return None
