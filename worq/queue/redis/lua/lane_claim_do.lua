-- Lease it: `claimed` is the claim, behind its length. [CLM-1] [CLM-2]

through = false
local next_id = sub(entry, 17)
local start, attempts, lease, kept_ms = unpack_at('>I3I3I6I6', next_record, 21)
local token, left = sub(next_record, 5, 20) .. pack('>I3', start + 1), start + 1 < attempts
call('HDEL', META .. ':waiting', next_id)
call('HSET', META .. ':claimed', next_id, 'W' .. sub(next_record, 2, 4) .. token .. sub(next_record, 24, left and -1 or 43))
call('ZADD', META .. ':leases', now + lease, next_id)
if left then meta[3] = call('HINCRBY', META, 'kept', 1) end
local claimed = pack('>I4', #next_id) .. next_id .. token .. '\0\0\0\0' .. sub(next_record, 44)
claimed = pack('>I4', #claimed) .. claimed

local others = call('LLEN', META .. ':ready') > 0
if not others then
  call('DEL', META .. ':wake')
elseif call('LLEN', META .. ':wake') == 0 then
  call('RPUSH', META .. ':wake', '1')
end
if ttl then
  if not left and now + lease <= reach then
    through = true
    call('PEXPIREAT', META .. ':leases', ttl)
    if not others then call('PEXPIREAT', META, ttl) end
  end
elseif others then
  through = true
elseif call('HLEN', META .. ':waiting') == 0 then
  call('UNLINK', META .. ':args', META .. ':reserved')
  local stays = kept_ms < FOREVER and math.max(lease, kept_ms) or lease
  -- include: lane_last
end
