-- Waiting: who sleeps, and which of them looks at the queue's next deadline. Times in these keys are the server's. [ENV-WAIT-3]

local SLEEPER_MS = 3 * BLOCK_MAX_MS -- a sleeper looks again after BLOCK_MAX_MS; without that it is gone
local ALARM_STEP_MS = 250 -- how long the next sleeper waits for one that has died with the alarm
local SLEEPER = sub(SESSION, #META + #':session:' + 1)

local function alarm() -- the deadline, ms, and the session that looks then
  local at, session = string.match(call('GET', keys['wait:alarm']) or '', '^(%d+):(.*)$')
  return tonumber(at), session
end

local function wake_sleeper() -- the one that came last, as it is the likeliest to live
  local session = call('ZREVRANGE', keys['wait:sleepers'], 0, 0)[1]
  if session then nudge(session) end
end

local function register(name, member)
  local real = real_ms()
  call('ZREMRANGEBYSCORE', keys[name], '-inf', real)
  call('ZADD', keys[name], real + SLEEPER_MS, member)
  call('PEXPIRE', keys[name], SLEEPER_MS)
end

local function block_ms(wait_ms, others) -- until the next lease passes, but only one sleeper looks at that moment
  local block = wait_ms < 0 and BLOCK_MAX_MS or math.min(wait_ms, BLOCK_MAX_MS)
  if MANUAL then return block end -- whoever advances the clock wakes its sleepers
  local lease = tonumber(call('ZRANGE', keys.leases, 0, 0, 'WITHSCORES')[2])
  if not lease or lease - now >= block then return block end
  local at, session = alarm()
  if at and at > now and at <= lease and session ~= SLEEPER then
    return math.min(block, lease - now + ALARM_STEP_MS * others)
  end
  call('SET', keys['wait:alarm'], decimal(lease) .. ':' .. SLEEPER, 'PX', lease - now + BLOCK_MAX_MS)
  return lease - now
end

-- Register this session as one that waits (for the outcome of `id`, or for a task); the answer is how long to block.
local function sleep(wait_ms, id)
  call('DEL', keys['wait:on:' .. SLEEPER]) -- wake-ups that came too late
  register('wait:sleepers', SLEEPER)
  if id then
    register('wait:for:' .. id, SLEEPER)
    register('wait:index', id)
  end
  return block_ms(wait_ms, call('ZCARD', keys['wait:sleepers']) - 1)
end

local function rise(session) -- it waits no more; if it had the alarm, another sleeper gets it [ENV-WAIT-4]
  call('ZREM', keys['wait:sleepers'], session)
  local _, holder = alarm()
  if holder ~= session then return end
  call('DEL', keys['wait:alarm'])
  wake_sleeper()
end
