-- Claimed records that would not expire by themselves: with starts left, or with an infinite retention. [ENV-REDIS-5]

local function keep(by)
  queue.kept = queue.kept + by
  call('HINCRBY', META, 'kept', by)
end

local function end_lease(id, record) -- of a record that is about to be dropped or replaced
  local start, attempts = numbers(record)
  call('ZREM', keys.leases, id)
  if start < attempts then keep(-1) end
  if has_arguments(record) then call('HDEL', keys.taken, id) end
  queue.changed = queue.changed + 1
end

local function completed(record, kind, source, message) -- the record of what has ended so
  return 'C' .. sub(record, 2, 3) .. '-' .. sub(record, 5, 43) .. kind .. pack('>I4', #source) .. source .. message
end

local function complete(id, record, kind, source, message, retention)
  call('HSET', keys.claimed, id, completed(record, kind, source, message))
  if retention == FOREVER then keep(1) else call('ZADD', keys.retained, retention + queue.now, id) end
end

local function consume(id) -- what is COMPLETED
  call('HDEL', keys.claimed, id)
  if call('ZREM', keys.retained, id) == 0 then keep(-1) end
  queue.changed = queue.changed + 1
end
