-- Nothing waits any more, and the keys have no TTLs. They get them if all would expire by itself, and this task, which
-- `stays` for so long, is the only one; where there are others, the general text looks for the last deadline. [ENV-REDIS-5]

if (meta[3] or 0) ~= 0 and meta[3] ~= '0' then
  through = true
elseif call('HLEN', META .. ':claimed') == 1 then
  through = true
  local goes = server_now + stays + 2 * MARGIN_MS
  call('HSET', META, 'ttl', goes)
  call('PEXPIREAT', META, goes)
  call('PEXPIREAT', META .. ':claimed', goes)
  call('PEXPIREAT', META .. ':leases', goes)
  call('PEXPIREAT', META .. ':retained', goes)
end
