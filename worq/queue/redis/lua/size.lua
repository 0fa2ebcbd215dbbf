-- The number of PENDING and ENQUEUED tasks. [SIZ-1]
--
-- Reply    it, in decimal
--
-- include: opening prelude begin

return answer(decimal(call('HLEN', keys.waiting)))
