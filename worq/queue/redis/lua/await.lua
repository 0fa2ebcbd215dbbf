-- Wait until a task may be ready, and leave it to whoever claims. [ENV-WAIT-10]
--
-- ARGV[4]  how long the client still waits, ms; 0 looks once, -1 waits for ever
-- ARGV[5]  1 if this session has been told to block since it last got another answer
-- Reply    T there may be one | N none | W and for how long to block, ms (4 bytes)
--
-- include: opening prelude begin ready

local wait_ms, slept = tonumber(ARGV[4]), ARGV[5] == '1'
local found = call('LLEN', keys.ready) > 0 or queue.stale and call('LLEN', keys.front) > 0
if not found and wait_ms ~= 0 then
  -- include: wait
  return answer('W' .. pack('>I4', sleep(wait_ms)))
end
if slept then
  -- include: wait
  rise(SLEEPER)
  if found then wake_claim() end -- it has the marker, and takes no task: pass the baton on
end
return answer(found and 'T' or 'N')
