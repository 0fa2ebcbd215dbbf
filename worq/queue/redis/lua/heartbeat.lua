-- include: cascade begin wait
-- Move the lease of a claim. [HRT-1] [HRT-2]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- ARGV[6]  the lease from now, ms
-- Reply    T | F

local id, token, lease = ARGV[4], ARGV[5], tonumber(ARGV[6])

local record = call('HGET', keys.claimed, id)
if not record or sub(record, 1, 1) ~= 'W' or token ~= '' and sub(record, 5, 23) ~= token then return answer('F') end

changed = changed + 1
call('ZADD', keys.leases, now + lease, id)
if lease < BLOCK_MAX_MS then -- sooner than those who wait would look
  local at = alarm()
  if not at or at <= now or at > now + lease then wake_sleeper() end
end
return answer('T')
