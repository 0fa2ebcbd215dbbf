"""CPU time of other processes, in seconds."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
IS_MEASURED = sys.platform == "linux"


def of_session(leader_pid: int) -> float:
    """What all processes of a session have used, those that ended and were waited for included. Linux only."""
    total_s = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ProcessLookupError):  # it has ended meanwhile
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            session, ended = int(fields[3]), fields[13:15]
            if session == leader_pid:
                total_s += of_process(int(stat.parent.name))
                total_s += sum(map(int, ended)) / _TICKS_PER_S
    return total_s


def of_process(pid: int) -> float:
    # The clock of a process: its number as the kernel makes it (CPUCLOCK_SCHED), to the nanosecond, where
    # /proc counts ticks of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)
