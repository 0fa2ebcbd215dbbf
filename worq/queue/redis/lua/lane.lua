-- A lane is the straight text of an operation in the ordinary case, which nearly every one is: it makes no functions and
-- no tables, and does those commands only that are needed then. Where it does not apply nothing is changed, and the general
-- text, which comes behind it, does the operation. Its end, where it is not ordinary, is the general text's too: lane_end.lua.
--
-- `ordinary`: the receipt is of an earlier operation; no work list, no stale entries, no lease that has passed. Whether a
-- retention has passed matters to those only who look at what is COMPLETED; and finishes look lest they pile up.

local ordinary = last < NUMBER and (meta[1] == FORMAT or not meta[1]) and not meta[5] and not meta[6]
  and call('ZCOUNT', META .. ':leases', '-inf', now) == 0

local ttl = meta[4] -- with it there are no arguments and no reservations, and all that is claimed would expire by itself
local reach = ttl and ttl - MARGIN_MS - server_now + now -- the last deadline that is well before that

-- What a lane leaves behind. If it is done: its answer; `through`, if its end is an ordinary one; did this session sleep before?
-- If it is to wait: for how long, for which ids, of which incarnation.
local lane_answer, through, slept, wait_ms, waited_for, waited_inc
