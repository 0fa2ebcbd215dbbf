-- Waiting: who sleeps, and which of them looks at the queue's next deadline. Times in these keys are the server's.
-- include: tell

local SLEEPER_MS = 3 * BLOCK_MS_MAX -- a sleeper looks again after BLOCK_MS_MAX; without that it is gone
local ALARM_STEP_MS = 250 -- how long the next sleeper waits for one that has died with the alarm
local SLEEPER = sub(SESSION, #META + #':session:' + 1)
local SLEEPERS, ALARM = META .. ':session:wait:sleepers', META .. ':session:wait:alarm'
local WAIT_FOR, INDEX = META .. ':session:wait:for:', META .. ':session:wait:index'

local function alarm() -- the deadline, ms, and the session that looks then
  local at, session = string.match(call('GET', ALARM) or '', '^(%d+):(.*)$')
  return tonumber(at), session
end

local function wake_sleeper() -- the one that came last, as it is the likeliest to live
  local session = call('ZREVRANGE', SLEEPERS, 0, 0)[1]
  if session then nudge(session) end
end

local function register(key, ...) -- each until it ought to have looked again
  local time = call('TIME')
  call('ZREMRANGEBYSCORE', key, '-inf', time[1] * 1000)
  local scored = {}
  for n, member in ipairs({ ... }) do
    scored[2 * n - 1], scored[2 * n] = time[1] * 1000 + SLEEPER_MS, member
  end
  call('ZADD', key, unpack(scored))
  call('PEXPIRE', key, SLEEPER_MS)
end

local function block_ms(wait_ms, others) -- until the next lease passes, but only one sleeper looks at that moment
  local block = wait_ms < 0 and BLOCK_MS_MAX or math.min(wait_ms, BLOCK_MS_MAX)
  if queue.manual then return block end -- whoever advances the clock wakes its sleepers
  local lease = tonumber(call('ZRANGE', keys.leases, 0, 0, 'WITHSCORES')[2])
  if not lease or lease - queue.now >= block then return block end
  local at, session = alarm()
  if at and at > queue.now and at <= lease and session ~= SLEEPER then
    return math.min(block, lease - queue.now + ALARM_STEP_MS * others)
  end
  call('SET', ALARM, decimal(lease) .. ':' .. SLEEPER, 'PX', lease - queue.now + BLOCK_MS_MAX)
  return lease - queue.now
end

-- Register this session as one that waits (for the outcomes of `ids`, or for a task); the answer is how long to block.
local function sleep(wait_ms, ids, waits_for_others)
  if not waits_for_others then
    call('DEL', META .. ':session:wait:on:' .. SLEEPER) -- wake-ups that came too late
    register(SLEEPERS, SLEEPER)
  end
  if ids then
    for _, id in ipairs(ids) do register(WAIT_FOR .. id, SLEEPER) end
    register(INDEX, unpack(ids))
  end
  return block_ms(wait_ms, call('ZCARD', SLEEPERS) - 1)
end

local function rise(session, ids) -- it waits no more; if it had the alarm, another sleeper gets it [ENV-WAIT-4]
  call('ZREM', SLEEPERS, session)
  for _, id in ipairs(ids or {}) do
    if call('ZREM', WAIT_FOR .. id, session) == 1 and call('EXISTS', WAIT_FOR .. id) == 0 then
      call('ZREM', INDEX, id)
    end
  end
  local _, holder = alarm()
  if holder ~= session then return end
  call('DEL', ALARM)
  wake_sleeper()
end
