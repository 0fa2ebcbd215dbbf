-- include: cascade begin
-- End a claim with an outcome. [FIN-1] to [FIN-4]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- ARGV[6]  kind: r or f
-- ARGV[7]  message
-- ARGV[8]  retention, ms; 2^48 - 1 for ever
-- Reply    N not accepted | A and the id of the dependent, if there is one

local id, token, kind, message, retention = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])

local record = call('HGET', keys.claimed, id)
if not record or sub(record, 1, 1) ~= 'W' or token ~= '' and sub(record, 5, 23) ~= token then return answer('N') end

withdraw(id, record)
tell(id)
local ending = cascade()
local dependent = ending.deliver(id, incarnation(record), kind, '', message, now)
if not dependent and not ignores(record) then complete(id, record, kind, '', message, retention, now) end
ending.run()
return answer('A' .. (dependent or ''))
