-- Is this the claim, of a task without arguments, whose outcome is kept for a while and goes to no dependent?

local record = tonumber(retention) < FOREVER and call('ZCOUNT', META .. ':retained', '-inf', now) == 0
  and call('HEXISTS', META .. ':reserved', id) == 0 and call('HGET', META .. ':claimed', id)
local ends = record and sub(record, 1, 2) == 'W-' and sub(record, 4, 23) == '-' .. token
