-- Claim one task.

if ordinary and (ARGV[6] or '1') == '1' then
  -- include: lane_claim_look
  if entry and not odd then
    -- include: lane_claim_do
    lane_answer, slept = 'T' .. claimed, ARGV[5] == '1'
  elseif not entry and ARGV[4] ~= '0' and call('ZCOUNT', META .. ':retained', '-inf', now) == 0 then
    wait_ms, waited_inc = tonumber(ARGV[4]), ''
  end
end
