-- Supply an argument as a result. [ARG-1] to [ARG-4]
--
-- ARGV[4]  id
-- ARGV[5]  incarnation; empty for whatever is there
-- ARGV[6]  id of the argument
-- ARGV[7]  message
-- Reply    T none is missing any more | F
--
-- include: opening prelude begin records lists arguments

local id, wanted, argument, message = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local record = find(id, wanted)
if not record or sub(record, 1, 1) == 'C' then return answer('F') end
local row = row_of(id, record, argument)
if not row then return answer('F') end
local state = sub(row, 1, 1)
if state ~= 'M' and state ~= 'R' then return answer(sub(record, 1, 1) == 'P' and 'F' or 'T') end -- [ARG-2]

local inc = incarnation(record)
if state == 'R' then call('HDEL', keys.reserved, argument) end -- [ARG-3]
cascade().hold(argument, id, inc, 'r', '', message)
return answer(call('HEXISTS', keys.args, inc) == 1 and 'F' or 'T') -- [ARG-4]
