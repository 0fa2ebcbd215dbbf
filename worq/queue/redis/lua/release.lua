-- include: cascade begin
-- End a claim early, as if its lease passed now. [REL-1] [REL-2]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- Reply    T | F

local id, token = ARGV[4], ARGV[5]

local record = call('HGET', keys.claimed, id)
if not record or sub(record, 1, 1) ~= 'W' or token ~= '' and sub(record, 5, 23) ~= token then return answer('F') end

local ending = cascade()
ending.lapse(id, record, now)
ending.run()
return answer('T')
