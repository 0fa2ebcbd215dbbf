-- End it. [FIN-4]

call('ZREM', META .. ':leases', id)
call('HSET', META .. ':claimed', id, 'C' .. sub(record, 2, 43) .. kind .. '\0\0\0\0' .. message)
call('ZADD', META .. ':retained', now + retention, id)
if sub(record, 21, 23) ~= sub(record, 24, 26) then meta[3] = call('HINCRBY', META, 'kept', -1) end
if call('EXISTS', META .. ':session:wait:for:' .. id) == 1 then
  -- include: tell
  tell(id)
end
if ttl then
  if now + retention <= reach then
    through = true
    call('PEXPIREAT', META .. ':retained', ttl)
  end
elseif call('HLEN', META .. ':waiting') > 0 then
  through = true
else
  local stays = retention
  -- include: lane_last
end
