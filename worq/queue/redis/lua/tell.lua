-- Telling those who wait to look again.

local function nudge(session)
  local key = META .. ':session:wait:on:' .. session
  call('RPUSH', key, '1')
  call('PEXPIRE', key, 2 * BLOCK_MS_MAX)
end

local function tell(id) -- all who wait for its outcome [ENV-WAIT-5]
  local key = META .. ':session:wait:for:' .. id
  local sessions = call('ZRANGE', key, 0, -1)
  if #sessions == 0 then return end
  for _, session in ipairs(sessions) do nudge(session) end
  call('DEL', key)
  call('ZREM', META .. ':session:wait:index', id)
end
