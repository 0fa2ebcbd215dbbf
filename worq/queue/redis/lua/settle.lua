-- Finish what an operation has left over, and apply the deadlines that have passed. [ENV-REDIS-4]
--
-- Reply    empty
--
-- include: opening prelude begin

return answer('')
