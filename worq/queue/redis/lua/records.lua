-- Records: state, flags, incarnation, start, attempts, lease, retention, epoch, body. docs/redis.md

local function incarnation(record)
  return sub(record, 5, 20)
end

local function numbers(record) -- start, attempts, lease_ms, retention_ms, epoch
  return unpack_at('>I3I3I6I6I5', record, 21)
end

local function ignores(record)
  return sub(record, 2, 2) == 'i'
end

local function has_arguments(record)
  return sub(record, 4, 4) == 'a'
end

local function body(record) -- the packed ids of the arguments, and the message
  if not has_arguments(record) then return '', sub(record, 44) end
  local list, message_at = unpack_at('>I4c0', record, 44)
  return list, sub(record, message_at)
end

local function find(id, wanted) -- the record, nil if it is absent or another incarnation [TOK-1] [TOK-2]
  local record = call('HGET', keys.waiting, id) or call('HGET', keys.claimed, id)
  if record and (wanted == '' or incarnation(record) == wanted) then return record end
end

local function of_epoch(record) -- of a task that is accepted now [TOK-4]
  if queue.epoch == 0 then return record end
  return sub(record, 1, 38) .. pack('>I5', queue.epoch) .. sub(record, 44)
end
