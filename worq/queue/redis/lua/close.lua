-- Fence off sessions that wait: what they have sent and was not done yet will not be done; and wake them. [ENV-WAIT-7]
--
-- ARGV[4..]  the sessions
-- Reply      empty
--
-- include: prelude wait

local FENCE = '9007199254740991' -- no operation has a higher number

for n = 4, #ARGV do call('ZREM', SLEEPERS, ARGV[n]) end
for n = 4, #ARGV do
  call('SET', META .. ':session:' .. ARGV[n], FENCE, 'PX', ARGV[3])
  nudge(ARGV[n])
  rise(ARGV[n])
end
return '.'
