-- Take an outcome that is there, or wait until it is. [POP-4] [POP-5]

if ordinary and call('ZCOUNT', META .. ':retained', '-inf', now) == 0 then
  local id, wanted = ARGV[4], ARGV[5]
  local record = call('HGET', META .. ':claimed', id) or call('HGET', META .. ':waiting', id)
  if record and sub(record, 2, 2) == '-' and (wanted == '' or sub(record, 5, 20) == wanted) then
    if sub(record, 1, 1) == 'C' then
      call('HDEL', META .. ':claimed', id)
      if call('ZREM', META .. ':retained', id) == 0 then meta[3] = call('HINCRBY', META, 'kept', -1) end
      if call('EXISTS', META .. ':session:wait:for:' .. id) == 1 then
        -- include: tell
        tell(id)
      end
      lane_answer, slept, waited_for = 'O' .. sub(record, 44), ARGV[7] == '1', { id }
      through = call('HLEN', META .. (ttl and ':claimed' or ':waiting')) > 0
      if ttl and not through and call('HLEN', META .. ':waiting') == 0 then -- [ENV-REDIS-5]
        call('UNLINK', META)
        through = true
      end
    elseif ARGV[6] ~= '0' and call('HEXISTS', META .. ':reserved', id) == 0 then
      wait_ms, waited_for, waited_inc = tonumber(ARGV[6]), { id }, sub(record, 5, 20)
    end
  end
end
