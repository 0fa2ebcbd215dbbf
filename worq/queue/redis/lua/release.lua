-- End a claim early, as if its lease passed now. [REL-1] [REL-2]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- Reply    T | F
--
-- include: opening prelude begin claimed

local id, token = ARGV[4], ARGV[5]

local record = claimed(id, token)
if not record then return answer('F') end

local ending = cascade()
ending.lapse(id, record)
ending.run()
return answer('T')
