-- The text of the finishes that come first in a bulk and whose outcomes go to no dependent: what finishing.lua does, in a few
-- commands for all of them. `begin` is where the others begin.

local last = 5 + 5 * (RECORDS_MAX - queue.changed)
local ids, met = {}, {}
for at = 5, math.min(#ARGV, last) - 1, 5 do ids[#ids + 1] = ARGV[at] end

local records, reserved = call('HMGET', keys.claimed, unpack(ids)), call('HMGET', keys.reserved, unpack(ids))
local ends, arguments, ignored, outcomes, retained, kept_by = {}, {}, {}, {}, {}, 0 -- what is written in the end
for n, id in ipairs(ids) do
  local token, kind, message, retention = unpack(ARGV, begin + 1, begin + 4)
  local record = claimed(id, token, records[n])
  if met[id] or record and reserved[n] and dependent_of(id, incarnation(record)) then break end
  met[id] = true
  if record then
    local start, attempts = numbers(record)
    ends[#ends + 1] = id
    if start < attempts then kept_by = kept_by - 1 end
    if has_arguments(record) then arguments[#arguments + 1] = id end
    if ignores(record) then -- [FIN-3]
      ignored[#ignored + 1] = id
    else -- [FIN-4]
      local fields, scores = #outcomes, #retained
      outcomes[fields + 1], outcomes[fields + 2] = id, completed(record, kind, '', message)
      if tonumber(retention) == FOREVER then
        kept_by = kept_by + 1
      else
        retained[scores + 1], retained[scores + 2] = queue.now + retention, id
      end
    end
  end
  add(record and 'A' or 'N')
  ended, begin = n, begin + 5
end

if #ends > 0 then
  queue.changed = queue.changed + #ends
  call('ZREM', keys.leases, unpack(ends)) -- a server that is full refuses to begin with what adds [ENV-REDIS-9]
  if #arguments > 0 then call('HDEL', keys.taken, unpack(arguments)) end
  if #ignored > 0 then call('HDEL', keys.claimed, unpack(ignored)) end
  if #outcomes > 0 then call('HSET', keys.claimed, unpack(outcomes)) end
  if #retained > 0 then call('ZADD', keys.retained, unpack(retained)) end
  if kept_by ~= 0 then keep(kept_by) end
  for n, waited_for in ipairs(call('ZMSCORE', META .. ':session:wait:index', unpack(ends))) do
    if waited_for then tell(ends[n]) end
  end
end
