"""Mutants of operations in bulk, in the base class and on each backend. The table is laid out by hand."""

from tests.mutants.mutant import Mutant

LUA = "queue/redis/lua/"
BULK = "bulk.py"
BACKEND = "backend.py"
MANY = "queue/redis/many.py"
WAIT = LUA + "wait.lua"
PARTS = LUA + "bulk.lua"
CLAIMING = LUA + "claiming.lua"
SUBMIT_MANY = LUA + "submit_many.lua"
FINISH_MANY = LUA + "finish_many.lua"
FINISHING = LUA + "finishing_plain.lua"
POP_MANY = LUA + "pop_many.lua"
MEMORY_TASKS = "queue/memory/tasks.py"
MEMORY_QUEUE = "queue/memory/taskqueue.py"
MEMORY_WAITING = "queue/memory/waiting.py"
SQLITE_TASKS = "queue/sqlite/tasks.py"
SQLITE_QUEUE = "queue/sqlite/queue.py"
SQLITE_BELL = "queue/sqlite/bell.py"

# fmt: off

BULKS: tuple[Mutant, ...] = (
    # Redis: the scripts
    Mutant("AnswersBackwards", PARTS, "answers[#answers + 1] = pack('>I4', #text) .. text", "table.insert(answers, 1, pack('>I4', #text) .. text)", "ENV-BULK-1", "bulks"),
    Mutant("TheLastAnswerIsLost", SUBMIT_MANY, "return answer(table.concat(answers))", "return answer(table.concat(answers, '', 1, math.max(1, #answers - 1)))", "ENV-BULK-1", "bulks"),
    Mutant("TwiceInOneBulk", SUBMIT_MANY, "if waiting[n] or claimed[n] or taken[id] then break end", "if waiting[n] or claimed[n] then break end", "ENV-BULK-1 SUB-1 SUB-2", "bulks"),
    Mutant("TakenByWhatWaits", SUBMIT_MANY, "if waiting[n] or claimed[n] or taken[id] then break end", "if claimed[n] or taken[id] then break end", "ENV-BULK-1 SUB-2", "bulks"),
    Mutant("TakenByWhatRuns", SUBMIT_MANY, "if waiting[n] or claimed[n] or taken[id] then break end", "if waiting[n] or taken[id] then break end", "ENV-BULK-1 SUB-2", "bulks"),
    Mutant("BulksWithoutAnEpoch", SUBMIT_MANY, "local record = of_epoch(ARGV[5 * n])", "local record = ARGV[5 * n]", "TOK-4 RSV-2", "walk"),
    Mutant("TheArgumentsAreForgotten", SUBMIT_MANY, "if ARGV[at + 2] ~= '' or ARGV[at + 4] ~= '' then break end", "if ARGV[at + 4] ~= '' then break end", "ENV-BULK-1 SUB-6", "bulks"),
    Mutant("TheOutcomeIsForgotten", SUBMIT_MANY, "if ARGV[at + 2] ~= '' or ARGV[at + 4] ~= '' then break end", "if ARGV[at + 2] ~= '' then break end", "ENV-BULK-1 SUB-4", "bulks"),
    Mutant("ABulkWakesNobody", SUBMIT_MANY, "  wake_claim()\n", "", "ENV-WAIT-2 ENV-WAIT-6", "scripts of many", "TestWaking", needs="threads"),
    Mutant("AdvanceTakesTheLastStart", CLAIMING, "if last and claims > 0 then -- not in advance [ENV-BULK-3]", "if false then", "ENV-BULK-3", "bulks"),
    Mutant("AdvanceLosesThePlace", CLAIMING, "  if last and claims > 0 then -- not in advance [ENV-BULK-3]\n    call('LPUSH', from, entry)\n", "  if last and claims > 0 then -- not in advance [ENV-BULK-3]\n    call('RPUSH', from, entry)\n", "ENV-BULK-3 CLM-1", "bulks"),
    Mutant("ABrokenRecordEndsTheScript", CLAIMING, "if claims > 0 and #(record or '') < 43 then", "if false then", "ENV-BULK-1", "scripts of many", "broken"),
    Mutant("AdvanceLosesTheTask", CLAIMING, "  if last and claims > 0 then -- not in advance [ENV-BULK-3]\n    call('LPUSH', from, entry)\n", "  if last and claims > 0 then -- not in advance [ENV-BULK-3]\n", "ENV-BULK-3 CLM-1", "bulks"),
    Mutant("AdvanceJumpsTheQueue", CLAIMING, "  if last and claims > 0 then -- not in advance [ENV-BULK-3]\n    call('LPUSH', from, entry)\n", "  if last and claims > 0 then -- not in advance [ENV-BULK-3]\n    call('LPUSH', keys.ready, entry)\n", "ENV-BULK-3 CLM-1", "scripts of many", "keeps_its_place"),
    Mutant("OnlyTheLastIsKeptCount", CLAIMING, "starts_left = starts_left + 1", "starts_left = 1", "ENV-REDIS-5", "scripts of many", "would_expire"),
    Mutant("OneTooMany", CLAIMING, "until claims == limit or not goes_on()", "until claims > limit or not goes_on()", "ENV-BULK-1", "bulks"),
    Mutant("FinishedTwiceInOneBulk", FINISHING, "if met[id] or record and reserved[n]", "if record and reserved[n]", "ENV-BULK-1 FIN-1", "bulks"),
    Mutant("ABulkEndsForNobody", FINISHING, "if met[id] or record and reserved[n] and dependent_of(id, incarnation(record)) then", "if met[id] then", "ENV-BULK-1 FIN-2", "bulks"),
    Mutant("ABulkKeepsTheIgnored", FINISHING, "if ignores(record) then -- [FIN-3]", "if false then", "ENV-BULK-1 FIN-3", "bulk", "would_alone"),
    Mutant("ABulkLeavesTheIgnored", FINISHING, "  if #ignored > 0 then call('HDEL', keys.claimed, unpack(ignored)) end\n", "", "ENV-BULK-1 FIN-3", "bulk", "would_alone"),
    Mutant("ABulkLeavesLeases", FINISHING, "  call('ZREM', keys.leases, unpack(ends)) -- a server that is full refuses to begin with what adds [ENV-REDIS-9]\n", "", "ENV-BULK-1 FIN-4", "scripts of many", "TestKeys"),
    Mutant("ABulkCountsStartsLeft", FINISHING, "    if start < attempts then kept_by = kept_by - 1 end\n", "", "ENV-REDIS-5", "scripts of many", "TestKeys"),
    Mutant("ABulkKeepsForEverOrNot", FINISHING, "        kept_by = kept_by + 1\n", "", "ENV-REDIS-5", "scripts of many", "TestKeys"),
    Mutant("ABulkLeavesArguments", FINISHING, "  if #arguments > 0 then call('HDEL', keys.taken, unpack(arguments)) end\n", "", "ENV-REDIS-5", "scripts of many", "TestKeys"),
    Mutant("ABulkIsRetainedALittleLonger", FINISHING, "= queue.now + retention, id", "= queue.now + retention + 1, id", "FIN-4 TIM-5", "bulk", "no_time"),
    Mutant("ABulkTellsNobody", FINISHING, "    if waited_for then tell(ends[n]) end\n", "", "FIN-4 ENV-WAIT-2", "bulk", "TestFinishing", needs="threads"),
    Mutant("ClaimsBehindNothing", FINISH_MANY, "if whole and limit > 0 then whole = goes_on() and claim() end\n", "", "ENV-BULK-1", "bulks"),
    Mutant("NoBoundInNumber", PARTS, "return queue.changed < RECORDS_MAX and answered_bytes", "return answered_bytes", "ENV-REDIS-4", "scripts of many", "TestBounds"),
    Mutant("NoBoundInBytes", PARTS, " and answered_bytes < BYTES_MAX", "", "ENV-BULK-1", "scripts of many", "carry"),
    Mutant("FoundIsForgotten", POP_MANY, "found = found or text ~= 'N'", "found = text ~= 'N'", "ENV-BULK-5 ENV-WAIT-4", "scripts of many", "waits_for_none"),
    Mutant("WaitsForTheFirstOnly", WAIT, "for _, id in ipairs(ids) do register(WAIT_FOR .. id, SLEEPER) end", "register(WAIT_FOR .. ids[1], SLEEPER)", "ENV-BULK-5 ENV-WAIT-5", "bulk", "TestPopping", needs="threads"),
    Mutant("RegistrationsOfManyStay", WAIT, "for _, id in ipairs(ids or {}) do", "for _, id in ipairs({ ids and ids[1] }) do", "ENV-REDIS-5", "scripts of many", "waited_are_two or many_that_waited", needs="threads"),
    # Redis: the client
    Mutant("SubmitsWithoutAReceipt", "queue/redis/scripts.py", 'load("submit_many")', 'load("submit_many", changes=False)', "ENV-RETRY-1", "receipts", "submit_many", needs="crash"),
    Mutant("FinishesWithoutAReceipt", "queue/redis/scripts.py", 'load("finish_many")', 'load("finish_many", changes=False)', "ENV-RETRY-1", "receipts", "finish_many", needs="crash"),
    Mutant("PopsWithoutAReceipt", "queue/redis/scripts.py", 'load("pop_many")', 'load("pop_many", changes=False)', "ENV-RETRY-1", "receipts", "pop_many", needs="crash"),
    Mutant("OutcomesOfTheFirst", MANY, "records.submitted(part, entry.outcome)", "records.submitted(part, rest[0].outcome)", "ENV-BULK-1 SUB-8", "bulks"),
    Mutant("ClaimsWithEachPiece", MANY, "limit = min(claims, OPERATIONS_MAX) if is_last else 0", "limit = min(claims, OPERATIONS_MAX)", "ENV-BULK-1", "bulk", "pieces"),
    Mutant("CutClaimsAreNotAskedFor", MANY, 'if is_last and reply[:1] == b"1":', "if is_last:", "ENV-BULK-1", "scripts of many", "TestBounds"),
    Mutant("TheNextPieceStealsTheWakeUp", MANY, 'b"1" if block else b"0",\n                    *_piece', 'b"0",\n                    *_piece', "ENV-BULK-5", "scripts of many", "is_not_lost", needs="threads"),
    Mutant("ClosedIsAllLost", MANY, "                    if not found:\n                        raise\n", "                    raise\n", "ENV-WAIT-7", "scripts of many", "when_it_is_closed", needs="threads"),
    # what all share
    Mutant("NobodyKnowsWhatIsDone", BULK, "            error.answers = tuple(self._answers)\n", "", "ENV-BULK-6", "one by one"),
    Mutant("NoNote", BULK, '            error.add_note(f"of {self._count} operations {len(self._answers)} are known to be done")\n', "", "ENV-BULK-6", "one by one"),
    Mutant("CheckedOnTheWay", BACKEND, 'return self._submit_many(bulk.checked("submissions", submissions, self._submission))', "return [self._submit(*self._submission(each)) for each in submissions]", "ENV-BULK-2", "bulk", "TestErrors"),
    Mutant("TheErrorNamesNoItem", BULK, 'raise kind(f"{argument}[{len(answers)}]{text}") from error.__cause__', "raise", "ENV-BULK-2", "bulk", "TestErrors"),
    Mutant("LooksBeforeItIsOver", BACKEND, "            if is_over or not tasks or any(answer is not None for answer in answers):\n", "            if is_over or not tasks:\n", "ENV-BULK-5", "one by one", needs="threads"),
    # memory
    Mutant("AdvanceTakesTheLastStart", MEMORY_TASKS, "            if claims and first.start + 1 >= first.ticket.attempts:\n", "            if False:\n", "ENV-BULK-3", "bulks"),
    Mutant("AdvanceHasNoFirst", MEMORY_TASKS, "if claims and first.start + 1 >=", "if first.start + 1 >=", "ENV-BULK-3", "bulks"),
    Mutant("TheLastIsOneTooMany", MEMORY_TASKS, "if claims and first.start + 1 >= first", "if claims and first.start >= first", "ENV-BULK-3", "bulks"),
    Mutant("WaitsForTheFirstOnly", MEMORY_WAITING, "        for record in waiter.records:\n            self._pops.setdefault", "        for record in waiter.records[:1]:\n            self._pops.setdefault", "ENV-BULK-5 ENV-WAIT-5", "bulk", "TestPopping", needs="threads"),
    Mutant("TheSecondPieceComesFirst", MEMORY_QUEUE, "answers += self._apply(self._submit_each, _next(entries, answers))", "answers[:0] = self._apply(self._submit_each, _next(entries, answers))", "ENV-BULK-1", "bulk", "pieces"),
    Mutant("ClaimsWithEachPiece", MEMORY_QUEUE, "claims if is_last else 0", "claims", "ENV-BULK-1", "bulk", "pieces"),
    # SQLite
    Mutant("AdvanceTakesTheLastStart", SQLITE_TASKS, "if record is None or (claims and record.start + 1 >= record.attempts):", "if record is None:", "ENV-BULK-3", "bulks"),
    Mutant("WaitsForTheFirstOnly", SQLITE_BELL, "frozenset(task_id for task_id, _ in tasks)", "frozenset(task_id for task_id, _ in tasks[:1])", "ENV-BULK-5 ENV-WAIT-5", "bulk", "TestPopping", needs="threads"),
    Mutant("ClaimsWithEachPiece", SQLITE_QUEUE, "limit = min(claims, OPERATIONS_MAX) if is_last else 0", "limit = min(claims, OPERATIONS_MAX)", "ENV-BULK-1", "bulk", "pieces"),
    Mutant("NoBoundForABulk", SQLITE_TASKS, "        return self._left > 0 and not self.is_behind\n", "        return True\n", "ENV-SQLITE-9", "bulk", "rest_of_a_bulk"),
)
