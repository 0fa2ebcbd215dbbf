-- End a claim early, as if its lease passed now, or as if it had not been made. [REL-1] to [REL-3]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- ARGV[6]  present if the task was not begun
-- Reply    T | F
--
-- include: opening prelude begin claimed

local id, token = ARGV[4], ARGV[5]

local record = claimed(id, token)
if not record then return answer('F') end

if ARGV[6] then
  -- include: records ready kept
  local ATTEMPTS_MAX = 16777215 -- that there is room for
  local start, attempts = numbers(record)
  if start < attempts and attempts < ATTEMPTS_MAX then
    local arguments = has_arguments(record) and call('HGET', keys.taken, id)
    call('HDEL', keys.claimed, id)
    end_lease(id, record)
    -- The start that it did not cost is added: so no token comes twice. [REL-3] [TOK-3]
    call('HSET', keys.waiting, id, 'E' .. sub(record, 2, 23) .. pack('>I3', attempts + 1) .. sub(record, 27))
    if arguments then call('HSET', keys.args, incarnation(record), arguments) end
    -- `front` is looked at only where there may be stale entries.
    call('LPUSH', queue.stale and keys.front or keys.ready, incarnation(record) .. id)
    wake_claim()
    return answer('T')
  end
end

local ending = cascade()
ending.lapse(id, record)
ending.run()
return answer('T')
