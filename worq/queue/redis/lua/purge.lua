-- Drop all PENDING and ENQUEUED tasks. Whatever they had reserved is free with them. [PRG-1] [PRG-2] [ENV-REDIS-8]
--
-- Reply    how many, in decimal
--
-- include: opening prelude begin

local count = call('HLEN', keys.waiting)
if count == 0 then return answer('0') end

queue.changed = queue.changed + 1
call('UNLINK', keys.waiting, keys.ready, keys.front, keys.stale, keys.wake, keys.args, keys.reserved)
if queue.stale then call('HDEL', META, 'stale') end
queue.stale = nil
local telling = cascade()
telling.first('tell', queue.now)
telling.run()
return answer(decimal(count))
