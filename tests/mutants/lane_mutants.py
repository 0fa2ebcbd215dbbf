"""Mutants of the lanes of the Redis scripts. The table is laid out by hand.

Mutants of the general text are tried without lanes, those of lanes beside the general text.
"""

from tests.mutants.mutant import Mutant

LUA = "queue/redis/lua/"
LANE = LUA + "lane.lua"
SUBMIT = LUA + "lane_submit.lua"
CLAIM = LUA + "lane_claim.lua"
CLAIM_LOOK = LUA + "lane_claim_look.lua"
CLAIM_DO = LUA + "lane_claim_do.lua"
FINISH_LOOK = LUA + "lane_finish_look.lua"
FINISH_DO = LUA + "lane_finish_do.lua"
FINISH_MANY = LUA + "lane_finish_many.lua"
LAST = LUA + "lane_last.lua"
POP = LUA + "lane_pop.lua"
DONE = LUA + "lane_done.lua"
END = LUA + "lane_end.lua"

# fmt: off

LANES: tuple[Mutant, ...] = (
    # when there is one
    Mutant("LaneDoesItAgain", LANE, "last < NUMBER and ", "", "ENV-RETRY-1", "lanes", needs="crash"),
    Mutant("LaneOfAnyFormat", LANE, "(meta[1] == FORMAT or not meta[1]) and ", "", "ENV-REDIS-7", "receipts", "TestFormats"),
    Mutant("LanePassesStaleEntries", LANE, "not meta[5] and ", "", "CLM-1 DSC-1", "lanes"),
    Mutant("LanePassesTheWorkList", LANE, " and not meta[6]", "", "ENV-REDIS-4", "lanes", needs="crash"),
    Mutant("LanePassesLeases", LANE, "\n  and call('ZCOUNT', META .. ':leases', '-inf', now) == 0", "", "TIM-2", "lanes"),
    Mutant("LaneIsLateForALease", LANE, "call('ZCOUNT', META .. ':leases', '-inf', now)", "call('ZCOUNT', META .. ':leases', '-inf', now - 1)", "TIM-1", "lanes"),
    # submit
    Mutant("LaneOfTheEarlierEpoch", SUBMIT, " and not meta[2]", "", "TOK-4", "lanes"),
    Mutant("LaneTakesTheIdOfWhatRuns", SUBMIT, "  and call('HEXISTS', META .. ':claimed', ARGV[4]) == 0\n", "", "SUB-2", "lanes"),
    Mutant("LaneTakesTheIdOfWhatWaits", SUBMIT, "  and call('HEXISTS', META .. ':waiting', ARGV[4]) == 0", "", "SUB-2", "lanes"),
    Mutant("LaneWithoutAFormat", SUBMIT, "  if not meta[1] then call('HSET', META, 'format', FORMAT) end\n", "", "ENV-REDIS-7", "lanes"),
    Mutant("LaneLetsTheFormatExpire", SUBMIT, "  if ttl then call('PERSIST', META) end\n", "", "ENV-REDIS-5 TIM-7", "keys", "stays_beside", pitfall="waiting tasks"),
    Mutant("LaneLosesOrder", SUBMIT, "call('RPUSH', META .. ':ready'", "call('LPUSH', META .. ':ready'", "SUB-7 CLM-1", "lanes"),
    Mutant("LaneWakesNobody", SUBMIT, "  if call('LLEN', META .. ':wake') == 0 then call('RPUSH', META .. ':wake', '1') end\n", "", "ENV-WAIT-2", "waiting", "TestClaims", needs="threads"),
    Mutant("LaneWakesAll", SUBMIT, "if call('LLEN', META .. ':wake') == 0 then", "if true then", "ENV-WAIT-6", "lanes", needs="threads"),
    # claim
    Mutant("LaneOfManyClaims", CLAIM, " and (ARGV[6] or '1') == '1'", "", "ENV-BULK-3", "lanes"),
    Mutant("LaneSleepsBeforeItSweeps", CLAIM, " and call('ZCOUNT', META .. ':retained', '-inf', now) == 0", "", "ENV-REDIS-5 TIM-2", "lanes"),
    Mutant("LaneBlocksWhoDoesNotWait", CLAIM, " and ARGV[4] ~= '0'", "", "ENV-WAIT-1", "lanes"),
    Mutant("LaneKeepsFireAndForget", CLAIM_LOOK, "sub(next_record, 2, 2) == 'i' or ", "", "CLM-3", "lanes"),
    Mutant("LaneClaimsWithoutArguments", CLAIM_LOOK, " or sub(next_record, 4, 4) == 'a'", "", "CLM-4", "lanes"),
    Mutant("LaneLosesThePlace", CLAIM_LOOK, "call('LPUSH', META .. ':ready', entry)", "call('RPUSH', META .. ':ready', entry)", "CLM-1", "lanes"),
    Mutant("LaneStartsOnce", CLAIM_DO, "pack('>I3', start + 1)", "pack('>I3', 1)", "TOK-3 CLM-1", "lanes"),
    Mutant("LaneForgetsTheMessage", CLAIM_DO, "left and -1 or 43", "43", "TIM-3 CLM-1", "lanes"),
    Mutant("LaneLeasesALittleLonger", CLAIM_DO, "call('ZADD', META .. ':leases', now + lease, next_id)", "call('ZADD', META .. ':leases', now + lease + 1, next_id)", "CLM-1 TIM-1", "lanes"),
    Mutant("LaneClaimsWhatStillWaits", CLAIM_DO, "call('HDEL', META .. ':waiting', next_id)\n", "", "CLM-1 SIZ-1", "lanes"),
    Mutant("LaneMiscountsStartsLeft", CLAIM_DO, "if left then meta[3] = call('HINCRBY', META, 'kept', 1) end\n", "", "ENV-REDIS-5", "lanes"),
    Mutant("LaneDropsTheBaton", CLAIM_DO, "elseif call('LLEN', META .. ':wake') == 0 then\n  call('RPUSH', META .. ':wake', '1')\n", "", "ENV-WAIT-2 ENV-WAIT-6", "wakes", "died_with_it", needs="threads"),
    Mutant("LaneLeavesAMarker", CLAIM_DO, "  call('DEL', META .. ':wake')\n", "", "ENV-REDIS-5", "lanes"),
    Mutant("LaneExpiresWhatHasStartsLeft", CLAIM_DO, "if not left and now + lease <= reach then", "if now + lease <= reach then", "ENV-REDIS-5", "lanes"),
    Mutant("LaneExpiresBeforeALease", CLAIM_DO, "if not left and now + lease <= reach then", "if not left then", "ENV-REDIS-5", "lanes"),
    Mutant("LaneLeavesLeases", CLAIM_DO, "    call('PEXPIREAT', META .. ':leases', ttl)\n", "", "ENV-REDIS-5", "lanes"),
    Mutant("LaneLeavesTheFormat", CLAIM_DO, "    if not others then call('PEXPIREAT', META, ttl) end\n", "", "ENV-REDIS-5", "lanes"),
    Mutant("LaneLetsTheFormatExpireEarly", CLAIM_DO, "    if not others then call('PEXPIREAT', META, ttl) end\n", "    call('PEXPIREAT', META, ttl)\n", "ENV-REDIS-5 TIM-7", "lanes"),
    Mutant("LaneThinksThatNothingWaits", CLAIM_DO, "elseif call('HLEN', META .. ':waiting') == 0 then", "else", "ENV-REDIS-5 TIM-7", "lanes"),
    Mutant("LaneLeavesReservations", CLAIM_DO, "  call('UNLINK', META .. ':args', META .. ':reserved')\n", "", "OUT-7 ENV-REDIS-5", "lanes"),
    Mutant("LaneThinksItIsAlone", LAST, "elseif call('HLEN', META .. ':claimed') == 1 then", "else", "ENV-REDIS-5", "lanes"),
    Mutant("LaneExpiresTheKept", LAST, "if (meta[3] or 0) ~= 0 and meta[3] ~= '0' then", "if false then", "ENV-REDIS-5", "lanes"),
    Mutant("LaneForgetsItsTtl", LAST, "  call('HSET', META, 'ttl', goes)\n", "", "ENV-REDIS-5 TIM-7", "keys", "stays"),
    # finish
    Mutant("LaneKeepsForEver", FINISH_LOOK, "tonumber(retention) < FOREVER and ", "", "FIN-4 ENV-REDIS-5", "lanes"),
    Mutant("LaneLetsRetentionsPileUp", FINISH_LOOK, "call('ZCOUNT', META .. ':retained', '-inf', now) == 0\n  and ", "", "ENV-REDIS-5 TIM-5", "lanes"),
    Mutant("LaneEndsForNobody", FINISH_LOOK, "call('HEXISTS', META .. ':reserved', id) == 0 and ", "", "FIN-2", "lanes"),
    Mutant("LaneKeepsTheIgnored", FINISH_LOOK, "sub(record, 1, 2) == 'W-'", "sub(record, 1, 1) == 'W'", "FIN-3", "lanes"),
    Mutant("LaneFinishesTheCompleted", FINISH_LOOK, "sub(record, 1, 2) == 'W-'", "sub(record, 2, 2) == '-'", "FIN-1", "lanes"),
    Mutant("LaneAcceptsEarlierStarts", FINISH_LOOK, "sub(record, 4, 23) == '-' .. token", "sub(record, 4, 20) == '-' .. sub(token, 1, 16)", "FIN-1 TOK-1", "lanes"),
    Mutant("LaneLeavesTakenArguments", FINISH_LOOK, "sub(record, 4, 23) == '-' .. token", "sub(record, 5, 23) == token", "ENV-REDIS-5", "lanes"),
    Mutant("LaneLeavesTheLease", FINISH_DO, "call('ZREM', META .. ':leases', id)\n", "", "FIN-4", "lanes"),
    Mutant("LaneSaysThatItFailed", FINISH_DO, "sub(record, 2, 43) .. kind ..", "sub(record, 2, 43) .. 'r' ..", "FIN-4", "lanes"),
    Mutant("LaneRetainsALittleLonger", FINISH_DO, "call('ZADD', META .. ':retained', now + retention, id)", "call('ZADD', META .. ':retained', now + retention + 1, id)", "FIN-4 TIM-5", "lanes"),
    Mutant("LaneCountsStartsThatAreNotLeft", FINISH_DO, "meta[3] = call('HINCRBY', META, 'kept', -1)", "meta[3] = '0'", "ENV-REDIS-5", "lanes"),
    Mutant("LaneTellsNobody", FINISH_DO, "  tell(id)\n", "", "FIN-4 ENV-WAIT-2", "waiting", "TestPops", needs="threads"),
    Mutant("LaneExpiresBeforeAnOutcome", FINISH_DO, "if now + retention <= reach then", "if true then", "ENV-REDIS-5", "lanes"),
    Mutant("LaneLeavesOutcomes", FINISH_DO, "    call('PEXPIREAT', META .. ':retained', ttl)\n", "", "ENV-REDIS-5", "lanes"),
    Mutant("LaneClaimsBehindNothing", FINISH_MANY, "      if entry then\n", "      if false then\n", "ENV-BULK-1 CLM-1", "lanes"),
    Mutant("LaneFinishesTheFirst", FINISH_MANY, "#ARGV == 9", "#ARGV >= 9", "ENV-BULK-1", "lanes"),
    Mutant("LaneClaimsWithoutBeingAsked", FINISH_MANY, " and ARGV[4] == '1'", "", "ENV-BULK-1", "lanes"),
    Mutant("LaneForgetsTheEndOfTheFinish", FINISH_MANY, "through, claims = finished and through, claimed", "claims = claimed", "ENV-REDIS-5", "lanes"),
    # pop
    Mutant("LanePopsWhatIsGone", POP, "if ordinary and call('ZCOUNT', META .. ':retained', '-inf', now) == 0 then", "if ordinary then", "TIM-5", "lanes"),
    Mutant("LanePopsAnyIncarnation", POP, " and (wanted == '' or sub(record, 5, 20) == wanted)", "", "POP-1 TOK-1", "lanes"),
    Mutant("LanePopsTheIgnored", POP, "sub(record, 2, 2) == '-' and ", "", "POP-2", "lanes"),
    Mutant("LanePopKeeps", POP, "      call('HDEL', META .. ':claimed', id)\n", "", "POP-5", "lanes"),
    Mutant("LanePopLeavesTheRetention", POP, "call('ZREM', META .. ':retained', id)", "call('ZREM', META .. ':leases', id)", "POP-5 TIM-5", "lanes"),
    Mutant("LanePopMiscounts", POP, "meta[3] = call('HINCRBY', META, 'kept', -1)", "meta[3] = '0'", "ENV-REDIS-5", "lanes"),
    Mutant("LaneWaitsForTheReserved", POP, " and call('HEXISTS', META .. ':reserved', id) == 0", "", "POP-3", "lanes"),
    Mutant("LanePopBlocksWhoDoesNotWait", POP, "elseif ARGV[6] ~= '0' and", "elseif", "ENV-WAIT-1", "lanes"),
    Mutant("LaneWaitsForTheId", POP, "tonumber(ARGV[6]), { id }, sub(record, 5, 20)", "tonumber(ARGV[6]), { id }, ''", "ENV-WAIT-5 TOK-1", "lanes", needs="threads"),
    Mutant("LaneDoesNotSeal", POP, "through = call('HLEN', META .. (ttl and ':claimed' or ':waiting')) > 0", "through = true", "ENV-REDIS-5", "lanes"),
    Mutant("LaneDropsTheFormatOfWhatWaits", POP, "if ttl and not through and call('HLEN', META .. ':waiting') == 0 then", "if ttl and not through then", "ENV-REDIS-7", "lanes"),
    # ends
    Mutant("LaneKeepsTheAlarm", DONE, "  through = call('EXISTS', META .. ':session:wait:alarm') == 0 -- or perhaps it had that\n", "", "ENV-WAIT-4", "lanes", needs="threads"),
    Mutant("LaneLeavesASleeper", DONE, "  if through then call('ZREM', META .. ':session:wait:sleepers', sub(SESSION, #META + #':session:' + 1)) end\n", "", "ENV-WAIT-4", "lanes", needs="threads"),
    Mutant("LaneWithoutAReceipt", DONE, "  call('SET', SESSION, NUMBER .. '.' .. lane_answer, 'PX', ARGV[3])\n", "", "ENV-RETRY-1", "receipts", "answers_as_the_first", needs="crash"),
    Mutant("LaneEndsWithoutASeal", END, "  queue.changed = 1\n", "", "ENV-REDIS-5", "lanes"),
    Mutant("LaneRisesNot", END, "    rise(SLEEPER, waited_for)\n", "", "ENV-WAIT-4", "lanes", needs="threads"),
)
