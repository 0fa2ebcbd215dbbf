-- Keep a pool's sign of life, or take it away. Tasks are not looked at. [ENV-INFO-3] [ENV-INFO-4]
--
-- ARGV[4]  id of the pool
-- ARGV[5]  the sign; empty to take it away
-- ARGV[6]  how long it is kept, ms
-- Reply    nothing
--
-- include: opening prelude begin

local id, sign, ttl_ms = ARGV[4], ARGV[5], tonumber(ARGV[6])
local index, key = META .. ':session:workers', META .. ':session:worker:' .. id
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if sign == '' then
  call('ZREM', index, id)
  call('DEL', key)
else
  call('ZREMRANGEBYSCORE', index, '-inf', now - ttl_ms)
  call('ZADD', index, now, id)
  call('PEXPIRE', index, ttl_ms)
  call('SET', key, sign, 'PX', ttl_ms)
end
return answer('')
