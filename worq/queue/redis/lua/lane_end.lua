-- The end of a lane, where it is not ordinary, or is a wait.

if lane_answer then
  queue.changed = 1
  if slept then
    -- include: wait
    rise(SLEEPER, waited_for)
  end
  return answer(lane_answer)
end
if wait_ms then
  -- include: wait
  return answer('W' .. pack('>I4', sleep(wait_ms, waited_for)) .. waited_inc)
end
