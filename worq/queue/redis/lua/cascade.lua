-- What an end sets off: a list of steps, first one first, of which a script takes so many that it changes no more
-- than RECORDS_MAX records; the rest is kept as the queue's work list. [ENV-REDIS-4]
--
-- A step is an array of its name and its arguments. Each begins with `at`, the `now` of the operation that began it.

local function cascade()
  -- include: records lists tell ready stale kept dependent

  local todo, steps = {}, {}

  local function first(...) -- do this before all else
    table.insert(todo, 1, { ... })
  end

  local function drop(inc, list)
    if list ~= '' then first('drop', queue.now, inc, list) end
  end

  local function deliver(id, inc, kind, source, message) -- to the dependent, if there is one
    local dependent, dependent_inc = dependent_of(id, inc)
    if dependent then first('arrive', queue.now, id, dependent, dependent_inc, kind, source, message) end
    return dependent
  end

  local function withdraw(id, record) -- the answer is the list of arguments whose rows are to be dropped [OUT-7]
    local state, start = sub(record, 1, 1), numbers(record)
    if state == 'C' then
      consume(id)
      return ''
    elseif state == 'W' then
      call('HDEL', keys.claimed, id)
      end_lease(id, record)
      return ''
    end
    call('HDEL', keys.waiting, id)
    queue.changed = queue.changed + 1
    if state == 'E' then leave_fifo(incarnation(record) .. id) end
    if not has_arguments(record) then return '' end
    call('HDEL', keys.args, incarnation(record))
    return start == 0 and body(record) or ''
  end

  local function expire(id, record) -- [OUT-6]
    local list = withdraw(id, record)
    tell(id)
    deliver(id, incarnation(record), 'x', '', '')
    drop(incarnation(record), list)
  end

  local function lapse(id, record) -- its lease passes
    local start, attempts = numbers(record)
    if start >= attempts then return expire(id, record) end -- [TIM-4]
    local arguments = has_arguments(record) and call('HGET', keys.taken, id)
    withdraw(id, record)
    call('HSET', keys.waiting, id, 'E' .. sub(record, 2)) -- [TIM-3]
    if arguments then call('HSET', keys.args, incarnation(record), arguments) end
    enqueue(id, incarnation(record))
  end

  -- Apply the deadlines that have passed. Retentions concern nobody but the task, so they go in bulk. [TIM-2]
  function steps.sweep()
    local gone = call('ZRANGEBYSCORE', keys.retained, '-inf', queue.now, 'LIMIT', 0, RECORDS_MAX - queue.changed)
    if #gone > 0 then
      call('HDEL', keys.claimed, unpack(gone))
      call('ZREM', keys.retained, unpack(gone))
      queue.changed = queue.changed + #gone
      return first('sweep', queue.now)
    end
    local id = call('ZRANGEBYSCORE', keys.leases, '-inf', queue.now, 'LIMIT', 0, 1)[1]
    if not id then return end
    first('sweep', queue.now)
    lapse(id, call('HGET', keys.claimed, id))
  end

  local function hold(id, dependent, inc, kind, source, message) -- [OUT-1] [OUT-2] [ARG-3]
    local row = call('HGET', keys.args, inc .. id)
    call('HSET', keys.args, inc .. id, kind .. sub(row, 2, 18) .. pack('>I4', #source) .. source .. message)
    queue.changed = queue.changed + 1
    local head = call('HGET', keys.args, inc)
    local missing = tonumber(sub(head, 2)) - 1
    if missing > 0 then
      call('HSET', keys.args, inc, sub(head, 1, 1) .. decimal(missing))
      return
    end
    call('HDEL', keys.args, inc)
    call('HSET', keys.waiting, dependent, 'E' .. sub(call('HGET', keys.waiting, dependent), 2))
    enqueue(dependent, inc)
  end

  function steps.arrive(id, dependent, inc, kind, source, message)
    call('HDEL', keys.reserved, id)
    if kind == 'r' or sub(call('HGET', keys.args, inc), 1, 1) == 'p' then
      return hold(id, dependent, inc, kind, source, message)
    end
    local record = call('HGET', keys.waiting, dependent)
    if kind == 'x' then return expire(dependent, record) end
    if source == '' then source = id end
    local list = withdraw(dependent, record)
    tell(dependent)
    if not deliver(dependent, inc, 'f', source, message) and not ignores(record) then -- [OUT-3] [OUT-4]
      local _, _, _, retention = numbers(record)
      complete(dependent, record, 'f', source, message, retention) -- [OUT-5]
    end
    drop(inc, list)
  end

  -- Do `act` for arguments of a packed list, and keep the rest as another step.
  local function some_of(list, act, keep_rest)
    local at, id = 1, nil
    while at <= #list do
      if queue.changed >= RECORDS_MAX then return keep_rest(sub(list, at)) end
      id, at = unpack_at('>I4c0', list, at)
      act(id)
    end
  end

  function steps.drop(inc, list) -- the arguments of a task that has ended, or was started
    some_of(list, function(id)
      call('HDEL', keys.args, inc .. id)
      queue.changed = queue.changed + 1
    end, function(rest) first('drop', queue.now, inc, rest) end)
  end

  function steps.miss(inc, list) -- [DFR-2]
    some_of(list, function(id)
      call('HSET', keys.args, inc .. id, 'M-' .. string.rep('\0', 16))
      queue.changed = queue.changed + 1
    end, function(rest) first('miss', queue.now, inc, rest) end)
  end

  function steps.bind(dependent, inc, list) -- [SUB-6]
    some_of(list, function(id)
      local record = find(id, '')
      if sub(record, 1, 1) == 'C' then
        call('HSET', keys.args, inc .. id, sub(record, 44, 44) .. 'n' .. incarnation(record) .. sub(record, 45))
        return consume(id)
      end
      call('HSET', keys.args, inc .. id, 'Rl' .. incarnation(record))
      call('HSET', keys.reserved, id, inc .. dependent)
      tell(id)
      queue.changed = queue.changed + 1
    end, function(rest) first('bind', queue.now, dependent, inc, rest) end)
  end

  function steps.tell() -- all who wait for any outcome
    local ids = call('ZPOPMIN', META .. ':session:wait:index', 100)
    for n = 1, #ids, 2 do tell(ids[n]) end
    queue.changed = queue.changed + #ids / 2
    if #ids > 0 then first('tell', queue.now) end
  end

  local function save()
    queue.work = '1'
    call('HSET', META, 'work', '1')
    for _, step in ipairs(todo) do
      step[2] = decimal(step[2])
      call('RPUSH', keys.work, cmsgpack.pack(step))
    end
  end

  local function run() -- true if nothing is left
    local now = queue.now
    while #todo > 0 and queue.changed < RECORDS_MAX do
      local step = table.remove(todo, 1)
      queue.now = step[2] -- [TIM-6]
      steps[step[1]](unpack(step, 3))
    end
    queue.now = now
    if #todo > 0 then save() end
    return #todo == 0
  end

  local function load()
    for _, step in ipairs(call('LRANGE', keys.work, 0, -1)) do
      todo[#todo + 1] = cmsgpack.unpack(step)
      todo[#todo][2] = tonumber(todo[#todo][2])
    end
    call('DEL', keys.work)
    call('HDEL', META, 'work')
    queue.work = false
    queue.changed = queue.changed + 1 -- so that the queue is sealed
  end

  local function settle() -- true if the operation may follow: the work list first, then deadlines that have passed
    if queue.work then
      load()
      if not run() then return false end
    end
    first('sweep', queue.now)
    return run() and queue.changed < RECORDS_MAX
  end

  return { first = first, deliver = deliver, expire = expire, lapse = lapse, hold = hold, run = run, settle = settle }
end
