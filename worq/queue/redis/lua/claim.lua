-- Lease the task that has been ENQUEUED longest, and further ones in advance. [CLM-1] to [CLM-4] [ENV-BULK-3]
--
-- ARGV[4]  how long the client still waits, ms; 0 looks once, -1 waits for ever
-- ARGV[5]  1 if this session has been told to block since it last got another answer
-- ARGV[6]  how many at most; absent for one
-- Reply    N none | W and for how long to block, ms (4 bytes) | T, and of each claim: length of what follows (4), length
--          of id (4), id, incarnation (16), start (3), length of the blob of arguments (4), blob, message
--
-- include: opening lane lane_claim lane_done prelude lane_end begin records ready bulk

local wait_ms, slept, limit = tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6] or 1)

-- include: claiming

if claims == 0 then
  if stopped then
    seal()
    return '~'
  end
  if wait_ms == 0 and not slept then return answer('N') end
  -- include: wait
  if wait_ms ~= 0 then return answer('W' .. pack('>I4', sleep(wait_ms))) end
  rise(SLEEPER)
  return answer('N')
end

if slept then
  -- include: wait
  rise(SLEEPER)
end
return answer('T' .. table.concat(answers))
