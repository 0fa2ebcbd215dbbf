-- Finish one task, and claim one.

if ordinary and #ARGV == 9 and ARGV[4] == '1' then
  local id, token, kind, message, retention = unpack(ARGV, 5, 9)
  -- include: lane_finish_look
  if ends then
    -- include: lane_claim_look
    if not odd then
      local claims = ''
      -- include: lane_finish_do
      if entry then
        local finished = through
        -- include: lane_claim_do
        through, claims = finished and through, claimed
      end
      lane_answer = '1\0\0\0\1\0\0\0\1A' .. claims
    end
  end
end
