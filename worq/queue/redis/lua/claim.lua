-- Lease the task that has been ENQUEUED longest. [CLM-1] to [CLM-4]
--
-- ARGV[4]  how long the client still waits, ms; 0 looks once, -1 waits for ever
-- ARGV[5]  1 if this session has been told to block since it last got another answer
-- Reply    N none | W and for how long to block, ms (4 bytes) | T, length of id (4), id, incarnation (16), start (3),
--          length of the blob of arguments (4), blob, message
--
-- include: prelude begin records ready

local wait_ms, slept = tonumber(ARGV[4]), ARGV[5] == '1'

local entry
if not queue.stale then
  entry = call('LPOP', keys.ready)
else
  -- include: stale
  repeat
    if queue.changed >= RECORDS_MAX then
      seal()
      return '~'
    end
    queue.changed = queue.changed + 1
    entry = call('LPOP', keys.front)
    if not entry then
      if call('EXISTS', keys.stale) == 0 then call('HDEL', META, 'stale') end
      entry = call('LPOP', keys.ready)
    end
  until not entry or not is_stale(entry)
end

if not entry then
  if wait_ms == 0 and not slept then return answer('N') end
  -- include: wait
  if wait_ms ~= 0 then return answer('W' .. pack('>I4', sleep(wait_ms))) end
  rise(SLEEPER)
  return answer('N')
end

local id = sub(entry, 17)
local record = call('HGET', keys.waiting, id)
local inc, start, attempts, lease = incarnation(record), numbers(record)
local list, message = body(record)
local blob = ''
start = start + 1
local token, last = inc .. pack('>I3', start), start == attempts

if has_arguments(record) then
  -- include: lists arguments
  blob = blob_of(id, record)
  local rest = cascade()
  if start == 1 then rest.first('drop', queue.now, inc, list) else call('HDEL', keys.args, inc) end
  rest.run()
end

queue.changed = queue.changed + 1
call('HDEL', keys.waiting, id)
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
  call('HSET', keys.claimed, id, 'W' .. sub(record, 2, 4) .. token .. sub(record, 24, last and 43 or -1))
  call('ZADD', keys.leases, queue.now + lease, id)
  if blob ~= '' then call('HSET', keys.taken, id, blob) end
  if not last then
    -- include: kept
    keep(1)
  end
end

if call('LLEN', keys.ready) > 0 or queue.stale and call('LLEN', keys.front) > 0 then
  wake_claim() -- pass the baton on
else
  call('DEL', keys.wake)
end
if slept then
  -- include: wait
  rise(SLEEPER)
end
return answer('T' .. pack('>I4', #id) .. id .. token .. pack('>I4', #blob) .. blob .. message)
