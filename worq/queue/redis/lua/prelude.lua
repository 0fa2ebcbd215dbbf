-- What the general text of every script has in front of it: keys, the state of the queue, the answer.
-- Functions are made anew at each call of a script, which takes longer than most commands: so the parts are small, and
-- what is seldom used is made when it is.

local keys = {
  waiting = META .. ':waiting', -- id → record, PENDING and ENQUEUED
  claimed = META .. ':claimed', -- id → record, PROCESSING and COMPLETED
  ready = META .. ':ready', -- the FIFO: of each task its incarnation (16 bytes) and its id
  front = META .. ':front', -- what comes before it
  stale = META .. ':stale', -- the set of those entries of the FIFO whose tasks have ended
  leases = META .. ':leases', -- id, by deadline
  retained = META .. ':retained', -- id, by deadline
  args = META .. ':args', -- arguments of tasks that wait
  taken = META .. ':taken', -- id → arguments of claimed tasks
  reserved = META .. ':reserved', -- id → who takes its outcome
  wake = META .. ':wake', -- a marker when a task is ready
  work = META .. ':work', -- steps that a script has left over
}

local queue = {
  format = meta[1],
  epoch = tonumber(meta[2] or 0), -- how many tasks were deferred
  kept = tonumber(meta[3] or 0), -- claimed records that would not expire by themselves
  ttl = meta[4], -- when those keys go that have physical TTLs
  stale = meta[5], -- there may be stale entries of the FIFO, or some in `front`
  work = meta[6], -- the work list is not empty
  manual = ARGV[1] ~= '',
  now = now, -- of the operation, or of the step that goes on
  changed = 0, -- records, by this script
  waits = false, -- this script knows that a task waits, and is about to end
}

local function decimal(number)
  return string.format('%.0f', number)
end

-- After a change: drop the keys of an empty queue, or have them expire if all of their records would. [ENV-REDIS-5]
local function seal()
  if queue.work or queue.waits or call('HLEN', keys.waiting) > 0 then
    if queue.ttl then
      for _, key in ipairs({ META, keys.claimed, keys.leases, keys.retained, keys.taken }) do call('PERSIST', key) end
      call('HDEL', META, 'ttl')
    end
    return
  end
  call('UNLINK', keys.ready, keys.front, keys.stale, keys.wake, keys.args, keys.reserved)
  if queue.stale then call('HDEL', META, 'stale') end
  if call('HLEN', keys.claimed) == 0 then
    call('UNLINK', META, keys.claimed, keys.leases, keys.retained, keys.taken)
  elseif queue.kept == 0 then
    local lease = call('ZREVRANGE', keys.leases, 0, 0, 'WITHSCORES')[2]
    local retention = call('ZREVRANGE', keys.retained, 0, 0, 'WITHSCORES')[2]
    local at = math.max(tonumber(lease or 0), tonumber(retention or 0)) - now + server_now + 2 * MARGIN_MS
    call('HSET', META, 'ttl', at)
    for _, key in ipairs({ META, keys.claimed, keys.leases, keys.retained, keys.taken }) do call('PEXPIREAT', key, at) end
  elseif queue.ttl then
    for _, key in ipairs({ META, keys.claimed, keys.leases, keys.retained, keys.taken }) do call('PERSIST', key) end
    call('HDEL', META, 'ttl')
  end
end

local function answer(text) -- and keep it as the session's receipt, for when it is asked again [ENV-RETRY-1]
  if queue.changed > 0 then seal() end
  local reply = (queue.work and '+' or '.') .. text
  if NUMBER ~= '0000000000000000' then
    if queue.changed == 0 then call('DEL', SESSION) end -- a server that is full refuses to begin with a SET [ENV-REDIS-9]
    call('SET', SESSION, NUMBER .. reply, 'PX', ARGV[3])
  end
  return reply
end
