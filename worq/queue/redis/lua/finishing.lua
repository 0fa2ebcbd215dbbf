-- The text of a finish, of `id`, `token`, `kind`, `message` and `retention`, which finish.lua explains.

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
