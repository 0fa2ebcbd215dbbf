-- Finish one task.

if ordinary then
  local id, token, kind, message, retention = unpack(ARGV, 4, 8)
  -- include: lane_finish_look
  if ends then
    -- include: lane_finish_do
    lane_answer = 'A'
  end
end
