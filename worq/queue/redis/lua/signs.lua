-- The signs of life of the pools that serve this queue. [ENV-INFO-3]
--
-- Reply    for each, the oldest first: its age, ms (6 bytes), its length (4), the sign
--
-- include: opening prelude begin

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = call('ZRANGE', META .. ':session:workers', 0, -1, 'WITHSCORES')
local parts = {}
for at = 1, #found, 2 do
  local sign = call('GET', META .. ':session:worker:' .. found[at])
  if sign then parts[#parts + 1] = pack('>I6', now - tonumber(found[at + 1])) .. pack('>I4', #sign) .. sign end
end
return answer(table.concat(parts))
