-- include: cascade begin
-- Drop all PENDING and ENQUEUED tasks. Whatever they had reserved is free with them. [PRG-1] [PRG-2] [ENV-REDIS-8]
--
-- Reply    how many, in decimal

local count = call('HLEN', keys.waiting)
if count == 0 then return answer('0') end

changed = changed + 1
call('UNLINK', keys.waiting, keys.ready, keys.front, keys.stale, keys.wake, keys.args, keys.reserved)
if stale then call('HDEL', META, 'stale') end
stale = nil
local telling = cascade()
telling.first('tell')
telling.run()
return answer(decimal(count))
