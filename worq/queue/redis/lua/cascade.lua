-- What an end sets off: a list of steps, first one first, of which a script takes so many that it changes no more
-- than RECORDS_MAX records; the rest is kept as the queue's work list. [ENV-REDIS-4]
--
-- A step is an array of its name and its arguments; `at` is the `now` of the operation that began it [TIM-6].

local function cascade()
  local todo, steps = {}, {}

  local function first(...) -- do this before all else
    table.insert(todo, 1, { ... })
  end

  local function deliver(id, inc, kind, source, message, at) -- to the dependent, whose id is the answer
    local dependent, dependent_inc = dependent_of(id, inc)
    if dependent then first('arrive', at, id, dependent, dependent_inc, kind, source, message) end
    return dependent
  end

  local function drop(inc, list)
    if list ~= '' then first('drop', inc, list) end
  end

  local function expire(id, record, at) -- [OUT-6]
    local list = withdraw(id, record)
    tell(id)
    deliver(id, incarnation(record), 'x', '', '', at)
    drop(incarnation(record), list)
  end

  local function lapse(id, record, at) -- the lease passes
    local start, attempts = numbers(record)
    if start >= attempts then return expire(id, record, at) end -- [TIM-4]
    local arguments = has_arguments(record) and call('HGET', keys.taken, id)
    withdraw(id, record)
    call('HSET', keys.waiting, id, 'E' .. sub(record, 2)) -- [TIM-3]
    if arguments then call('HSET', keys.args, incarnation(record), arguments) end
    enqueue(id)
  end

  -- Apply the deadlines that have passed. Retentions concern nobody but the task, so they go in bulk. [TIM-2]
  function steps.sweep(at)
    local gone = call('ZRANGEBYSCORE', keys.retained, '-inf', at, 'LIMIT', 0, RECORDS_MAX - changed)
    if #gone > 0 then
      call('HDEL', keys.claimed, unpack(gone))
      call('ZREM', keys.retained, unpack(gone))
      changed = changed + #gone
      return first('sweep', at)
    end
    local id = call('ZRANGEBYSCORE', keys.leases, '-inf', at, 'LIMIT', 0, 1)[1]
    if not id then return end
    first('sweep', at)
    lapse(id, call('HGET', keys.claimed, id), at)
  end

  local function hold(id, dependent, inc, kind, source, message) -- [OUT-1] [OUT-2]
    local row = call('HGET', keys.args, inc .. id)
    call('HSET', keys.args, inc .. id, kind .. sub(row, 2, 18) .. pack('>I4', #source) .. source .. message)
    local head = call('HGET', keys.args, inc)
    local missing = tonumber(sub(head, 2)) - 1
    changed = changed + 1
    if missing > 0 then
      call('HSET', keys.args, inc, sub(head, 1, 1) .. decimal(missing))
      return
    end
    call('HDEL', keys.args, inc)
    call('HSET', keys.waiting, dependent, 'E' .. sub(call('HGET', keys.waiting, dependent), 2))
    enqueue(dependent)
  end

  function steps.arrive(at, id, dependent, inc, kind, source, message)
    local head = call('HGET', keys.args, inc)
    call('HDEL', keys.reserved, id)
    if kind == 'r' or sub(head, 1, 1) == 'p' then
      return hold(id, dependent, inc, kind, source, message)
    end
    local record = call('HGET', keys.waiting, dependent)
    if kind == 'x' then return expire(dependent, record, at) end
    if source == '' then source = id end
    local list = withdraw(dependent, record)
    tell(dependent)
    if not deliver(dependent, inc, 'f', source, message, at) and not ignores(record) then -- [OUT-3] [OUT-4]
      local _, _, _, retention = numbers(record)
      complete(dependent, record, 'f', source, message, retention, at) -- [OUT-5]
    end
    drop(inc, list)
  end

  -- Do `act` for the next arguments of a packed list, and keep the rest as another step.
  local function some_of(list, rest, act)
    local at = 1
    while at <= #list do
      if changed >= RECORDS_MAX then return rest(sub(list, at)) end
      local id
      id, at = unpack_at('>I4c0', list, at)
      act(id)
    end
  end

  function steps.drop(inc, list) -- the arguments of a task that has ended, or was started
    some_of(list, function(left) first('drop', inc, left) end, function(id)
      call('HDEL', keys.args, inc .. id)
      changed = changed + 1
    end)
  end

  function steps.miss(inc, list) -- [DFR-2]
    some_of(list, function(left) first('miss', inc, left) end, function(id)
      call('HSET', keys.args, inc .. id, 'M-' .. string.rep('\0', 16))
      changed = changed + 1
    end)
  end

  function steps.bind(dependent, inc, list) -- [SUB-6]
    some_of(list, function(left) first('bind', dependent, inc, left) end, function(id)
      local record = find(id, '')
      if sub(record, 1, 1) == 'C' then
        call('HSET', keys.args, inc .. id, sub(record, 44, 44) .. 'n' .. incarnation(record) .. sub(record, 45))
        withdraw(id, record)
      else
        call('HSET', keys.args, inc .. id, 'Rl' .. incarnation(record))
        call('HSET', keys.reserved, id, inc .. dependent)
        tell(id)
        changed = changed + 1
      end
    end)
  end

  function steps.tell() -- all who wait for any outcome look again
    local ids = call('ZPOPMIN', keys['wait:index'], 100)
    for at = 1, #ids, 2 do tell(ids[at]) end
    changed = changed + #ids / 2
    if #ids > 0 then first('tell') end
  end

  local function load()
    for _, item in ipairs(call('LRANGE', keys.work, 0, -1)) do
      local step = cmsgpack.unpack(item)
      if step[1] == 'sweep' or step[1] == 'arrive' then step[2] = tonumber(step[2]) end
      todo[#todo + 1] = step
    end
    call('DEL', keys.work)
    call('HDEL', META, 'work')
    work = false
  end

  local function save()
    work = true
    call('HSET', META, 'work', '1')
    for _, step in ipairs(todo) do
      if type(step[2]) == 'number' then step[2] = decimal(step[2]) end
      call('RPUSH', keys.work, cmsgpack.pack(step))
    end
  end

  local function run() -- true if nothing is left
    while #todo > 0 and changed < RECORDS_MAX do
      local step = table.remove(todo, 1)
      steps[step[1]](unpack(step, 2))
    end
    if #todo > 0 then save() end
    return #todo == 0
  end

  return { first = first, deliver = deliver, drop = drop, expire = expire, lapse = lapse,
    hold = hold, load = load, run = run }
end
