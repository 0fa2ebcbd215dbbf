-- How every operation begins: the format, the receipt, the work list that another one left, deadlines that have passed.

if format and format ~= FORMAT then return 'v' .. format end -- [ENV-REDIS-7]

if tonumber(NUMBER) > 0 then
  local last = call('GETRANGE', SESSION, 0, 15)
  if last ~= '' then
    if tonumber(last) == tonumber(NUMBER) then return call('GETRANGE', SESSION, 16, -1) end -- [ENV-RETRY-1]
    if tonumber(last) > tonumber(NUMBER) then return '<' end
  end
end

local function due(name)
  return #call('ZRANGEBYSCORE', keys[name], '-inf', now, 'LIMIT', 0, 1) > 0
end

local function settled() -- what must come before the operation is done
  if not format then return true end
  if work then
    local left = cascade()
    left.load()
    if not left.run() then return false end
  end
  if not (due('leases') or due('retained')) then return true end
  local sweep = cascade()
  sweep.first('sweep', now)
  return sweep.run()
end

if not settled() or changed >= RECORDS_MAX then
  seal()
  return '~'
end

-- Where the operation needs a queue to be there: its first record makes it.
local function open_queue()
  if not format then call('HSET', META, 'format', FORMAT) end
end
