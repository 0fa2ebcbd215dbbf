-- How many tasks there are in each state. [ENV-INFO-2]
--
-- Reply    pending enqueued processing completed, in decimal
--
-- include: opening prelude begin

local enqueued = call('LLEN', keys.ready)
if queue.stale then enqueued = enqueued + call('LLEN', keys.front) - call('SCARD', keys.stale) end
local processing = call('ZCARD', keys.leases)

return answer(table.concat({
  decimal(call('HLEN', keys.waiting) - enqueued),
  decimal(enqueued),
  decimal(processing),
  decimal(call('HLEN', keys.claimed) - processing),
}, ' '))
