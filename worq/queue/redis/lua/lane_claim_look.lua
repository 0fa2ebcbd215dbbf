-- Is the next one a task without arguments, which is still there when it is claimed? Else `entry` is back at its place.

local entry = call('LPOP', META .. ':ready')
local next_record = entry and call('HGET', META .. ':waiting', sub(entry, 17))
local odd = entry and (not next_record or sub(next_record, 2, 2) == 'i' or sub(next_record, 4, 4) == 'a')
if odd then call('LPUSH', META .. ':ready', entry) end
