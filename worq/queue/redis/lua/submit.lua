-- include: cascade begin
-- Accept a task and reserve its arguments. [SUB-1] to [SUB-7]
--
-- ARGV[4]  id
-- ARGV[5]  record, with state E and epoch 0
-- ARGV[6]  packed ids of the arguments, in order; absent if there are none and no outcome
-- ARGV[7]  for each of them 17 bytes: '=' and the incarnation it must have, or '*' and 16 bytes of no meaning
-- ARGV[8]  outcome: kind, length of source (4 bytes), source, message; empty for none
-- Reply    A accepted | D duplicate | U and the id of the argument that is unavailable

local id, record, list, wanted, outcome = ARGV[4], ARGV[5], ARGV[6] or '', ARGV[7] or '', ARGV[8] or ''
local inc, fails = incarnation(record), sub(record, 3, 3) ~= 'p'

local there = find(id, '')
if there then return answer(incarnation(there) == inc and 'A' or 'D') end

local missing, failed, failure = 0, nil, nil
for n, argument in ipairs(ids_of(list)) do
  local wish = sub(wanted, 17 * n - 16, 17 * n)
  local it = find(argument, sub(wish, 1, 1) == '=' and sub(wish, 2) or '')
  if not it or ignores(it) or dependent_of(argument, incarnation(it)) then return answer('U' .. argument) end
  if sub(it, 1, 1) ~= 'C' then
    missing = missing + 1
  elseif fails and not failed and sub(it, 44, 44) == 'f' then
    failed, failure = argument, it
  end
end

if epoch > 0 then record = sub(record, 1, 38) .. pack('>I5', epoch) .. sub(record, 44) end

local function end_with(source, message) -- [OUT-4] [OUT-5]
  if ignores(record) then return end
  open_queue()
  changed = changed + 1
  local _, _, _, retention = numbers(record)
  complete(id, record, 'f', source, message, retention, now)
end

if outcome ~= '' then -- [SUB-4]
  if sub(outcome, 1, 1) == 'f' then
    local source, at = unpack_at('>I4c0', outcome, 2)
    end_with(source, sub(outcome, at))
  end
  return answer('A')
end

if failed then -- [SUB-5]
  local source, at = unpack_at('>I4c0', failure, 45)
  withdraw(failed, failure)
  end_with(source ~= '' and source or failed, sub(failure, at))
  return answer('A')
end

open_queue()
changed = changed + 1
call('HSET', keys.waiting, id, missing > 0 and 'P' .. sub(record, 2) or record)
if missing > 0 then
  call('HSET', keys.args, inc, (fails and '-' or 'p') .. decimal(missing))
else
  enqueue(id)
end
if list ~= '' then
  local binding = cascade()
  binding.first('bind', id, inc, list)
  binding.run()
end
return answer('A')
