"""Mutants of the Redis queue: its scripts, and what sends them. A mutant is a line or two, so the table is laid out by hand."""

from tests.mutants.mutant import Mutant

LUA = "queue/redis/lua/"
OPENING = LUA + "opening.lua"
PRELUDE = LUA + "prelude.lua"
BEGIN = LUA + "begin.lua"
RECORDS = LUA + "records.lua"
READY = LUA + "ready.lua"
TELL = LUA + "tell.lua"
KEPT = LUA + "kept.lua"
CASCADE = LUA + "cascade.lua"
DEPENDENT = LUA + "dependent.lua"
CLAIMED = LUA + "claimed.lua"
STALE = LUA + "stale.lua"
WAIT = LUA + "wait.lua"
SUBMIT = LUA + "submitting.lua"
DEFER = LUA + "defer.lua"
CLAIM = LUA + "claiming.lua"
AWAIT = LUA + "await.lua"
CLAIM_ALONE = LUA + "claim.lua"
BULK = LUA + "bulk.lua"
SUBMIT_MANY = LUA + "submit_many.lua"
FINISH_MANY = LUA + "finish_many.lua"
POP_MANY = LUA + "pop_many.lua"
MANY = "queue/redis/many.py"
FINISH = LUA + "finishing.lua"
HEARTBEAT = LUA + "heartbeat.lua"
RELEASE = LUA + "release.lua"
POP = LUA + "looking.lua"
DISCARD = LUA + "discard.lua"
PURGE = LUA + "purge.lua"
SIZE = LUA + "size.lua"
STATUS = LUA + "status.lua"
RESERVE = LUA + "reserve_argument.lua"
SET_ARGUMENT = LUA + "set_argument.lua"
GET_ARGUMENTS = LUA + "get_arguments.lua"
CLOSE = LUA + "close.lua"
QUEUE = "queue/redis/queue.py"
LINK = "queue/redis/link.py"
RETRY = "queue/redis/retry.py"
CONTACT = "queue/redis/contact.py"
URL = "queue/redis/url.py"
WAITING = "queue/redis/waiting.py"
PACKING = "queue/redis/records.py"
KEYS = "queue/redis/keys.py"
SERVER = "queue/redis/server.py"
DISCOVERY = "queue/redis/discovery.py"

# fmt: off

SCRIPTS: tuple[Mutant, ...] = (
    # submit
    Mutant("SubmitAgainIsDuplicate", SUBMIT, "answer(incarnation(there) == inc and 'A' or 'D')", "answer('D')", "SUB-1", "exhaustive"),
    Mutant("AnySubmitIsTheSame", SUBMIT, "answer(incarnation(there) == inc and 'A' or 'D')", "answer('A')", "SUB-2", "exhaustive"),
    Mutant("IdFreeWhileItRuns", SUBMIT, "local there = find(id, '')", "local there = call('HGET', keys.waiting, id)",
           "SUB-1 SUB-2", "exhaustive", pitfall="ids"),
    Mutant("DoubleReservation", SUBMIT, "ignores(it) or dependent_of(argument, incarnation(it)) then", "ignores(it) then",
           "SUB-3", "exhaustive", "arguments that are not available", pitfall="results"),
    Mutant("FireAndForgetAsArgument", SUBMIT, "if not it or ignores(it) or dependent_of", "if not it or dependent_of",
           "SUB-3", "exhaustive", pitfall="arguments"),
    Mutant("ArgumentOfAnyIncarnation", SUBMIT, "find(argument, sub(wish, 1, 1) == '=' and sub(wish, 2) or '')", "find(argument, '')",
           "SUB-3 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("RefusalConsumes", SUBMIT, "then return answer('U' .. argument) end",
           "then if n > 1 then consume(ids_of(list)[1]) end return answer('U' .. argument) end",
           "SUB-3", "exhaustive", pitfall="enqueue with Deferreds"),
    Mutant("LastFailureFirst", SUBMIT, "elseif fails and not failed and sub(it, 44, 44) == 'f' then", "elseif fails and sub(it, 44, 44) == 'f' then",
           "SUB-5", "exhaustive"),
    Mutant("FailureIsPassedToo", SUBMIT, "elseif fails and not failed and", "elseif not failed and", "SUB-5 SUB-6", "exhaustive"),
    Mutant("FailedArgumentStays", SUBMIT, "    consume(failed)\n", "    call('HLEN', keys.claimed)\n", "SUB-5", "exhaustive"),
    Mutant("FetchedFailureTakesArguments", SUBMIT, "if failed and outcome == '' then -- [SUB-5]", "if failed then", "SUB-4", "walk"),
    Mutant("FetchedExpiryIsKept", SUBMIT, "  if sub(outcome, 1, 1) == 'x' then return answer('A') end\n", "", "SUB-4", "exhaustive"),
    Mutant("FailureOfFireAndForgetIsKept", SUBMIT, "  if ignores(record) then return answer('E') end -- [OUT-4] [SUB-8]\n", "", "SUB-4 OUT-4", "exhaustive"),
    Mutant("FailureOfAnArgumentIsKept", SUBMIT, "    if ignores(record) then return answer('Ef' ..", "    if failure == '' then return answer('Ef' ..", "SUB-5 OUT-4", "exhaustive"),
    Mutant("EndsInSilence", SUBMIT, "return answer('Ef' .. pack('>I4', #source) .. source .. message)", "return answer('A')", "SUB-8", "exhaustive"),
    Mutant("EndsWithoutASource", SUBMIT, "answer('Ef' .. pack('>I4', #source) .. source .. message)", "answer('Ef' .. pack('>I4', 0) .. message)", "SUB-8", "exhaustive"),
    Mutant("FetchedFailureKeptForEver", SUBMIT, "source, message, retention) -- [OUT-5]", "source, message, FOREVER)",
           "SUB-4 SUB-5 TIM-5", "exhaustive", "fetched failures"),
    Mutant("SourceIsForgotten", SUBMIT, "return end_with(source, sub(outcome, message_at))", "return end_with('', sub(outcome, message_at))", "SUB-4 OUT-3", "exhaustive", "fetched failures"),
    Mutant("FailureOfTheNeighbourAtTheSubmit", SUBMIT, "    if source == '' then source = failed end\n", "    source = failed\n", "SUB-5 OUT-3", "examples"),
    Mutant("ReadyWithoutItsArguments", SUBMIT, "missing > 0 and 'P' .. sub(record, 2) or record)\nif missing > 0 then",
           "record)\nif missing > 0 then\n  enqueue(id)", "SUB-7", "exhaustive"),
    Mutant("YoungerCountsAsOlder", SUBMIT, "record = of_epoch(record)\n", "",
           "TOK-4 RSV-2", "exhaustive"),
    Mutant("LosesOrder", READY, "call('RPUSH', keys.ready, inc .. id)", "call('LPUSH', keys.ready, inc .. id)", "SUB-7 CLM-1 TIM-3", "exhaustive", pitfall="claim"),
    # claim
    Mutant("NewestFirst", CLAIM, "if not queue.stale then\n    entry = call('LPOP', keys.ready)", "if not queue.stale then\n    entry = call('RPOP', keys.ready)",
           "CLM-1", "exhaustive"),
    Mutant("ClaimTakesWhatIsNotReady", CLAIM, "  if not entry then break end\n", "  entry = entry or call('HLEN', keys.waiting) > #moved and string.rep('0', 16) .. call('HKEYS', keys.waiting)[1]\n  if not entry then break end\n", "CLM-2 CLM-1", "exhaustive"),
    Mutant("StartIsAlwaysOne", CLAIM, "start = start + 1", "start = 1", "TOK-3 CLM-1", "exhaustive", "deadlines that pass together"),
    Mutant("ClaimLongerThanItsLease", CLAIM, "leased[scores + 1] = queue.now + lease\n", "leased[scores + 1] = queue.now + lease + 1\n",
           "CLM-1", "exhaustive", pitfall="lease"),
    Mutant("ClaimWithoutLease", CLAIM, "    call('ZADD', keys.leases, unpack(leased))\n", "", "CLM-1 TIM-4", "exhaustive", pitfall="lease"),
    Mutant("FireAndForgetIsKept", CLAIM, "if last and ignores(record) then", "if false then", "CLM-3", "exhaustive"),
    Mutant("FireAndForgetHasOneAttempt", CLAIM, "if last and ignores(record) then", "if ignores(record) then", "CLM-3 TIM-3", "exhaustive"),
    Mutant("ClaimWithoutArguments", CLAIM, "pack('>I4', #blob) .. blob .. message)", "pack('>I4', 0) .. message)", "CLM-4", "exhaustive"),
    Mutant("ClaimForgetsTheArguments", CLAIM, "    if blob ~= '' then call('HSET', keys.taken, id, blob) end\n", "", "GAR-1 TIM-3", "exhaustive", "a result for a dependent that passes errors"),
    Mutant("ClaimForgetsTheMessage", CLAIM, "sub(record, 24, last and 43 or -1)", "sub(record, 24, 43)", "TIM-3 CLM-1", "exhaustive", "deadlines that pass together"),
    Mutant("ClaimedIsStillWaiting", CLAIM, "  call('HDEL', keys.waiting, unpack(moved))\n", "", "CLM-1 SIZ-1", "exhaustive"),
    Mutant("LastStartLeavesNothing", CLAIM, "      call('SET', latest, token, 'PX', ttl_ms)\n", "", "GAR-3", "exhaustive"),
    Mutant("LastStartWithoutArgumentsHidesNothing", CLAIM, "      call('DEL', latest)\n", "      call('GET', latest)\n", "GAR-3", "exhaustive", "last starts that hide one another"),
    Mutant("LastStartOutlivesItsLease", GET_ARGUMENTS, "if retired and unpack_at('>I6', retired) > queue.now then", "if retired then", "GAR-3 TIM-1", "exhaustive"),
    Mutant("LateEndOfALastStart", GET_ARGUMENTS, "unpack_at('>I6', retired) > queue.now", "unpack_at('>I6', retired) >= queue.now", "GAR-3 TIM-1", "exhaustive"),
    # finish
    Mutant("FinishOfTheCompleted", CLAIMED, "record and sub(record, 1, 1) == 'W' and (token", "record and (token", "FIN-1 HRT-2 REL-2", "exhaustive"),
    Mutant("StaleTokenAccepted", CLAIMED, "and (token == '' or sub(record, 5, 23) == token) then", "then", "FIN-1 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("NoTokenIsNoClaim", CLAIMED, "(token == '' or sub(record, 5, 23) == token)", "sub(record, 5, 23) == token", "TOK-2 FIN-4 HRT-1", "exhaustive"),
    Mutant("EarlierStartAccepted", CLAIMED, "sub(record, 5, 23) == token)", "sub(record, 5, 20) == sub(token, 1, 16))", "FIN-1 TOK-1", "examples"),
    Mutant("DependentNotNamed", FINISH, "return answer('A' .. dependent)", "return answer('A')", "FIN-2", "exhaustive"),
    Mutant("DependentNotTold", FINISH, "  ending.deliver(id, incarnation(record), kind, '', message)\n", "", "FIN-2 OUT-1", "exhaustive"),
    Mutant("IgnoredResultIsKept", FINISH, "if ignores(record) then -- [FIN-3]", "if false then", "FIN-3", "exhaustive", "fire and forget"),
    Mutant("KeptForEver", FINISH, "complete(id, record, kind, '', message, retention)", "complete(id, record, kind, '', message, FOREVER)", "FIN-4 TIM-5", "exhaustive"),
    Mutant("FailureIsAResult", FINISH, "complete(id, record, kind, '', message, retention)", "complete(id, record, 'r', '', message, retention)", "FIN-4", "exhaustive"),
    Mutant("RetentionIsLate", KEPT, "retention + queue.now, id)", "retention + queue.now + 1, id)", "FIN-4 TIM-5", "exhaustive"),
    Mutant("LeaseOfTheFinished", KEPT, "  call('ZREM', keys.leases, id)\n", "", "FIN-4", "walk"),
    Mutant("OldRetentionEndsTheNext", KEPT, "if call('ZREM', keys.retained, id) == 0 then keep(-1) end",
           "if not call('ZSCORE', keys.retained, id) then keep(-1) end", "POP-5 TIM-5", "exhaustive", pitfall="id reuse"),
    # heartbeat, release
    Mutant("HeartbeatNeverShortens", HEARTBEAT, "call('ZREM', keys.leases, id)", "if tonumber(call('ZSCORE', keys.leases, id)) > queue.now + lease then return answer('T') end\ncall('ZREM', keys.leases, id)",
           "HRT-1", "walk"),
    Mutant("HeartbeatWithoutEffect", HEARTBEAT, "call('ZADD', keys.leases, queue.now + lease, id)\n", "", "HRT-1", "walk", pitfall="lease"),
    Mutant("HeartbeatOfTheLostIsTrue", HEARTBEAT, "then return answer('F') end", "then return answer('T') end", "HRT-2", "exhaustive"),
    Mutant("ReleaseExpires", RELEASE, "ending.lapse(id, record)", "ending.expire(id, record)", "REL-1 TIM-3", "exhaustive", "leases"),
    Mutant("GivenBackAtTheTail", RELEASE, "call('LPUSH', queue.stale and keys.front or keys.ready,", "call('RPUSH', keys.ready,", "REL-3", "exhaustive", "claims given back"),
    Mutant("GivenBackBehindFront", RELEASE, "queue.stale and keys.front or keys.ready", "keys.ready", "REL-3", "examples", "next_to_be_claimed"),
    Mutant("GivenBackWhereNobodyLooks", RELEASE, "queue.stale and keys.front or keys.ready", "keys.front", "REL-3", "exhaustive", "claims given back"),
    Mutant("GivenBackCostsAStart", RELEASE, "attempts + 1)", "attempts)", "REL-3", "examples", "costs_no_start"),
    Mutant("GivenBackWithoutArguments", RELEASE, "    if arguments then call('HSET', keys.args, incarnation(record), arguments) end\n", "", "REL-3 CLM-4", "examples", "keeps_its_arguments"),
    Mutant("GivenBackWakesNobody", RELEASE, "    wake_claim()\n", "", "ENV-WAIT-2", "waiting", "TestClaims", needs="threads"),
    Mutant("LastStartIsGivenBack", RELEASE, "if start < attempts and attempts < ATTEMPTS_MAX then", "if attempts < ATTEMPTS_MAX then", "REL-1 TIM-4", "examples", "last_start_is_not_given_back"),
    Mutant("ReleaseOfTheLostIsTrue", RELEASE, "then return answer('F') end", "then return answer('T') end", "REL-2", "exhaustive"),
    # pop
    Mutant("PopKeeps", POP, "    consume(id)\n    tell(id)\n", "", "POP-5", "exhaustive"),
    Mutant("PopOfTheReservedWaits", POP, "  if dependent_of(id, inc) then return 'R' end\n", "", "POP-3", "exhaustive", pitfall="results"),
    Mutant("ReservedIsExpired", POP, "return 'R'", "return 'X'", "POP-3", "exhaustive", pitfall="results"),
    Mutant("PopOfNothingWaits", POP, "if not record or ignores(record) then return 'X' end", "if not record then return 'N', wanted end\n  if ignores(record) then return 'X' end",
           "POP-1", "exhaustive"),
    Mutant("NotYetIsNever", POP, "return 'N', inc", "return 'X'", "POP-4", "exhaustive"),
    Mutant("PopOfFireAndForgetWaits", POP, "if not record or ignores(record) then", "if not record then", "POP-2", "exhaustive"),
    Mutant("PopOfAnyIncarnation", POP, "find(id, wanted)", "find(id, '')", "POP-1 TOK-1", "exhaustive", pitfall="id reuse"),
    # discard, purge, size, status
    Mutant("DiscardOfAnyIncarnation", DISCARD, "find(id, wanted)", "find(id, '')", "DSC-2 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("DiscardOfNothingIsTrue", DISCARD, "then return answer('F') end", "then return answer('T') end", "DSC-2", "exhaustive", pitfall="discarding"),
    Mutant("DiscardSparesTheCompleted", DISCARD, "if not record then", "if not record or sub(record, 1, 1) == 'C' then", "DSC-1", "exhaustive", pitfall="discarding"),
    Mutant("DiscardedStillRuns", CASCADE, "    if state == 'E' then leave_fifo(incarnation(record) .. id) end\n", "", "DSC-1", "exhaustive", pitfall="discarding"),
    Mutant("NothingIsFreed", DEPENDENT, "  if rows[1] and rows[2] and sub", "  if not rows[1] or not rows[2] or sub", "OUT-7 DSC-1 PRG-1", "exhaustive", pitfall="purging"),
    Mutant("PurgeForgetsThePending", PURGE, "call('UNLINK', keys.waiting, keys.ready,",
           "for _, ready in ipairs(call('LRANGE', keys.ready, 0, -1)) do call('HDEL', keys.waiting, ready) end\ncall('UNLINK', keys.ready,",
           "PRG-1", "exhaustive", pitfall="purging"),
    Mutant("PurgeDropsTheRunning", PURGE, "call('UNLINK', keys.waiting,", "call('UNLINK', keys.waiting, keys.claimed, keys.leases, keys.retained,",
           "PRG-2", "exhaustive", pitfall="purging"),
    Mutant("PurgeCountsTheReady", PURGE, "local count = call('HLEN', keys.waiting)", "local count = call('LLEN', keys.ready)", "PRG-1", "exhaustive"),
    Mutant("SizeWithoutThePending", SIZE, "call('HLEN', keys.waiting)", "call('LLEN', keys.ready)", "SIZ-1", "exhaustive", pitfall="size"),
    Mutant("SizeOfAll", SIZE, "call('HLEN', keys.waiting)", "call('HLEN', keys.waiting) + call('HLEN', keys.claimed)", "SIZ-1", "exhaustive", pitfall="size"),
    Mutant("StatusOfAnyIncarnation", STATUS, "find(id, wanted)", "find(id, '')", "STA-2 TOK-1", "exhaustive"),
    Mutant("PendingIsEnqueued", STATUS, "return answer(record and sub(record, 1, 1) or '-')", "return answer(record and sub(record, 1, 1):gsub('P', 'E') or '-')", "STA-1", "exhaustive"),
    Mutant("AnyIncarnationIsThere", RECORDS, "if record and (wanted == '' or incarnation(record) == wanted) then return record end",
           "if record then return record end", "TOK-1", "exhaustive", pitfall="id reuse"),
    # defer
    Mutant("DeferAgainIsRefused", DEFER, "answer(incarnation(there) == inc and 'A' or 'D')", "answer('D')", "DFR-1", "exhaustive"),
    Mutant("AnyDeferIsTheSame", DEFER, "answer(incarnation(there) == inc and 'A' or 'D')", "answer('A')", "DFR-1", "exhaustive"),
    Mutant("DeferIsNoEpoch", DEFER, "call('HINCRBY', META, 'epoch', 1)", "queue.epoch", "TOK-4 RSV-2", "exhaustive"),
    Mutant("DeferOfNothing", DEFER, "missing.run()\n", "", "DFR-2", "exhaustive"),
    Mutant("DeferCountsOneMore", DEFER, "decimal(#ids_of(list))", "decimal(#ids_of(list) + 1)", "DFR-2 ARG-4", "exhaustive"),
    # reserve_argument
    Mutant("ReserveAgainIsRefused", RESERVE, "if mode ~= '-' and (wanted", "if false and (wanted", "RSV-1", "exhaustive"),
    Mutant("ReserveAgainForgets", RESERVE, "return answer('M' .. sub(row, message_at))", "return answer('L')", "RSV-1", "exhaustive"),
    Mutant("ReserveAgainOfAnyIncarnation", RESERVE, "if mode ~= '-' and (wanted == '' or sub(row, 3, 18) == wanted) then", "if mode ~= '-' then",
           "RSV-1 TOK-1", "exhaustive"),
    Mutant("ReserveWhatIsNotMissed", RESERVE, "if sub(row, 1, 1) ~= 'M' then return answer('N') end\n", "", "RSV-2", "exhaustive", "reserve what has failed"),
    Mutant("ReserveTheReserved", RESERVE, "ignores(it) or dependent_of(argument, incarnation(it)) then", "ignores(it) then", "RSV-2", "exhaustive", "two want the same", pitfall="results"),
    Mutant("ReserveFireAndForget", RESERVE, "if not it or ignores(it) or dependent_of", "if not it or dependent_of", "RSV-2", "exhaustive"),
    Mutant("ReserveTheYounger", RESERVE, "if epoch_of_argument >= epoch_of_dependent then", "if epoch_of_argument > epoch_of_dependent then",
           "RSV-2 TOK-4", "exhaustive", pitfall="size"),
    Mutant("ReserveAnyIncarnation", RESERVE, "local it = find(argument, wanted)", "local it = find(argument, '')", "RSV-2 TOK-1", "exhaustive", pitfall="id reuse"),
    Mutant("ReserveForAnyIncarnation", RESERVE, "find(dependent, dependent_wanted)", "find(dependent, '')", "RSV-2 TOK-1", "walk", pitfall="id reuse"),
    Mutant("ReservedResultStays", RESERVE, "consume(argument)\n", "", "RSV-3", "exhaustive", pitfall="results"),
    Mutant("BoundResultStays", CASCADE, "        return consume(id)\n", "        return\n", "SUB-6", "exhaustive", pitfall="results"),
    Mutant("ReservedByNobody", RESERVE, "  call('HSET', keys.reserved, argument, inc .. dependent)\n", "", "RSV-4", "exhaustive"),
    # set_argument, get_arguments
    Mutant("SetTwiceCountsTwice", SET_ARGUMENT, "if state ~= 'M' and state ~= 'R' then", "if state ~= 'M' and state ~= 'R' and sub(record, 1, 1) ~= 'P' then",
           "ARG-2", "exhaustive", pitfall="arguments"),
    Mutant("SetAsAFailure", SET_ARGUMENT, "hold(argument, id, inc, 'r', '', message)", "hold(argument, id, inc, 'f', '', message)", "ARG-3 CLM-4", "exhaustive", "defer again, in each state"),
    Mutant("SetIsAlwaysLast", SET_ARGUMENT, "call('HEXISTS', keys.args, inc) == 1 and 'F' or 'T'", "'T'", "ARG-4", "exhaustive"),
    Mutant("SetAgainIsAlwaysLast", SET_ARGUMENT, "answer(sub(record, 1, 1) == 'P' and 'F' or 'T')", "answer('T')", "ARG-2", "exhaustive"),
    Mutant("SetOfAnyIncarnation", SET_ARGUMENT, "find(id, wanted)", "find(id, '')", "ARG-1 TOK-1", "exhaustive"),
    Mutant("ArgumentsOfAnyClaim", GET_ARGUMENTS, "if record and (token == '' or sub(record, 5, 23) == token) then", "if record then", "GAR-2 TOK-1", "exhaustive"),
    Mutant("LastStartsBehindTheLiving", GET_ARGUMENTS, "if token == '' and not record then", "if token == '' or not record then", "GAR-3 TOK-1", "exhaustive"),
    # time
    Mutant("LateLease", BEGIN, "call('ZCOUNT', keys.leases, '-inf', queue.now)", "call('ZCOUNT', keys.leases, '-inf', '(' .. decimal(queue.now))",
           "TIM-1", "exhaustive"),
    Mutant("LateRetention", BEGIN, "call('ZCOUNT', keys.retained, '-inf', queue.now)", "call('ZCOUNT', keys.retained, '-inf', '(' .. decimal(queue.now))",
           "TIM-1 TIM-5", "exhaustive"),
    Mutant("LeasesAreNotApplied", BEGIN, "call('ZCOUNT', keys.leases, '-inf', queue.now) > 0\n  or", "", "TIM-2", "exhaustive"),
    Mutant("OneDeadlineAtATime", CASCADE, "    if not id then return end\n    first('sweep', queue.now)\n", "    if not id then return end\n", "TIM-2 TIM-6", "exhaustive"),
    Mutant("StartsOnceMore", CASCADE, "if start >= attempts then return expire(id, record) end", "if start > attempts then return expire(id, record) end", "TIM-4", "exhaustive"),
    Mutant("NeverStartsAgain", CASCADE, "if start >= attempts then return expire(id, record) end", "if true then return expire(id, record) end", "TIM-3", "exhaustive"),
    Mutant("RequeuedWithoutArguments", CASCADE, "    if arguments then call('HSET', keys.args, incarnation(record), arguments) end\n", "", "TIM-3 CLM-4", "walk"),
    Mutant("RequeuedInTheOrderOfIds", CASCADE, "call('ZRANGEBYSCORE', keys.leases, '-inf', queue.now, 'LIMIT', 0, 1)[1]",
           "(function() local due = call('ZRANGEBYSCORE', keys.leases, '-inf', queue.now) table.sort(due) return due[1] end)()", "TIM-2", "exhaustive", "deadlines that pass together"),
    Mutant("LeaseStrandsTheDependent", CASCADE, "    deliver(id, incarnation(record), 'x', '', '')\n", "", "TIM-4 OUT-6", "exhaustive", pitfall="arguments"),
    # outcomes on their way
    Mutant("FailureAsArgument", CASCADE, "if kind == 'r' or sub(call('HGET', keys.args, inc), 1, 1) == 'p' then", "if kind ~= 'x' or sub(call('HGET', keys.args, inc), 1, 1) == 'p' then",
           "OUT-3", "exhaustive"),
    Mutant("ErrorsAreNotPassed", CASCADE, "if kind == 'r' or sub(call('HGET', keys.args, inc), 1, 1) == 'p' then", "if kind == 'r' then", "OUT-2", "exhaustive"),
    Mutant("ExpiryIsNotPassed", CASCADE, "if kind == 'r' or sub(call('HGET', keys.args, inc), 1, 1) == 'p' then",
           "if kind == 'r' or kind == 'f' and sub(call('HGET', keys.args, inc), 1, 1) == 'p' then", "OUT-2", "exhaustive", pitfall="arguments"),
    Mutant("ExpiryIsAFailure", CASCADE, "    if kind == 'x' then return expire(dependent, record) end\n", "", "OUT-6", "exhaustive"),
    Mutant("FailureOfTheNeighbour", CASCADE, "if source == '' then source = id end", "source = id", "OUT-3", "exhaustive", "a chain"),
    Mutant("FailureOfNobody", CASCADE, "    if source == '' then source = id end\n", "", "OUT-3", "exhaustive", "two arguments"),
    Mutant("FailureStopsAtTheFirst", CASCADE, "if not deliver(dependent, inc, 'f', source, message) and not ignores(record) then", "if not ignores(record) then",
           "OUT-3", "exhaustive"),
    Mutant("FailureOfFireAndForget", CASCADE, "message) and not ignores(record) then -- [OUT-3] [OUT-4]", "message) then", "OUT-4", "exhaustive"),
    Mutant("FailureKeptForEver", CASCADE, "complete(dependent, record, 'f', source, message, retention) -- [OUT-5]", "complete(dependent, record, 'f', source, message, FOREVER)",
           "OUT-5 TIM-5", "walk"),
    Mutant("TheLastArgumentIsNotSeen", CASCADE, "    enqueue(dependent, inc)\n", "", "OUT-1 ARG-4", "exhaustive"),
    Mutant("FrontInReverse", STALE, "call('RPUSH', keys.front, first)", "call('LPUSH', keys.front, first)", "CLM-1 DSC-1", "exhaustive", "discarded", pitfall="claim"),
    Mutant("StaleForEver", STALE, "call('SREM', keys.stale, entry)", "call('SISMEMBER', keys.stale, entry)", "ENV-REDIS-4", "bounds", "not_pile_up"),
    Mutant("StaleById", CASCADE, "leave_fifo(incarnation(record) .. id)", "leave_fifo(id)", "DSC-1", "exhaustive", pitfall="discarding"),
    Mutant("EntriesAreIds", READY, "call('RPUSH', keys.ready, inc .. id)", "call('RPUSH', keys.ready, string.rep('0', 16) .. id)", "CLM-1 DSC-1", "exhaustive", pitfall="id reuse"),
    # bounds, keys, clocks, formats
    Mutant("CascadeWithoutBound", OPENING, "local RECORDS_MAX = 900", "local RECORDS_MAX = 900000", "ENV-REDIS-4", "bounds", "test_a_chain_ends"),
    Mutant("TheRestIsForgotten", CASCADE, "    if #todo > 0 then save() end\n", "", "ENV-REDIS-4", "bounds", "test_a_chain_ends"),
    Mutant("TheRestIsNotDoneFirst", BEGIN, "(queue.work or call('ZCOUNT'", "(call('ZCOUNT'", "ENV-REDIS-4", "bounds", "half_done", needs="crash"),
    Mutant("TheRestAtAnotherTime", CASCADE, "      queue.now = step[2] -- [TIM-6]\n", "", "TIM-6 ENV-REDIS-4", "bounds", "finished_later", needs="crash"),
    Mutant("StaleEntriesPileUp", STALE, "local SIFTED_MAX = 4", "local SIFTED_MAX = 0", "ENV-REDIS-4", "bounds", "do_not_pile_up"),
    Mutant("PurgeOneByOne", PURGE, "queue.changed = queue.changed + 1\n",
           "queue.changed = queue.changed + 1\nfor _, each in ipairs(call('HKEYS', keys.waiting)) do call('HDEL', keys.waiting, each) end\n",
           "ENV-REDIS-8", "bounds", "takes_no_time"),
    Mutant("KeysStay", PRELUDE, "call('UNLINK', META, keys.claimed, keys.leases, keys.retained, keys.taken)", "call('UNLINK', keys.claimed, keys.leases, keys.retained, keys.taken)",
           "ENV-REDIS-5", "exhaustive"),
    Mutant("WhatHasEndedWaits", CLAIM, "queue.waits = not queue.stale", "queue.waits = true", "ENV-REDIS-5", "keys", "they_expire_physically"),
    Mutant("NoPhysicalExpiry", PRELUDE, "elseif queue.kept == 0 then", "elseif false then", "ENV-REDIS-5", "keys", "they_expire_physically"),
    Mutant("PhysicalExpiryOfTheKept", PRELUDE, "elseif queue.kept == 0 then", "elseif true then", "ENV-REDIS-5 SUB-5 OUT-5", "keys", "do_not_expire_physically"),
    Mutant("PhysicalExpiryOfTheWaiting", PRELUDE, "    if queue.ttl then\n      for", "    if false then\n      for", "ENV-REDIS-5 TIM-7", "keys", "TestKeys", pitfall="waiting tasks"),
    Mutant("KeptIsMiscounted", KEPT, "  if start < attempts then keep(-1) end\n", "", "ENV-REDIS-5", "keys", "TestKeys"),
    Mutant("FormatIsNotChecked", BEGIN, "if queue.format and queue.format ~= FORMAT then return 'v' .. queue.format end", "", "ENV-REDIS-7", "receipts", "TestFormats"),
    Mutant("ClockOfTheClient", LINK, 'return b"" if self.clock is None else', 'return b"%d" % (time.time() * 1000 - 9e6) if self.clock is None else',
           "ENV-REDIS-3", "keys", "clock_of_the_server", pitfall="wake-ups and reconnects (other queues)"),
    Mutant("NamesMeet", KEYS, "quote(name, safe='')", "quote(name, safe='{}:')", "ENV-REDIS-2", "keys", "TestNames", pitfall="ids"),
    Mutant("AnyServerWillDo", SERVER, "    if (int(numbers[1]), int(numbers[2])) < version_min:\n        _refuse", "    if numbers is version_min:\n        _refuse",
           "ENV-REDIS-6", "servers", "refused_at_first_use"),
    Mutant("ArgumentsInTheOrderGiven", PACKING, "encoded = sorted(task_id.encode() for task_id in ids)", "encoded = [task_id.encode() for task_id in ids]", "SUB-3 SUB-5", "exhaustive"),
    Mutant("TokensInTheOrderGiven", PACKING, "sorted(args.items(), key=_id)", "args.items()", "SUB-3 TOK-1", "walk"),
)

# What shows only when somebody waits, dies, or loses a connection.
CONCURRENT: tuple[Mutant, ...] = (
    Mutant("NoReceipt", PRELUDE, "    call('SET', SESSION, NUMBER .. reply, 'PX', ARGV[3])\n", "",
           "ENV-RETRY-1", "receipts", "answers_as_the_first", needs="crash"),
    Mutant("ReceiptIsNotRead", BEGIN, "  if last == NUMBER then return call('GETRANGE', SESSION, 16, -1) end -- [ENV-RETRY-1]\n", "",
           "ENV-RETRY-1", "receipts", "answers_as_the_first", needs="crash"),
    Mutant("ReceiptOfAShortLife", PRELUDE, "'PX', ARGV[3])\n  end\n  return reply", "'PX', 1000)\n  end\n  return reply", "ENV-RETRY-1", "receipts", "outlives", needs="crash"),
    Mutant("LateOnesAreDone", BEGIN, "  if last ~= '' and tonumber(last) > tonumber(NUMBER) then return '<' end\n", "",
           "ENV-RETRY-1", "receipts", "comes_late", needs="crash"),
    Mutant("EachTryHasItsNumber", LINK, "self._command(channel, script, number, arguments, whole=whole)",
           "self._command(channel, script, channel.next_number() if script.changes else number, arguments, whole=whole)",
           "ENV-RETRY-1", "receipts", "answers_as_the_first", needs="crash"),
    Mutant("BoundedCallsArePatient", LINK, "        is_prompt = not waits and bounds.until_s() is not None\n", "        is_prompt = False\n", "ENV-RETRY-3 ENV-POOL-21", "connections", "silent_is_left_for_another", needs="crash"),
    Mutant("LostContactIsSaidAgain", CONTACT, "        if is_news:\n            _log", "        if error:\n            _log", "ENV-RETRY-4", "connections", "contact_is_said", needs="crash"),
    Mutant("ContactIsNotSaidToBeBack", LINK, "                    self._contact.made()\n", "                    pass\n", "ENV-RETRY-4", "connections", "contact_is_said", needs="crash"),
    Mutant("WaitOutlastsItsConnection", URL, "    if not SOCKET_TIMEOUT_S_MIN < options", "    if not 0 < options", "ENV-RETRY-5", "servers", "wait_may_outlast", "wake-ups and reconnects (other queues)", "crash"),
    Mutant("UnknownIsNotSent", RETRY, '            self._outcome = "unknown"\n', '            self._outcome = "not_sent"\n', "ENV-RETRY-2", "receipts", "TestRetries", needs="crash"),
    Mutant("NotSentIsUnknown", RETRY, 'self._outcome: Literal["not_sent", "unknown"] = "not_sent"', 'self._outcome: Literal["not_sent", "unknown"] = "unknown"',
           "ENV-RETRY-2", "receipts", "TestRetries", needs="crash"),
    Mutant("NoSecondTry", RETRY, 'if means == "final" or now >= give_up_at:', "if now <= give_up_at:", "ENV-RETRY-1 ENV-RETRY-2", "receipts", "TestReceipts", needs="crash"),
    Mutant("ForgottenScriptsStayForgotten", LINK, "            except NoScriptError:\n                whole = True\n", "            except NoScriptError:\n                raise\n",
           "ENV-REDIS-1", "connections", "forgotten"),
    Mutant("ThreadsShareAChannel", LINK, "channel = idle.pop() if idle else", "channel = idle[-1] if idle else", "ENV-RETRY-1", "connections", "do_not_disturb", needs="threads"),
    Mutant("ForksShareASession", LINK, "    for link in list(_links):\n        link.forked()\n", "    list(_links)\n", "ENV-RETRY-1", "connections", "forked_child", needs="crash"),
    Mutant("GoneInSilence", CASCADE, "    local list = withdraw(id, record)\n    tell(id)\n", "    local list = withdraw(id, record)\n",
           "OUT-6 ENV-WAIT-5", "waiting", "TestPops", "discarding", "threads"),
    Mutant("FailedInSilence", CASCADE, "    tell(dependent)\n", "", "OUT-5 ENV-WAIT-5", "waiting", "failure_of_its_argument", needs="threads"),
    Mutant("ReservedInSilence", RESERVE, "  tell(argument)\n", "", "RSV-4 ENV-WAIT-5", "waiting", "all_who_wait_for_a_task_are_told", "results", "threads"),
    Mutant("BoundInSilence", CASCADE, "      tell(id)\n      queue.changed", "      queue.changed", "SUB-6 ENV-WAIT-5", "waiting", "all_who_wait_for_a_task_are_told", "results", "threads"),
    Mutant("KeptInSilence", FINISH, "tell(id)\nreturn answer('A')", "return answer('A')", "FIN-4 ENV-WAIT-2", "waiting", "TestPops", needs="threads"),
    Mutant("PurgedInSilence", PURGE, "telling.run()\n", "", "PRG-1 ENV-WAIT-5", "waiting", "told_of_a_purge", "purging", "threads"),
    Mutant("NotifyOne", TELL, "call('ZRANGE', key, 0, -1)", "call('ZRANGE', key, 0, 0)", "ENV-WAIT-5", "waiting", "TestPops", "results", "threads"),
    Mutant("NoClaimWakes", READY, "if call('LLEN', keys.wake) == 0 then call('RPUSH', keys.wake, '1') end", "call('LLEN', keys.wake)", "ENV-WAIT-2", "waiting", "TestClaims", needs="threads"),
    Mutant("AMarkerOnlyForAnEmptyQueue", READY, "if call('LLEN', keys.wake) == 0 then", "if call('LLEN', keys.ready) == 1 then", "ENV-WAIT-2 ENV-WAIT-6", "wakes", "died_with_it",
           "wake-ups and reconnects (other queues)", "threads"),
    Mutant("TheBatonIsDropped", CLAIM, "    wake_claim() -- pass the baton on\n", "    call('DEL', keys.wake)\n", "ENV-WAIT-2 ENV-WAIT-6", "wakes", "died_with_it",
           "wake-ups and reconnects (other queues)", "threads"),
    Mutant("AllClaimsWake", READY, "then call('RPUSH', keys.wake, '1') end", "then call('RPUSH', keys.wake, '1', '1', '1', '1') end", "ENV-WAIT-6", "waiting", "TestClaims", "claim", "threads"),
    Mutant("WaitsForTheId", QUEUE, "            self._incarnation = reply[5:]\n", "            pass\n", "ENV-WAIT-5 TOK-1", "wakes", "first_saw", "id reuse", "threads"),
    Mutant("ClockWakesNobody", LINK, "            with suppress(*_LOST):  # they look again anyway, a little later\n                self._control(WAKE_TIMEOUT_S, nudges(keys))\n",
           "            return\n", "ENV-WAIT-8", "waiting", "very_millisecond", needs="threads"),
    Mutant("CloseWakesNobody", LINK, "        if sessions:\n            with suppress(*_LOST):  # then their connections are cut\n                self._fence(sessions, CONTROL_TIMEOUT_S)\n        give_up_at = time.monotonic() + CLOSE_WAIT_S\n        with self._changed:\n            while self._busy",
           "        give_up_at = time.monotonic() + CLOSE_WAIT_S\n        with self._changed:\n            while False and self._busy", "ENV-WAIT-7", "connections", "TestClosing", needs="threads"),
    Mutant("CloseFencesNobody", CLOSE, "  call('SET', META .. ':session:' .. session, FENCE .. receipt, 'PX', ARGV[3])\n", "", "ENV-WAIT-7", "wakes", "claim_that_comes_too_late", needs="threads"),
    Mutant("CloseForgetsTheReceipt", CLOSE, "FENCE .. receipt, 'PX'", "FENCE, 'PX'", "ENV-WAIT-7", "connections", "answer_is_late", needs="crash"),
    Mutant("CloseHasTheLastWord", LINK, "                if receipt.startswith(number):\n                    return receipt[len(number) :]\n", "                del receipt\n", "ENV-WAIT-7", "connections", "answer_is_late", needs="crash"),
    Mutant("FullServerKeepsReceipts", LUA + "prelude.lua", "    if queue.changed == 0 then call('DEL', SESSION) end -- a server that is full refuses to begin with a SET [ENV-REDIS-9]\n", "", "ENV-REDIS-9", "receipts", "full_server"),
    Mutant("FullServerStopsHeartbeats", HEARTBEAT, "call('ZREM', keys.leases, id) -- a server that is full refuses to begin with a ZADD [ENV-REDIS-9]\n", "", "ENV-REDIS-9", "receipts", "full_server"),
    Mutant("WaitsAreLong", OPENING, "local BLOCK_MS_MAX = 5000", "local BLOCK_MS_MAX = 9000", "ENV-WAIT-3", "wakes", "after_5_s", needs="threads"),
    Mutant("AllLookAtOnce", WAIT, "lease - queue.now + ALARM_STEP_MS * others)", "lease - queue.now)", "ENV-WAIT-3", "wakes", "a_little_later", needs="threads"),
    Mutant("TimeoutLeavesASleeper", CLAIM_ALONE, "  rise(SLEEPER)\n  return answer('N')\n", "  return answer('N')\n", "ENV-WAIT-4", "wakes", "no_sleeper_any_more", needs="threads"),
    Mutant("ClosedQueueWorks", LINK, "            if self.closed.is_set():\n                raise self._closed()\n            idle",
           "            idle", "ENV-WAIT-7", "waiting", "every_later_call"),
    Mutant("NobodyHasTheAlarm", WAIT, "  if not lease or lease - queue.now >= block then return block end\n", "  if lease or not lease then return block end\n",
           "ENV-WAIT-4", "waiting", "TestDeadlines", needs="threads"),
    Mutant("TheAlarmIsNotPassedOn", WAIT, "  call('DEL', ALARM)\n  wake_sleeper()\n", "  call('DEL', ALARM)\n", "ENV-WAIT-4", "wakes", "passes_the_alarm_on", needs="threads"),
    Mutant("HeartbeatWakesNobody", HEARTBEAT, "then wake_sleeper() end", "then return answer('T') end", "ENV-WAIT-4", "waiting", "TestDeadlines", needs="threads"),
    Mutant("WaitingIsPolling", WAITING, 'link.block(channel, (b"BLPOP", *question.wait_keys(channel), seconds(BLOCK_MS_MAX)))', "time.sleep(0.01)", "ENV-WAIT-3", "waiting", "does_not_poll", needs="threads"),
    Mutant("WokenForNothingIsTheEnd", WAITING, 'elif reply == b"N" and (end_s is None or time.monotonic() < end_s):', 'elif reply == b"N" and end_s is None:',
           "ENV-WAIT-2 ENV-WAIT-3", "wakes", "woken_for_nothing", "timeouts", "threads"),
    Mutant("WhoLooksKeepsTheBaton", AWAIT, "  if found then wake_claim() end", "  -- if found then wake_claim() end", "ENV-WAIT-10 ENV-WAIT-6", "waiting", "takes_nothing", needs="threads"),
    Mutant("NoneDoesNotWait", WAITING, "    if timeout_ms == 0:\n", "    if not timeout_ms:\n", "ENV-WAIT-1", "waiting", "waits_for_ever", "timeouts", "threads"),
    Mutant("ZeroWaitsForEver", WAITING, "    if timeout_ms == 0:\n        return", "    timeout_ms = timeout_ms or None\n    if timeout_ms == 0:\n        return", "ENV-WAIT-1", "waiting", "looks_once", "timeouts"),
    # Sentinel and Cluster
    Mutant("ReplicaIsTakenForThePrimary", DISCOVERY, 'if b"role:master" not in answer:', "if not answer:", "ENV-REDIS-11", "sentinel", "not_taken_for", needs="crash"),
    Mutant("MisledSentinelIsBelieved", DISCOVERY, "        self._order = (*self._order[1:], self._order[0])\n", "", "ENV-REDIS-11", "sentinel", "not_taken_for", needs="crash"),
    Mutant("SilentSentinelIsTheEnd", DISCOVERY, "                errors[sentinel] = error\n", "                raise\n", "ENV-REDIS-11", "sentinel", "passed_over", needs="crash"),
    Mutant("ScriptsFailHalfDone", LINK, "self._guard = (self._key + GUARD,) if target.is_cluster else ()", "self._guard = ()", "ENV-REDIS-12", "cluster", "refused_before", needs="crash"),
    Mutant("NobodyHeedsMoved", DISCOVERY, "        if moved is not None:\n", "        if moved is None and is_moved(error):\n", "ENV-REDIS-12", "seeds", "heeded", needs="crash"),
    Mutant("DeadNodeIsAskedForEver", DISCOVERY, "            self._at = None\n            self._nodes =", "            self._nodes =", "ENV-REDIS-12", "seeds", "heeded", needs="crash"),
    Mutant("QueuesOfOneNode", DISCOVERY, "return sorted({primary for _, _, primary in self._slots()})", "return [self.find()]", "ENV-REDIS-12", "cluster", "spread_and_listed"),
)

REDIS = SCRIPTS + CONCURRENT
