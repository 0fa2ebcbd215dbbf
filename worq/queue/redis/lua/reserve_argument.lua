-- Promise an outcome to a deferred task. [RSV-1] to [RSV-4]
--
-- ARGV[4]  id of the argument
-- ARGV[5]  its incarnation; empty for whatever is there
-- ARGV[6]  id of the dependent
-- ARGV[7]  its incarnation; empty for whatever is there
-- Reply    N no | L reserved, its outcome comes later | M reserved, and the message
--
-- include: opening prelude begin records lists tell kept dependent arguments

local argument, wanted, dependent, dependent_wanted = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local record = find(dependent, dependent_wanted)
if not record or sub(record, 1, 1) == 'C' then return answer('N') end
local row = row_of(dependent, record, argument)
if not row then return answer('N') end
local mode = sub(row, 2, 2)
if mode ~= '-' and (wanted == '' or sub(row, 3, 18) == wanted) then -- [RSV-1]
  if mode == 'l' then return answer('L') end
  local _, message_at = unpack_at('>I4c0', row, 19)
  return answer('M' .. sub(row, message_at))
end
if sub(row, 1, 1) ~= 'M' then return answer('N') end
local it = find(argument, wanted)
if not it or ignores(it) or dependent_of(argument, incarnation(it)) then return answer('N') end
local _, _, _, _, epoch_of_dependent = numbers(record)
local _, _, _, _, epoch_of_argument = numbers(it)
if epoch_of_argument >= epoch_of_dependent then return answer('N') end -- [TOK-4]

local inc = incarnation(record)
if sub(it, 1, 1) ~= 'C' then -- [RSV-4]
  queue.changed = queue.changed + 1
  call('HSET', keys.args, inc .. argument, 'Rl' .. incarnation(it))
  call('HSET', keys.reserved, argument, inc .. dependent)
  tell(argument)
  return answer('L')
end
call('HSET', keys.args, inc .. argument, 'Rn' .. incarnation(it)) -- [RSV-3]
local source, message_at = unpack_at('>I4c0', it, 45)
local message = sub(it, message_at)
consume(argument)
local moving = cascade()
moving.first('arrive', queue.now, argument, dependent, inc, sub(it, 44, 44), source, message)
moving.run()
return answer('M' .. message)
