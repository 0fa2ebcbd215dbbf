-- End a claim with an outcome. [FIN-1] to [FIN-4]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- ARGV[6]  kind: r or f
-- ARGV[7]  message
-- ARGV[8]  retention, ms; 2^48 - 1 for ever
-- Reply    N not accepted | A and the id of the dependent, if there is one
--
-- include: prelude begin records claimed tell kept dependent

local id, token, kind, message, retention = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])

local record = claimed(id, token)
if not record then return answer('N') end

end_lease(id, record)
local dependent = dependent_of(id, incarnation(record))
if dependent then -- [FIN-2]
  call('HDEL', keys.claimed, id)
  local ending = cascade()
  ending.deliver(id, incarnation(record), kind, '', message)
  ending.run()
  return answer('A' .. dependent)
end
if ignores(record) then -- [FIN-3]
  call('HDEL', keys.claimed, id)
else -- [FIN-4]
  complete(id, record, kind, '', message, retention)
end
tell(id)
return answer('A')
