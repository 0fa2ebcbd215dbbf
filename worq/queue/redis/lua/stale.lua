-- The FIFO keeps the entries of tasks that ended unclaimed: `stale` is the set of them. Each such end sifts some
-- entries from `ready` to `front`, which is ahead of it, so that stale ones can't pile up.

local SIFTED_MAX = 4

local function is_stale(entry) -- and forget it
  return call('SREM', keys.stale, entry) == 1
end

local function leave_fifo(entry)
  call('SADD', keys.stale, entry)
  if not queue.stale then
    queue.stale = '1'
    call('HSET', META, 'stale', '1')
  end
  for _ = 1, SIFTED_MAX do
    local first = call('LPOP', keys.ready)
    if not first then
      if call('EXISTS', keys.front) == 1 then call('RENAME', keys.front, keys.ready) end
      return
    end
    if not is_stale(first) then call('RPUSH', keys.front, first) end
  end
end
