-- Take the outcomes of many tasks, one after another, as many as one script may; or wait for one of them. [ENV-BULK-5]
--
-- ARGV[4]   how long the client still waits, ms; 0 looks once, -1 waits for ever
-- ARGV[5]   1 if this session has been told to block since it last got another answer
-- ARGV[6]   1 if this session waits for others too since it last woke
-- ARGV[7..] of each: id, incarnation; empty for whatever is there
-- Reply     N no answer yet | T some | W, for how long to block, ms (4 bytes); then of each that was looked at, in order: the
--           length (4) of its answer, its answer as in pop.lua; behind N the incarnation (16)
--
-- include: opening prelude begin records tell kept dependent bulk looking

local wait_ms, slept, waits_for_others = tonumber(ARGV[4]), ARGV[5] == '1', ARGV[6] == '1'

local ids, found = {}, false
for at = 7, #ARGV, 2 do
  if not goes_on() then break end
  local text, inc = look(ARGV[at], ARGV[at + 1])
  ids[#ids + 1] = ARGV[at]
  found = found or text ~= 'N'
  add(text .. (inc or ''))
end

if not found and wait_ms ~= 0 then
  -- include: wait
  return answer('W' .. pack('>I4', sleep(wait_ms, ids, waits_for_others)) .. table.concat(answers))
end
if slept then
  -- include: wait
  rise(SLEEPER, ids)
end
return answer((found and 'T' or 'N') .. table.concat(answers))
