-- The end of a lane, where it is ordinary.

if through and slept then
  through = call('EXISTS', META .. ':session:wait:alarm') == 0 -- or perhaps it had that
  if through then call('ZREM', META .. ':session:wait:sleepers', sub(SESSION, #META + #':session:' + 1)) end
end
if through then
  call('SET', SESSION, NUMBER .. '.' .. lane_answer, 'PX', ARGV[3])
  return '.' .. lane_answer
end
