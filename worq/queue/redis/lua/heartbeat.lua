-- Move the lease of a claim. [HRT-1] [HRT-2]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- ARGV[6]  the lease from now, ms
-- Reply    T | F
--
-- include: opening prelude begin claimed

local id, token, lease = ARGV[4], ARGV[5], tonumber(ARGV[6])

if not claimed(id, token) then return answer('F') end

queue.changed = queue.changed + 1
call('ZREM', keys.leases, id) -- a server that is full refuses to begin with a ZADD [ENV-REDIS-9]
call('ZADD', keys.leases, queue.now + lease, id)
if lease < BLOCK_MS_MAX and not queue.manual then -- sooner than those who wait would look
  -- include: wait
  local at = alarm()
  if not at or at <= queue.now or at > queue.now + lease then wake_sleeper() end
end
return answer('T')
