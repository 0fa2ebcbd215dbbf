-- The text of claims: `limit` at most, each added to `answers` by `add`. `claims` is how many; `stopped`, that this script
-- had to end before it knew whether there is one. [CLM-1] to [CLM-4] [ENV-BULK-3]

local claims, stopped, starts_left = 0, false, 0
local moved, claimed_now, leased = {}, {}, {} -- what is written in the end

repeat
  local entry, from = nil, keys.ready
  if not queue.stale then
    entry = call('LPOP', keys.ready)
  else
    -- include: stale
    repeat
      stopped = queue.changed >= RECORDS_MAX
      if stopped then
        entry = nil
        break
      end
      queue.changed = queue.changed + 1
      entry, from = call('LPOP', keys.front), keys.front
      if not entry then
        if call('EXISTS', keys.stale) == 0 then call('HDEL', META, 'stale') end
        entry, from = call('LPOP', keys.ready), keys.ready
      end
    until not entry or not is_stale(entry)
  end
  if not entry then break end

  local id = sub(entry, 17)
  local record = call('HGET', keys.waiting, id)
  if claims > 0 and #(record or '') < 43 then -- it must not end this script, whose claims are not written yet
    call('LPUSH', from, entry)
    break
  end
  local inc, start, attempts, lease = incarnation(record), numbers(record)
  start = start + 1
  local token, last = inc .. pack('>I3', start), start == attempts
  if last and claims > 0 then -- not in advance [ENV-BULK-3]
    call('LPUSH', from, entry)
    break
  end

  local list, message = body(record)
  local blob = ''
  if has_arguments(record) then
    -- include: lists arguments
    blob = blob_of(id, record)
    local rest = cascade()
    if start == 1 then rest.first('drop', queue.now, inc, list) else call('HDEL', keys.args, inc) end
    rest.run()
  end

  claims = claims + 1
  queue.changed = queue.changed + 1
  moved[claims] = id
  if last and ignores(record) then -- it is absent now [CLM-3]
    local latest = META .. ':session:latest:' .. id
    if blob == '' then
      call('DEL', latest)
    else -- but its arguments are still shown [GAR-3]
      local ttl_ms = lease + (queue.manual and 3600000 or 60000)
      call('SET', META .. ':session:retired:' .. token .. id, pack('>I6', queue.now + lease) .. blob, 'PX', ttl_ms)
      call('SET', latest, token, 'PX', ttl_ms)
    end
  else
    -- At the last start nobody will ask for the message again.
    local fields, scores = #claimed_now, #leased
    claimed_now[fields + 1] = id
    claimed_now[fields + 2] = 'W' .. sub(record, 2, 4) .. token .. sub(record, 24, last and 43 or -1)
    leased[scores + 1] = queue.now + lease
    leased[scores + 2] = id
    if blob ~= '' then call('HSET', keys.taken, id, blob) end
    if not last then starts_left = starts_left + 1 end
  end
  add(pack('>I4', #id) .. id .. token .. pack('>I4', #blob) .. blob .. message)
until claims == limit or not goes_on()

if claims > 0 then
  call('HDEL', keys.waiting, unpack(moved))
  if #leased > 0 then
    call('HSET', keys.claimed, unpack(claimed_now))
    call('ZADD', keys.leases, unpack(leased))
  end
  if starts_left > 0 then
    -- include: kept
    keep(starts_left)
  end
  if call('LLEN', keys.ready) > 0 or queue.stale and call('LLEN', keys.front) > 0 then
    wake_claim() -- pass the baton on
    queue.waits = not queue.stale
  else
    call('DEL', keys.wake)
  end
end
