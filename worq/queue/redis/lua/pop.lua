-- Take the outcome of a task. [POP-1] to [POP-5]
--
-- ARGV[4]  id
-- ARGV[5]  incarnation; empty for whatever is there
-- ARGV[6]  how long the client still waits, ms; 0 looks once, -1 waits for ever
-- ARGV[7]  1 if this session has been told to block since it last got another answer
-- Reply    X not here, nor coming | R reserved | N not yet | W, for how long to block, ms (4 bytes), incarnation (16)
--          O, kind, length of source (4), source, message
--
-- include: opening lane lane_pop lane_done prelude lane_end begin records tell kept dependent looking

local id, wanted, wait_ms, slept = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7] == '1'

local text, inc = look(id, wanted)
if text == 'N' and wait_ms ~= 0 then
  -- include: wait
  return answer('W' .. pack('>I4', sleep(wait_ms, { id })) .. inc)
end
if slept then
  -- include: wait
  rise(SLEEPER, { id })
end
return answer(text)
