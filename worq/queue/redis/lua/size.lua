-- include: cascade begin
-- The number of PENDING and ENQUEUED tasks. [SIZ-1]
--
-- Reply    it, in decimal

return answer(decimal(call('HLEN', keys.waiting)))
