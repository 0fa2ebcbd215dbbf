-- Accept a task that misses its arguments, and reserve nothing. [DFR-1] [DFR-2]
--
-- ARGV[4]  id
-- ARGV[5]  record, with state P and epoch 0
-- ARGV[6]  packed ids of the arguments, at least one
-- Reply    A accepted | D duplicate
--
-- include: opening prelude begin records lists

local id, record, list = ARGV[4], ARGV[5], ARGV[6]
local inc = incarnation(record)

local there = find(id, '')
if there then return answer(incarnation(there) == inc and 'A' or 'D') end

if not queue.format then call('HSET', META, 'format', FORMAT) end
queue.changed = queue.changed + 1
-- Tasks of a later epoch than this one are not older than it. [TOK-4]
local epoch = call('HINCRBY', META, 'epoch', 1)
call('HSET', keys.waiting, id, sub(record, 1, 38) .. pack('>I5', epoch) .. sub(record, 44))
call('HSET', keys.args, inc, (sub(record, 3, 3) == 'p' and 'p' or '-') .. decimal(#ids_of(list)))
local missing = cascade()
missing.first('miss', queue.now, inc, list)
missing.run()
return answer('A')
