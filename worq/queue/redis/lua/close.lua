-- Fence off sessions that wait: what they have sent and was not done yet will not be done; and wake them. [ENV-WAIT-7]
--
-- ARGV[4..]  the sessions
-- Reply      the last receipt of the first of them, if there is one
--
-- include: opening prelude wait

local FENCE = '9007199254740991' -- no operation has a higher number

local function fence(session) -- the receipt stays behind the fence
  local receipt = call('GET', META .. ':session:' .. session) or ''
  if sub(receipt, 1, 16) == FENCE then receipt = sub(receipt, 17) end
  call('SET', META .. ':session:' .. session, FENCE .. receipt, 'PX', ARGV[3])
  return receipt
end

for n = 4, #ARGV do call('ZREM', SLEEPERS, ARGV[n]) end
local receipts = {}
for n = 4, #ARGV do
  receipts[#receipts + 1] = fence(ARGV[n])
  nudge(ARGV[n])
  rise(ARGV[n])
end
return '.' .. receipts[1]
