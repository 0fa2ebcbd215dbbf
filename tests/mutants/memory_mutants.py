"""Mutants of the memory queue. A mutant is a line or two, so the table is laid out by hand."""

from tests.mutants.mutant import Mutant

TASKS = "queue/memory/tasks.py"
QUEUE = "queue/memory/taskqueue.py"
STORES = "queue/memory/stores.py"
WAITING = "queue/memory/waiting.py"
DEADLINES = "queue/memory/deadlines.py"
GUARD = "queue/memory/guard.py"

# fmt: off

RULES: tuple[Mutant, ...] = (
    # submit
    Mutant("SubmitAgainIsDuplicate", TASKS,
           "return ACCEPTED if present.ticket.incarnation == ticket.incarnation else DUPLICATE",
           "return DUPLICATE", "SUB-1", "exhaustive"),
    Mutant("AnySubmitIsTheSame", TASKS,
           "return ACCEPTED if present.ticket.incarnation == ticket.incarnation else DUPLICATE",
           "return ACCEPTED", "SUB-2", "exhaustive"),
    Mutant("IdFreeOnceCompleted", TASKS,
           "        if present is not None:\n            return ACCEPTED",
           "        if present is not None and present.state != COMPLETED:\n            return ACCEPTED",
           "SUB-1 SUB-2", "exhaustive"),
    Mutant("IdFreeWhileItRuns", TASKS,
           "        if present is not None:\n            return ACCEPTED",
           "        if present is not None and present.state != PROCESSING:\n            return ACCEPTED",
           "SUB-1 SUB-2", "exhaustive", pitfall="ids"),
    Mutant("ArgumentsInTheOrderGiven", TASKS, "for argument_id in sorted(args):", "for argument_id in args:",
           "SUB-3 SUB-5", "walk"),
    Mutant("RefusalLeavesATask", TASKS, """\
        arguments: list[Record] = []
        for argument_id in sorted(args):
            argument = self.find(argument_id, args[argument_id])
            if argument is None or not _is_free(argument):
                return Submitted("unavailable", argument_id)
            arguments.append(argument)
        record = self._accept(ticket, message)
""", """\
        arguments: list[Record] = []
        record = self._accept(ticket, message)
        record.state = PENDING
        for argument_id in sorted(args):
            argument = self.find(argument_id, args[argument_id])
            if argument is None or not _is_free(argument):
                return Submitted("unavailable", argument_id)
            arguments.append(argument)
""", "SUB-3", "exhaustive", pitfall="enqueue with Deferreds"),
    Mutant("RefusalStrandsArguments", TASKS, "            arguments.append(argument)\n",
           "            arguments.append(argument)\n            argument.dependent = argument\n",
           "SUB-3", "exhaustive", pitfall="enqueue with Deferreds"),
    Mutant("DoubleReservation", TASKS, "            if argument is None or not _is_free(argument):",
           "            if argument is None:", "SUB-3", "exhaustive", pitfall="results"),
    Mutant("AbsentArgumentAccepted", TASKS, "            if argument is None or not _is_free(argument):\n",
           "            if argument is None:\n                continue\n            if not _is_free(argument):\n",
           "SUB-3", "exhaustive", pitfall="arguments"),
    Mutant("ArgumentOfAnyIncarnation", TASKS, "self.find(argument_id, args[argument_id])",
           "self.find(argument_id, None)", "SUB-3 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("FireAndForgetAsArgument", TASKS,
           "return not argument.ticket.ignore_result and argument.dependent is None",
           "return argument.dependent is None", "SUB-3 RSV-2", "exhaustive", pitfall="arguments"),
    Mutant("FetchedFailureTakesArguments", TASKS, "            self._end(record, outcome, ticket.retention_ms)\n",
           "            for argument in arguments:\n                self._end(argument, EXPIRED, None)\n"
           "            self._end(record, outcome, ticket.retention_ms)\n", "SUB-4", "exhaustive"),
    Mutant("FetchedFailureKeptForEver", TASKS, "self._end(record, outcome, ticket.retention_ms)",
           "self._end(record, outcome, None)", "SUB-4 TIM-5", "exhaustive", "fetched failures"),
    Mutant("FetchedFailureStarts", TASKS, "        if outcome is not None:  # [SUB-4] too\n",
           "        if outcome is not None and outcome.kind == 'expired':\n", "SUB-4", "exhaustive"),
    Mutant("FetchedExpiryStarts", TASKS, "        if outcome is not None:  # [SUB-4] too\n",
           "        if outcome is not None and outcome.kind == 'failure':\n", "SUB-4", "exhaustive"),
    Mutant("EndsInSilence", TASKS, "outcome=outcome) if ticket.ignore_result else", "outcome=outcome) if False else", "SUB-8", "exhaustive"),
    Mutant("TellsWhatIsKept", TASKS, "outcome=outcome) if ticket.ignore_result else", "outcome=outcome) if True else", "SUB-8", "exhaustive"),
    Mutant("LastFailureFirst", TASKS, "for argument in arguments)\n    return next(", "for argument in reversed(arguments))\n    return next(",
           "SUB-5", "exhaustive"),
    Mutant("FailureTakesAllArguments", TASKS, "    if record.ticket.passes_errors:\n        return None\n",
           "    if True:\n        return None\n", "SUB-5", "exhaustive"),
    Mutant("OnlyTheFailedArgumentPassed", TASKS, "    if record.ticket.passes_errors:\n        return None\n", "",
           "SUB-5 SUB-6", "exhaustive"),
    Mutant("ReservedResultStays", TASKS, "            self._end(argument, outcome, None)\n",
           "            self._supply(record, argument.id, outcome)\n", "SUB-6 RSV-3", "exhaustive", pitfall="results"),
    Mutant("ReservedInSilence", TASKS, "            self._tell(argument)\n", "            pass\n",
           "SUB-6 RSV-4 ENV-WAIT-5", "waiting", "all_who_wait_for_a_task_are_told", "results", "threads"),
    Mutant("LosesOrder", TASKS, "        self._ready[record.id] = record\n",
           "        self._ready[record.id] = record\n        self._ready.move_to_end(record.id, last=False)\n",
           "SUB-7 CLM-1", "exhaustive", pitfall="claim"),
    Mutant("MissingOneIsEnough", TASKS, "            record.state = PENDING\n            self._pending[record.id] = record\n",
           "            self._enqueue(record)\n", "SUB-7 DFR-2", "exhaustive"),
    # claim
    Mutant("NewestFirst", TASKS, "self._ready.popitem(last=False)", "self._ready.popitem()", "CLM-1", "exhaustive"),
    Mutant("ClaimTakesWhatIsNotReady", TASKS, "        if not self._ready:\n            return None\n",
           "        if not self._ready:\n            if not self._pending:\n                return None\n"
           "            self._enqueue(next(iter(self._pending.values())))\n", "CLM-2 CLM-1", "exhaustive"),
    Mutant("StartIsAlwaysOne", TASKS, "record.start += 1", "record.start = 1", "TOK-3 CLM-1", "exhaustive"),
    Mutant("ClaimLongerThanItsLease", TASKS, "lease_ms = self.now_ms + record.ticket.lease_ms",
           "lease_ms = self.now_ms + record.ticket.lease_ms + 1", "CLM-1", "exhaustive", pitfall="lease"),
    Mutant("ClaimShorterThanItsLease", TASKS, "lease_ms = self.now_ms + record.ticket.lease_ms",
           "lease_ms = self.now_ms + record.ticket.lease_ms - 1", "CLM-1", "exhaustive", pitfall="lease"),
    Mutant("ClaimWithoutLease", TASKS, "            self._deadlines.set(task_id, lease_ms)\n", "            pass\n",
           "CLM-1 TIM-4", "exhaustive"),
    Mutant("FireAndForgetIsKept", TASKS, "if record.ticket.ignore_result and record.start == record.ticket.attempts:",
           "if False:", "CLM-3", "exhaustive"),
    Mutant("FireAndForgetHasOneAttempt", TASKS,
           "if record.ticket.ignore_result and record.start == record.ticket.attempts:",
           "if record.ticket.ignore_result:", "CLM-3 TIM-3", "exhaustive"),
    Mutant("ClaimWithoutArguments", TASKS, "record.message, dict(record.arguments))", "record.message, {})",
           "CLM-4", "exhaustive"),
    # finish
    Mutant("FinishInAnyState", TASKS, "record is None or record.state != PROCESSING or token",
           "record is None or token", "FIN-1 HRT-2 REL-2", "exhaustive"),
    Mutant("StaleTokenAccepted", TASKS, "record.state != PROCESSING or token not in (None, record.token):",
           "record.state != PROCESSING:", "FIN-1 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("NoTokenIsNoClaim", TASKS, "record.state != PROCESSING or token not in (None, record.token):",
           "record.state != PROCESSING or token != record.token:", "TOK-2 FIN-4 HRT-1", "exhaustive"),
    Mutant("EarlierStartAccepted", TASKS, "record.state != PROCESSING or token not in (None, record.token):",
           "record.state != PROCESSING or (token and token.incarnation != record.ticket.incarnation):",
           "FIN-1 TOK-1", "examples"),
    Mutant("DependentNotNamed", TASKS, "dependent_id=None if dependent is None else dependent.id",
           "dependent_id=None", "FIN-2", "exhaustive"),
    Mutant("DependentNotTold", TASKS, "        while (dependent := record.dependent) is not None:\n",
           "        while (dependent := record.dependent) is not None and record.state != PROCESSING:\n",
           "FIN-2 OUT-1", "exhaustive"),
    Mutant("IgnoredResultIsKept", TASKS, 'if outcome.kind == "expired" or record.ticket.ignore_result:',
           'if outcome.kind == "expired":', "FIN-3 OUT-4", "exhaustive"),
    Mutant("ExpiryIsKept", TASKS, 'if outcome.kind == "expired" or record.ticket.ignore_result:',
           "if record.ticket.ignore_result:", "OUT-6 TIM-4", "exhaustive"),
    Mutant("KeptForEver", TASKS, "        if retention_ms is not None:\n", "        if retention_ms is None:\n            self._deadlines.set(record.id, self.now_ms)\n        if False:\n",
           "FIN-4 TIM-5", "exhaustive"),
    Mutant("KeptAsTheProducerSaid", TASKS, "        self._end(record, outcome, retention_ms)\n        return Finished",
           "        self._end(record, outcome, record.ticket.retention_ms)\n        return Finished", "FIN-4", "walk"),
    Mutant("ArgumentsOfTheCompleted", TASKS, "        record.arguments.clear()\n", "", "FIN-4 GAR-2", "exhaustive", "reserve what has failed, for nobody else"),
    Mutant("ReservationsOfTheCompleted", TASKS, "        record.reservations.clear()\n", "", "RSV-2", "exhaustive", "reserve what has failed, for nobody else"),
    Mutant("CompletedStillMisses", TASKS, "        record.missing.clear()\n", "", "ARG-1", "exhaustive", "reserve what has failed, for nobody else"),
    Mutant("LeaseOfTheFinished", TASKS, "        else:\n            self._deadlines.drop(record.id)\n", "",
           "FIN-4 TIM-7", "exhaustive"),
    # heartbeat
    Mutant("HeartbeatNeverShortens", TASKS, "self._deadlines.set(task_id, self.now_ms + lease_ms)",
           "self._deadlines.set(task_id, self.now_ms + max(lease_ms, record.ticket.lease_ms))", "HRT-1", "walk"),
    Mutant("HeartbeatWithoutEffect", TASKS, "            self._deadlines.set(task_id, self.now_ms + lease_ms)\n",
           "            pass\n", "HRT-1", "walk", pitfall="lease"),
    Mutant("HeartbeatOfTheLostIsTrue", TASKS,
           "            self._deadlines.set(task_id, self.now_ms + lease_ms)\n        return record is not None",
           "            self._deadlines.set(task_id, self.now_ms + lease_ms)\n        return True", "HRT-2", "exhaustive"),
    Mutant("HeartbeatKillsDependents", TASKS, "            self._deadlines.set(task_id, self.now_ms + lease_ms)\n",
           "            self._deadlines.set(task_id, self.now_ms + lease_ms)\n"
           "            if record.dependent is not None:\n"
           "                self._deadlines.set(record.dependent.id, self.now_ms + lease_ms)\n",
           "TIM-7 HRT-1", "walk", pitfall="waiting tasks"),
    Mutant("HeartbeatCutsRetention", TASKS, """\
        record = self._claimed(task_id, token)
        if record is not None:
            self._deadlines.set(task_id, self.now_ms + lease_ms)
""", """\
        record = self._claimed(task_id, token)
        if record is None and (late := self._records.get(task_id)) is not None and late.outcome is not None:
            self._deadlines.set(task_id, self.now_ms + lease_ms)
        if record is not None:
            self._deadlines.set(task_id, self.now_ms + lease_ms)
""", "HRT-2 TIM-5", "walk"),
    # release
    Mutant("ReleaseExpires", TASKS, "            self._lapse(record)\n", "            self._end(record, EXPIRED, None)\n",
           "REL-1 TIM-3", "exhaustive"),
    Mutant("ReleaseRequeues", TASKS, "            self._lapse(record)\n", "            self._enqueue(record)\n",
           "REL-1 TIM-4", "walk"),
    Mutant("ReleaseGivesTheStartBack", TASKS, "            self._lapse(record)\n",
           "            record.start -= 1\n            self._lapse(record)\n", "REL-1 TOK-3 TIM-4", "exhaustive", "leases"),
    Mutant("ReleaseOfTheLostIsTrue", TASKS, "            self._lapse(record)\n        return record is not None",
           "            self._lapse(record)\n        return True", "REL-2", "exhaustive"),
    # pop
    Mutant("PopKeeps", TASKS, "        if record.outcome is not None:\n            self._remove(record)\n", "",
           "POP-5", "exhaustive"),
    Mutant("PopOfTheReservedWaits", TASKS, "        if record.dependent is not None:\n            return RESERVED\n", "",
           "POP-3", "exhaustive", pitfall="results"),
    Mutant("ReservedIsExpired", TASKS, "            return RESERVED\n", "            return TASK_EXPIRED\n",
           "POP-3", "exhaustive", pitfall="results"),
    Mutant("PopOfNothingWaits", QUEUE, "            return TASK_EXPIRED\n", "            return None\n", "POP-1", "exhaustive"),
    Mutant("NotYetIsNever", TASKS, "        return record.outcome\n", "        return record.outcome or TASK_EXPIRED\n", "POP-4", "exhaustive"),
    Mutant("PopOfFireAndForgetWaits", TASKS, "if record.state is None or record.ticket.ignore_result:",
           "if record.state is None:", "POP-2", "exhaustive"),
    Mutant("PopOfAnyIncarnation", QUEUE, "record = tasks.find(task_id, incarnation)", "record = tasks.find(task_id, None)",
           "POP-1 TOK-1", "exhaustive", pitfall="id reuse"),
    # discard
    Mutant("DiscardOfAnyIncarnation", TASKS,
           "        record = self.find(task_id, incarnation)\n        if record is not None:\n            self._end(record, EXPIRED, None)",
           "        record = self.find(task_id, None)\n        if record is not None:\n            self._end(record, EXPIRED, None)",
           "DSC-2 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("DiscardSparesTheCompleted", TASKS, "        if record is not None:\n            self._end(record, EXPIRED, None)",
           "        if record is not None and record.outcome is None:\n            self._end(record, EXPIRED, None)",
           "DSC-1", "exhaustive", pitfall="discarding"),
    Mutant("DiscardedStillRuns", TASKS, "            del self._ready[record.id]\n",
           "            if record.dependent is None:\n                del self._ready[record.id]\n",
           "DSC-1", "exhaustive", pitfall="discarding"),
    Mutant("DiscardStrandsTheDependent", TASKS, "        if record is not None:\n            self._end(record, EXPIRED, None)",
           "        if record is not None:\n            self._remove(record)", "DSC-1 OUT-6", "exhaustive"),
    Mutant("DiscardOfNothingIsTrue", TASKS, "            self._end(record, EXPIRED, None)\n        return record is not None",
           "            self._end(record, EXPIRED, None)\n        return True", "DSC-2", "exhaustive", pitfall="discarding"),
    Mutant("NothingIsFreed", TASKS, "            for argument_id in record.missing:  # none, if it is about to be enqueued [OUT-7]\n"
           "                self._free(record, argument_id)\n", "", "OUT-7 DSC-1 PRG-1", "exhaustive", pitfall="purging"),
    # purge, size, status
    Mutant("PurgeForgetsThePending", TASKS, "purged = [*self._pending.values(), *self._ready.values()]",
           "purged = [*self._ready.values()]", "PRG-1", "exhaustive", pitfall="purging"),
    Mutant("PurgeDropsTheRunning", TASKS, "purged = [*self._pending.values(), *self._ready.values()]",
           "purged = [r for r in self._records.values() if r.state != COMPLETED]", "PRG-2", "exhaustive", pitfall="purging"),
    Mutant("PurgeDropsTheCompleted", TASKS, "purged = [*self._pending.values(), *self._ready.values()]",
           "purged = [r for r in self._records.values() if r.state != PROCESSING]", "PRG-2", "exhaustive", "promised, one still missing", pitfall="purging"),
    Mutant("PurgeCountsItselfToo", TASKS, "return len(purged)", "return len(self._records) + len(purged)", "PRG-1 PRG-2", "exhaustive"),
    Mutant("SizeWithoutThePending", TASKS, "return len(self._pending) + len(self._ready)", "return len(self._ready)",
           "SIZ-1", "exhaustive", pitfall="size"),
    Mutant("SizeOfAll", TASKS, "return len(self._pending) + len(self._ready)", "return len(self._records)",
           "SIZ-1", "exhaustive", pitfall="size"),
    Mutant("SizeCountsArguments", TASKS, "return len(self._pending) + len(self._ready)",
           "return sum(len(r.missing) for r in self._pending.values()) + len(self._ready)", "SIZ-1", "exhaustive", pitfall="size"),
    Mutant("StatusOfAnyIncarnation", TASKS, "        record = self.find(task_id, incarnation)\n        return None if record is None else record.state",
           "        record = self.find(task_id, None)\n        return None if record is None else record.state",
           "STA-2 TOK-1", "exhaustive"),
    Mutant("PendingIsEnqueued", TASKS, "return None if record is None else record.state",
           "return record and (ENQUEUED if record.state == PENDING else record.state)", "STA-1", "exhaustive"),
    # defer
    Mutant("DeferAgainIsRefused", TASKS, "return present.ticket.incarnation == ticket.incarnation\n", "return False\n",
           "DFR-1", "exhaustive"),
    Mutant("AnyDeferIsTheSame", TASKS, "return present.ticket.incarnation == ticket.incarnation\n", "return True\n",
           "DFR-1", "exhaustive"),
    Mutant("DeferReservesToo", TASKS, "        self._place(self._accept(ticket, message), args)\n        return True\n",
           "        record = self._accept(ticket, message)\n        self._place(record, args)\n"
           "        for argument in [self._records.get(argument_id) for argument_id in args]:\n"
           "            if argument is not None and argument is not record and _is_free(argument):\n"
           "                self._reserve(record, argument)\n        return True\n", "DFR-2", "exhaustive"),
    Mutant("DeferDoesNotWait", TASKS, "        self._place(self._accept(ticket, message), args)\n        return True\n",
           "        self._place(self._accept(ticket, message), ())\n        return True\n", "DFR-2", "exhaustive"),
    # reserve_argument
    Mutant("ReserveAgainIsRefused", TASKS, "        if earlier is not None and incarnation in (None, earlier.incarnation):\n            return True, earlier.message\n",
           "        del earlier\n", "RSV-1", "exhaustive"),
    Mutant("ReserveAgainForgets", TASKS, "return True, earlier.message", "return True, None", "RSV-1", "exhaustive"),
    Mutant("ReserveAgainOfAnyIncarnation", TASKS, "if earlier is not None and incarnation in (None, earlier.incarnation):",
           "if earlier is not None:", "RSV-1 TOK-1", "exhaustive"),
    Mutant("ReserveWhatIsNotMissed", TASKS, "if argument is None or argument_id not in record.missing:",
           "if argument is None:", "RSV-2", "exhaustive", "reserve what has failed"),
    Mutant("ReserveTheReserved", TASKS, "if not _is_free(argument) or argument.number >= record.number:",
           "if argument.number >= record.number:", "RSV-2", "exhaustive", pitfall="results"),
    Mutant("ReserveTheYounger", TASKS, "if not _is_free(argument) or argument.number >= record.number:",
           "if not _is_free(argument):", "RSV-2 TOK-4", "exhaustive", pitfall="size"),
    Mutant("ReserveItself", TASKS, "argument.number >= record.number:", "argument.number > record.number:",
           "RSV-2 TOK-4", "walk"),
    Mutant("ReserveAnyIncarnation", TASKS, "argument = self.find(argument_id, incarnation)",
           "argument = self.find(argument_id, None)", "RSV-2 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("ReserveForAnyIncarnation", TASKS, "record = self.find(deferred_id, deferred_incarnation)",
           "record = self.find(deferred_id, None)", "RSV-2 TOK-1", "walk", pitfall="id reuse"),
    # set_argument
    Mutant("SetKeepsTheReservation", TASKS, "            self._free(record, argument_id)\n            self._supply",
           "            self._supply", "ARG-3", "exhaustive"),
    Mutant("SetIsAlwaysLast", TASKS, "return argument_id in record.arguments and not record.missing",
           "return argument_id in record.arguments", "ARG-2 ARG-4", "exhaustive"),
    Mutant("SetOfTheUnknownIsLast", TASKS, "return argument_id in record.arguments and not record.missing",
           "return not record.missing", "ARG-1", "exhaustive", "reserve what has failed, for nobody else"),
    Mutant("SetOfTheUnknown", TASKS, "        if argument_id in record.missing:\n            self._free",
           "        if record.missing:\n            self._free", "ARG-1", "exhaustive"),
    Mutant("SetTwiceCountsTwice", TASKS, "        if argument_id in record.missing:\n            self._free",
           "        if argument_id in record.arguments and record.missing:\n            argument_id = min(record.missing)\n"
           "        if argument_id in record.missing:\n            self._free", "ARG-2", "exhaustive", pitfall="arguments"),
    Mutant("SetAgainReplaces", TASKS, "        if argument_id in record.missing:\n            self._free",
           "        if argument_id in record.missing or argument_id in record.arguments:\n            self._free",
           "ARG-2", "exhaustive"),
    Mutant("SetOfAnyIncarnation", TASKS, "        record = self.find(task_id, incarnation)\n        if record is None:\n            return False\n",
           "        record = self.find(task_id, None)\n        if record is None:\n            return False\n",
           "ARG-1 TOK-1", "exhaustive"),
    Mutant("TheLastArgumentIsNotSeen", TASKS, "        if not record.missing:\n            self._enqueue(record)\n", "",
           "OUT-1 ARG-4", "exhaustive"),
    # get_arguments
    Mutant("ExpiredArgumentIsEmpty", TASKS, "TASK_EXPIRED if outcome.message is None else outcome.message",
           "outcome.message or b''", "GAR-1", "exhaustive", pitfall="arguments"),
    Mutant("ArgumentsOfAnyClaim", TASKS, "if record is not None and token in (None, record.token):",
           "if record is not None:", "GAR-2 TOK-1", "exhaustive"),
    Mutant("ReadingTakes", TASKS, "            for argument_id, outcome in arguments.items()\n        }\n",
           "            for argument_id, outcome in dict(arguments).items()\n            if record is None or record.arguments.pop(argument_id)\n        }\n",
           "GAR-1 CLM-4", "exhaustive"),
    Mutant("LastStartLeavesNothing", TASKS, "            self._last_starts.add(record, lease_ms)\n", "", "GAR-3", "exhaustive"),
    Mutant("LastStartLeavesForEver", TASKS, "        self._last_starts.sweep(now_ms)\n", "", "GAR-3", "exhaustive"),
    Mutant("LastStartOfAnyClaim", TASKS, "return record.arguments if record is not None and token in (None, record.token) else {}",
           "return record.arguments if record is not None else {}", "GAR-3 TOK-1", "exhaustive"),
    Mutant("FirstOfTheLastStarts", TASKS, "        self._records[key] = self._latest[record.id] = record\n",
           "        self._records[key] = record\n        self._latest.setdefault(record.id, record)\n", "GAR-3", "exhaustive"),
    Mutant("LastStartWithoutArgumentsHidesNothing", TASKS, "            self._latest.pop(record.id, None)\n            return\n",
           "            return\n", "GAR-3", "exhaustive", "last starts that hide one another"),
    Mutant("EarlierLastStartEndsTheLatest", TASKS, "            if self._latest.get(record.id) is record:\n",
           "            if record.id in self._latest:\n", "GAR-3", "exhaustive", "two last starts with arguments"),
    # time
    Mutant("LateLease", DEADLINES, "next_ms is None or next_ms > now_ms:", "next_ms is None or next_ms >= now_ms:",
           "TIM-1", "exhaustive"),
    Mutant("OneDeadlineAtATime", TASKS, "        while (task_id := self._deadlines.pop_passed(now_ms)) is not None:\n",
           "        if (task_id := self._deadlines.pop_passed(now_ms)) is not None:\n", "TIM-2 TIM-6", "exhaustive"),
    Mutant("DeadlinesInTheOrderOfIds", TASKS, """\
        while (task_id := self._deadlines.pop_passed(now_ms)) is not None:
            self._lapse(self._records[task_id])
""", """\
        passed = set()
        while (task_id := self._deadlines.pop_passed(now_ms)) is not None:
            passed.add(task_id)
        for task_id in sorted(passed & self._records.keys()):
            self._lapse(self._records[task_id])
""", "TIM-2", "exhaustive"),
    Mutant("StartsOnceMore", TASKS, "record.start < record.ticket.attempts:", "record.start <= record.ticket.attempts:",
           "TIM-4", "exhaustive"),
    Mutant("NeverStartsAgain", TASKS, "record.state == PROCESSING and record.start < record.ticket.attempts:",
           "False:", "TIM-3", "exhaustive"),
    Mutant("RequeuedAtTheHead", TASKS, "record.start < record.ticket.attempts:\n            self._enqueue(record)\n",
           "record.start < record.ticket.attempts:\n            self._enqueue(record)\n"
           "            self._ready.move_to_end(record.id, last=False)\n", "TIM-3", "walk"),
    Mutant("RequeuedWithoutArguments", TASKS, "record.start < record.ticket.attempts:\n            self._enqueue(record)\n",
           "record.start < record.ticket.attempts:\n            record.arguments.clear()\n            self._enqueue(record)\n",
           "TIM-3 CLM-4", "walk"),
    Mutant("RequeuedWithoutDependent", TASKS, "record.start < record.ticket.attempts:\n            self._enqueue(record)\n",
           "record.start < record.ticket.attempts:\n            record.dependent = None\n            self._enqueue(record)\n",
           "TIM-3", "walk"),
    Mutant("LeaseStrandsTheDependent", TASKS, "        else:\n            self._end(record, EXPIRED, None)\n",
           "        else:\n            self._remove(record)\n", "TIM-4 OUT-6", "exhaustive", pitfall="arguments"),
    Mutant("StaleDeadlinesCount", DEADLINES, "if self._at_ms.get(key) == at_ms:", "if key in self._at_ms:",
           "HRT-1 TIM-1", "walk"),
    Mutant("HeapWithoutOrder", DEADLINES, "            heapify(self._heap)\n", "", "TIM-1 TIM-2", "unit", "in_order_once"),
    # outcomes on their way
    Mutant("FailureAsArgument", TASKS, 'if outcome.kind == "result" or dependent.ticket.passes_errors:',
           'if outcome.kind != "expired" or dependent.ticket.passes_errors:', "OUT-3", "exhaustive"),
    Mutant("ExpiryAsArgument", TASKS, 'if outcome.kind == "result" or dependent.ticket.passes_errors:',
           'if outcome.kind != "failure" or dependent.ticket.passes_errors:', "OUT-6", "exhaustive"),
    Mutant("ErrorsAreNotPassed", TASKS, 'if outcome.kind == "result" or dependent.ticket.passes_errors:',
           'if outcome.kind == "result":', "OUT-2", "exhaustive"),
    Mutant("ExpiryIsNotPassed", TASKS, 'if outcome.kind == "result" or dependent.ticket.passes_errors:',
           'if outcome.kind == "result" or (dependent.ticket.passes_errors and outcome.kind == "failure"):',
           "OUT-2", "exhaustive", pitfall="arguments"),
    Mutant("FailureOfTheNeighbour", TASKS, 'if outcome.kind != "failure" or outcome.source_id is not None:', 'if outcome.kind != "failure":', "OUT-3", "exhaustive"),
    Mutant("FailureOfNobody", TASKS, "return outcome._replace(source_id=argument.id)", "return outcome",
           "OUT-3", "exhaustive"),
    Mutant("FailureStopsAtTheFirst", TASKS, "        while (dependent := record.dependent) is not None:\n",
           "        if (dependent := record.dependent) is not None:\n", "OUT-3", "exhaustive"),
    Mutant("FailureKeptAsTheArgumentWas", TASKS, "record, retention_ms = dependent, dependent.ticket.retention_ms",
           "record = dependent", "OUT-5", "walk"),
    Mutant("GoneInSilence", TASKS, "        record.dependent = None\n        self._tell(record)\n", "        record.dependent = None\n",
           "OUT-6 PRG-1 ENV-WAIT-5", "waiting", "TestPops", "discarding", "threads"),
    Mutant("KeptInSilence", TASKS, "            self._deadlines.set(record.id, self.now_ms + retention_ms)\n        self._tell(record)\n",
           "            self._deadlines.set(record.id, self.now_ms + retention_ms)\n",
           "FIN-4 ENV-WAIT-2", "waiting", "TestPops", needs="threads"),
    Mutant("GoneButNotForThoseWhoWait", TASKS, "        record.state = None\n        record.dependent = None\n", "",
           "POP-5 ENV-WAIT-5", "waiting", "TestPops", "results", "threads"),
)

WAITS: tuple[Mutant, ...] = (
    Mutant("NotifyOne", WAITING, "        for waiter in self._pops.get(record, ()):\n            waiter.gate.open()\n",
           "        for waiter in self._pops.get(record, ()):\n            waiter.gate.open()\n            break\n",
           "ENV-WAIT-5", "waiting", "TestPops", "notify-one where several wait", "threads"),
    Mutant("CloseWakesNobody", WAITING, "            if waiter.owner is owner:\n", "            if waiter is owner:\n",
           "ENV-WAIT-7", "waiting", "TestClose", needs="threads"),
    Mutant("CloseIsNotSeen", QUEUE, "            store.sleep(waiter)\n            self._look()\n",
           "            store.sleep(waiter)\n            store.look()\n", "ENV-WAIT-7", "waiting", "TestClose", needs="threads"),
    Mutant("ClosedQueueWorks", QUEUE, "        if self._closed:\n            raise QueueClosed(self._closed)\n", "",
           "ENV-WAIT-7", "waiting", "TestClose"),
    Mutant("AllClaimsWake", WAITING, "        while self._called < ready and self._claims:\n",
           "        while ready and self._claims:\n", "ENV-WAIT-6", "waiting", "TestClaims", "losers of a claim write", "threads"),
    Mutant("NoClaimWakes", WAITING, "        while self._called < ready and self._claims:\n",
           "        while False:\n", "ENV-WAIT-2", "waiting", "TestClaims", needs="threads"),
    Mutant("AWakeUpIsUsedUp", WAITING, "            waiter.called = False\n            self._called -= 1\n",
           "            waiter.called = False\n", "ENV-WAIT-2 ENV-WAIT-6", "waiting", "TestClaims",
           "wake-ups and reconnects (other queues)", "threads"),
    Mutant("NobodySettles", QUEUE, "        finally:\n            self._store.settle()\n", "        finally:\n            pass\n",
           "ENV-WAIT-2", "waiting", "TestClaims", needs="threads"),
    Mutant("TheWatchIsNotWokenEarlier", WAITING, "            self._watch.until_ms = deadline_ms\n            self._watch.gate.open()\n",
           "            self._watch.until_ms = deadline_ms\n", "ENV-WAIT-4", "waiting", "TestDeadlines", needs="threads"),
    Mutant("NobodyTakesOver", WAITING, "        if self._watch is waiter:\n            self._watch = None\n", "",
           "ENV-WAIT-4", "unit", "another_takes_over", needs="threads"),
    Mutant("ClockWakesNobody", STORES, "        self.waiting.wake_overdue(self.tasks.now_ms)\n", "",
           "ENV-WAIT-8", "waiting", "very_millisecond", needs="threads"),
    Mutant("ClockAppliesNothing", STORES, "        self.look()\n        self.waiting.wake_overdue(self.tasks.now_ms)\n        self.settle()\n",
           "        self.waiting.wake_overdue(self.clock.now_ms())\n", "ENV-WAIT-4 ENV-WAIT-8", "waiting", "TestDeadlines", needs="threads"),
    Mutant("HandlersAreLetIn", GUARD, "        if me in self._busy:\n", "        if False:\n", "ENV-WAIT-9", "unit", "in_the_midst"),
    Mutant("HandlersAreKeptOutOfAWait", GUARD, "            self._busy.discard(me)\n            gate.wait", "            gate.wait", "ENV-WAIT-9", "unit", "handler"),
    Mutant("HandlersBeforeTheLockIsReleased", GUARD, "            self.lock.release()\n            self._busy.discard(me)\n",
           "            self._busy.discard(me)\n            self.lock.release()\n", "ENV-WAIT-9", "unit", "before_any_instruction"),
    Mutant("InterruptedWithoutTheLock", GUARD, "            while not taken:", "            for _ in (1,):", "ENV-WAIT-9", "unit", "takes_it_first"),
    Mutant("InterruptedWithTheLockTwice", GUARD, "taken.extend(map(self.lock.acquire, (True,)))", "taken.append(self.lock.acquire(True))", "ENV-WAIT-9", "unit", "takes_it_once"),
    Mutant("InterruptionIsForgotten", GUARD, "            if interruption is not None:\n                raise interruption\n", "", "ENV-WAIT-9", "unit", "takes_it_first"),
    Mutant("AGateForgets", GUARD, "        return self._lock.acquire(timeout", "        self._lock.acquire(blocking=False)\n        return self._lock.acquire(timeout",
           "ENV-WAIT-9 ENV-WAIT-2", "unit", "before_any_instruction"),
    Mutant("AGateStaysOpen", WAITING, "        waiter.gate = gate\n", "        waiter.gate = gate\n        gate.open()\n", "ENV-WAIT-3", "waiting", needs="threads"),
    Mutant("BusyForEver", GUARD, "        finally:\n            self._busy.discard(me)\n", "        finally:\n            pass\n", "ENV-WAIT-9", "exhaustive"),
    Mutant("WaitingIsPolling", WAITING, "WAIT_MS_MAX = 5_000", "WAIT_MS_MAX = 20", "ENV-WAIT-3", "waiting", "does_not_poll", needs="threads"),
    Mutant("OneMillisecondEarly", STORES, "self.tasks.now_ms + timeout_ms + int(self._flows)", "self.tasks.now_ms + timeout_ms - 1",
           "ENV-WAIT-2", "waiting", "very_millisecond", "timeouts", "threads"),
    Mutant("NoneDoesNotWait", QUEUE, "if answer is not None or timeout_ms == 0:", "if answer is not None or not timeout_ms:",
           "ENV-WAIT-1", "waiting", "waits_for_ever", "timeouts", "threads"),
    Mutant("ZeroWaitsForEver", QUEUE, "        if answer is not None or timeout_ms == 0:\n            return answer\n",
           "        if answer is not None:\n            return answer\n        timeout_ms = timeout_ms or None\n",
           "ENV-WAIT-1", "waiting", "looks_once", "timeouts"),
    Mutant("WaitsForTheId", QUEUE, "return self._wait(timeout_ms, partial(tasks.pop, record), (record,))",
           "return self._wait(timeout_ms, lambda: tasks.pop(tasks.find(task_id, None) or record), (record,))",
           "ENV-WAIT-5 TOK-1", "interleavings", "comes back", "id reuse", "threads"),
    Mutant("NoTimePasses", QUEUE, "        self._store.look()\n", "        self._store.tasks.now_ms = self._store.clock.now_ms()\n",
           "TIM-2", "waiting", "TestDeadlines", needs="threads"),
    # stores
    Mutant("QueueByNameAlone", STORES, "        key = queue.url, queue.name\n", '        key = "memory://", queue.name\n',
           "ENV-API-9", "unit", "say_which_queue"),
    Mutant("StoreDiesWithItsLastObject", STORES, "        return bool(self.tasks)\n", "        return False\n",
           "ENV-API-8", "waiting", "nothing_that_was_accepted", "lifetimes"),
    Mutant("StoreLivesForEver", STORES, "        return bool(self.tasks)\n", "        return True\n", "ENV-API-8", "exhaustive"),
    Mutant("CloseDropsTheTasks", QUEUE, "        STORES.close(self, self._store)\n",
           "        self._store.tasks.purge()\n        STORES.close(self, self._store)\n", "ENV-WAIT-7 ENV-API-8", "waiting", "nothing_that_was_accepted", "lifetimes"),
)

# Each does in two steps what is one, or without the lock: nothing shows it while calls come one after another.
RACES: tuple[Mutant, ...] = (
    Mutant("SubmitWithoutTheLock", QUEUE, "        return self._apply(self._store.tasks.submit, task, message, args, outcome)\n", """\
        self._look()
        submitted = self._store.tasks.submit(task, message, args, outcome)
        with self._store.guard.lock:
            self._store.settle()
        return submitted
""", "SUB-2 SUB-3", "interleavings", "enqueued", pitfall="check and insert not atomic", needs="threads"),
    Mutant("CheckThenInsert", QUEUE, "        return self._apply(self._store.tasks.submit, task, message, args, outcome)\n", """\
        tasks = self._store.tasks
        insert = tasks.submit
        if self._apply(tasks.find, task.id, None) is None:
            def insert(*given):
                tasks._records.pop(task.id, None)
                return tasks.submit(*given)
        return self._apply(insert, task, message, args, outcome)
""", "SUB-2", "interleavings", "absent", pitfall="check and insert not atomic", needs="threads"),
    Mutant("SubmitInSteps", QUEUE, "        return self._apply(self._store.tasks.submit, task, message, args, outcome)\n", """\
        tasks = self._store.tasks
        free = self._apply(lambda: [r for r in map(tasks._records.get, args) if r and not r.dependent])
        def reserve(*given):
            for record in free:
                record.dependent = None
            return tasks.submit(*given)
        return self._apply(reserve, task, message, args, outcome)
""", "SUB-3", "interleavings", "enqueued", pitfall="submit in steps", needs="threads"),
    Mutant("ClaimInTwoSteps", QUEUE, "        return self._apply(self._wait, timeout_ms, self._store.tasks.claim, ())\n", """\
        tasks = self._store.tasks
        def first():
            return next(iter(tasks._ready.values()), None)
        def take(record):
            tasks._ready.pop(record.id, None)
            tasks._ready[record.id] = record
            tasks._ready.move_to_end(record.id, last=False)
            return tasks.claim()
        record = self._apply(self._wait, timeout_ms, first, ())
        return None if record is None else self._apply(take, record)
""", "CLM-1", "interleavings", pitfall="claim in two steps", needs="threads"),
    Mutant("TokenReadTooLate", QUEUE, "        return self._apply(self._wait, timeout_ms, self._store.tasks.claim, ())\n", """\
        claim = self._apply(self._wait, timeout_ms, self._store.tasks.claim, ())
        record = None if claim is None else self._store.tasks._records.get(claim.id)
        return claim if record is None else claim._replace(token=record.token)
""", "TOK-3 CLM-1", "interleavings", "claimed again", pitfall="stale worker after re-enqueue", needs="threads"),
    Mutant("FinishInSteps", QUEUE, "        return self._apply(self._store.tasks.finish, task_id, outcome, retention_ms, token)\n", """\
        tasks = self._store.tasks
        record = self._apply(tasks._claimed, task_id, token)
        if record is None or tasks._records.get(task_id) is not record:
            return self._apply(tasks.finish, task_id, outcome, retention_ms, token)
        dependent = record.dependent
        self._apply(lambda: record.state and tasks._end(record, outcome, retention_ms))
        return Finished(accepted=True, dependent_id=dependent and dependent.id)
""".replace("Finished(", "type(tasks.finish('', outcome, None, None))("), "FIN-1 FIN-2", "interleavings",
           pitfall="finish in steps", needs="threads"),
    Mutant("HeartbeatInSteps", QUEUE, "        return self._apply(self._store.tasks.heartbeat, task_id, lease_ms, token)\n", """\
        tasks = self._store.tasks
        if self._apply(tasks._claimed, task_id, token) is None:
            return False
        return self._apply(tasks.heartbeat, task_id, lease_ms, None) or True
""", "HRT-2", "interleavings", "a heartbeat comes late", pitfall="sweeper against heartbeat", needs="threads"),
    Mutant("ReleaseInSteps", QUEUE, "        return self._apply(self._store.tasks.release, task_id, token)\n", """\
        tasks = self._store.tasks
        if self._apply(tasks._claimed, task_id, token) is None:
            return False
        return self._apply(tasks.release, task_id, None) or True
""", "REL-2", "interleavings", "processing", pitfall="stale worker after re-enqueue", needs="threads"),
    Mutant("PopThenDeleteById", QUEUE, "        return self._apply(self._pop_found, task_id, timeout_ms, incarnation)\n", """\
        tasks = self._store.tasks
        record = self._apply(tasks.find, task_id, incarnation)
        if record is None or record.outcome is None or record.dependent is not None:
            return self._apply(self._pop_found, task_id, timeout_ms, incarnation)
        outcome = record.outcome
        self._apply(tasks.discard, task_id, None)
        return outcome
""", "POP-5 TOK-1", "interleavings", pitfall="pop, then delete by id", needs="threads"),
    Mutant("DiscardFromASnapshot", QUEUE, "        return self._apply(self._store.tasks.discard, task_id, incarnation)\n", """\
        tasks = self._store.tasks
        if self._apply(tasks.find, task_id, incarnation) is None:
            return False
        return self._apply(tasks.discard, task_id, None) or True
""", "DSC-1 DSC-2", "interleavings", pitfall="discard from a snapshot", needs="threads"),
    Mutant("PurgeOneByOne", QUEUE, "        return self._apply(self._store.tasks.purge)\n", """\
        tasks = self._store.tasks
        def remove(task_id):
            record = tasks._records.get(task_id)
            there = record is not None and record.state in ("pending", "enqueued")
            if there:
                tasks._remove(record)
            return there
        ids = self._apply(lambda: [*tasks._pending, *tasks._ready])
        return sum(self._apply(remove, task_id) for task_id in ids)
""", "PRG-1", "interleavings", pitfall="discard from a snapshot", needs="threads"),
    Mutant("SizeOfTwoMoments", QUEUE, "        return self._apply(self._store.tasks.size)\n", """\
        tasks = self._store.tasks
        return self._apply(lambda: len(tasks._pending)) + self._apply(lambda: len(tasks._ready))
""", "SIZ-1", "interleavings", "reserved, processing", pitfall="size", needs="threads"),
    Mutant("ReserveInSteps", QUEUE, "        return self._apply(reserve, argument_id, deferred_id, incarnation, deferred_incarnation)\n", """\
        self._apply(lambda: None)
        return reserve(argument_id, deferred_id, incarnation, deferred_incarnation)
""", "RSV-2 RSV-3", "interleavings", pitfall="reserve against pop", needs="threads"),
    Mutant("LastArgumentCountedOutside", QUEUE, "        return self._apply(supply, task_id, argument_id, message, incarnation)\n", """\
        tasks = self._store.tasks
        def missing():
            record = tasks.find(task_id, incarnation)
            return None if record is None or argument_id not in record.missing else set(record.missing)
        before = self._apply(missing)
        answer = self._apply(supply, task_id, argument_id, message, incarnation)
        return answer if before is None else before == {argument_id}
""", "ARG-4", "interleavings", "wanted", pitfall="last argument counted outside the transaction", needs="threads"),
    Mutant("LooksAndThenSleeps", QUEUE, "            store.sleep(waiter)\n            self._look()\n", """\
            store.guard.lock.release()
            store.guard.lock.acquire()
            store.sleep(waiter)
            self._look()
""", "ENV-WAIT-2", "interleavings", pitfall="wake-ups and reconnects (other queues)", needs="threads"),
    Mutant("WhoIsClosedSettlesNothing", QUEUE, "        try:\n            return act(*args, **kwargs)\n        finally:\n            self._store.settle()\n", """\
        answer = act(*args, **kwargs)
        self._store.settle()
        return answer
""", "ENV-WAIT-6 ENV-WAIT-7", "interleavings", "woken and leaves", pitfall="wake-ups and reconnects (other queues)", needs="threads"),
    Mutant("ClosedTooLate", QUEUE, "        if not self._store.guard.run(self._end):\n            return\n", """\
        if self._closed:
            return
        self._store.guard.run(self._store.waiting.wake_owned_by, self)
        self._closed = f"{self!r} is closed"
""", "ENV-WAIT-7", "interleavings", "woken and leaves", pitfall="pool stop against a task arriving", needs="threads"),
    Mutant("TwoStoresForOneUrl", STORES, "        return self._guard.run(self._open, queue)\n", "        return self._open(queue)\n",
           "ENV-API-9", "unit", "at_the_same_time_reach", "two queues for one URL", "threads"),
    Mutant("CloseWithoutTheLock", STORES, "        self._guard.run(self._close, queue, store)\n", "        self._close(queue, store)\n",
           "ENV-API-8", "unit", "opened_while_the_last", needs="threads"),
)

MEMORY = RULES + WAITS + RACES
