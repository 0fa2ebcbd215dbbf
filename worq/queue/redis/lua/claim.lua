-- include: cascade begin wait arguments
-- Lease the task that has been ENQUEUED longest. [CLM-1] to [CLM-4]
--
-- ARGV[4]  how long the client still waits, ms; 0 looks once, -1 waits for ever
-- ARGV[5]  1 if this session has been told to block since it last got another answer
-- Reply    N none | W and for how long to block, ms (4 bytes) | T, length of id (4), id, incarnation (16), start (3),
--          length of the blob of arguments (4), blob, message

local wait_ms, slept = tonumber(ARGV[4]), ARGV[5] == '1'

local function next_ready() -- the id; nil if none is left, false if too many stale entries were passed over
  if not stale then return call('LPOP', keys.ready) or nil end
  while changed < RECORDS_MAX do
    local id = call('LPOP', keys.front)
    if not id then
      if stale == 0 then call('HDEL', META, 'stale') end
      id = call('LPOP', keys.ready)
    end
    if not id then return nil end
    changed = changed + 1
    if stale == 0 or not is_stale(id) then return id end
  end
  return false
end

local id = next_ready()
if id == false then
  seal()
  return '~'
end
if not id then
  if wait_ms ~= 0 then return answer('W' .. pack('>I4', sleep(wait_ms))) end
  if slept then rise(SLEEPER) end
  return answer('N')
end

local function retire(token, lease, blob) -- keep the arguments of a task that is absent now [GAR-3]
  local ttl_ms = lease + TTL_MARGIN_MS
  call('SET', keys['session:retired:' .. token .. id], pack('>I6', now + lease) .. blob, 'PX', ttl_ms)
  call('SET', keys['session:latest:' .. id], token, 'PX', ttl_ms)
end

local record = call('HGET', keys.waiting, id)
local inc, start, attempts, lease = incarnation(record), numbers(record)
local list, message = body(record)
local blob = blob_of(id, record)
start = start + 1
local token = inc .. pack('>I3', start)

changed = changed + 1
call('HDEL', keys.waiting, id)
if ignores(record) and start == attempts then -- [CLM-3]
  if blob ~= '' then retire(token, lease, blob) end
else
  -- At the last start nobody asks for the message again.
  local rest = start < attempts and sub(record, 24) or sub(record, 24, 43)
  call('HSET', keys.claimed, id, 'W' .. sub(record, 2, 4) .. token .. rest)
  call('ZADD', keys.leases, now + lease, id)
  if start < attempts then keep(1) end
  if blob ~= '' then call('HSET', keys.taken, id, blob) end
end
if blob ~= '' then
  local dropping = cascade()
  if start == 1 then dropping.drop(inc, list) else call('HDEL', keys.args, inc) end
  dropping.run()
end
if call('LLEN', keys.ready) > 0 or stale and call('LLEN', keys.front) > 0 then
  wake_claim() -- pass the baton on
else
  call('DEL', keys.wake)
end
if slept then rise(SLEEPER) end
return answer('T' .. pack('>I4', #id) .. id .. token .. pack('>I4', #blob) .. blob .. message)
