-- Make a task expire, whatever its state. [DSC-1] [DSC-2]
--
-- ARGV[4]  id
-- ARGV[5]  incarnation; empty for whatever is there
-- Reply    T | F
--
-- include: opening prelude begin records

local id, wanted = ARGV[4], ARGV[5]

local record = find(id, wanted)
if not record then return answer('F') end

local ending = cascade()
ending.expire(id, record)
ending.run()
return answer('T')
