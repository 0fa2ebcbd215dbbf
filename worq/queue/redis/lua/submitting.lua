-- The text of a submit, of `id`, `record`, `list`, `wanted` and `outcome`, which submit.lua explains. What it includes
-- where it is needed is made anew for each task that needs it.

local inc, fails = incarnation(record), sub(record, 3, 3) ~= 'p'

local there = find(id, '')
if there then return answer(incarnation(there) == inc and 'A' or 'D') end

record = of_epoch(record)

local function end_with(source, message) -- a failure
  -- include: kept
  local _, _, _, retention = numbers(record)
  if not queue.format then call('HSET', META, 'format', FORMAT) end
  queue.changed = queue.changed + 1
  complete(id, record, 'f', source, message, retention) -- [OUT-5]
  return answer('A')
end

local missing = 0
if list ~= '' then
  -- include: lists kept dependent
  local failed, failure
  for n, argument in ipairs(ids_of(list)) do
    local wish = sub(wanted, 17 * n - 16, 17 * n)
    local it = find(argument, sub(wish, 1, 1) == '=' and sub(wish, 2) or '')
    if not it or ignores(it) or dependent_of(argument, incarnation(it)) then return answer('U' .. argument) end
    if sub(it, 1, 1) ~= 'C' then
      missing = missing + 1
    elseif fails and not failed and sub(it, 44, 44) == 'f' then
      failed, failure = argument, sub(it, 45)
    end
  end
  if failed and outcome == '' then -- [SUB-5]
    consume(failed)
    local source, message_at = unpack_at('>I4c0', failure)
    if source == '' then source = failed end
    local message = sub(failure, message_at)
    if ignores(record) then return answer('Ef' .. pack('>I4', #source) .. source .. message) end -- [OUT-4] [SUB-8]
    return end_with(source, message)
  end
end
if outcome ~= '' then -- [SUB-4]
  if ignores(record) then return answer('E') end -- [OUT-4] [SUB-8]
  if sub(outcome, 1, 1) == 'x' then return answer('A') end
  local source, message_at = unpack_at('>I4c0', outcome, 2)
  return end_with(source, sub(outcome, message_at))
end

if not queue.format then call('HSET', META, 'format', FORMAT) end
queue.changed = queue.changed + 1
call('HSET', keys.waiting, id, missing > 0 and 'P' .. sub(record, 2) or record)
if missing > 0 then
  call('HSET', keys.args, inc, (fails and '-' or 'p') .. decimal(missing))
else
  enqueue(id, inc)
  queue.waits = true
end
if list ~= '' then
  local binding = cascade()
  binding.first('bind', queue.now, id, inc, list)
  binding.run()
end
return answer('A')
