-- The state of a task. [STA-1] [STA-2]
--
-- ARGV[4]  id
-- ARGV[5]  incarnation; empty for whatever is there
-- Reply    P pending | E enqueued | W processing | C completed | - absent
--
-- include: opening prelude begin records

local id, wanted = ARGV[4], ARGV[5]

local record = find(id, wanted)
return answer(record and sub(record, 1, 1) or '-')
