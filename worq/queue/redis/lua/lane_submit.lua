-- A task with neither arguments nor an outcome, whose id is free, and none was deferred. [SUB-7]

if ordinary and #ARGV == 5 and not meta[2]
  and call('HEXISTS', META .. ':claimed', ARGV[4]) == 0
  and call('HEXISTS', META .. ':waiting', ARGV[4]) == 0 then
  call('HSET', META .. ':waiting', ARGV[4], ARGV[5])
  if not meta[1] then call('HSET', META, 'format', FORMAT) end
  if ttl then call('PERSIST', META) end
  call('RPUSH', META .. ':ready', sub(ARGV[5], 5, 20) .. ARGV[4])
  if call('LLEN', META .. ':wake') == 0 then call('RPUSH', META .. ':wake', '1') end
  lane_answer, through = 'A', true
end
