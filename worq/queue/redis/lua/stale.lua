-- The FIFO keeps the entries of tasks that ended unclaimed; they are counted by id, and a later entry of the same id
-- is behind them. Each such end sifts some entries from `ready` to `front`, which is ahead of it, so that stale
-- ones can't pile up.

local SIFTED_MAX = 4

local function count_stale(by)
  queue.stale = (queue.stale or 0) + by
  call('HSET', META, 'stale', decimal(queue.stale))
end

local function is_stale(id) -- and forget that entry
  local count = call('HGET', keys.stale, id)
  if not count then return false end
  if count == '1' then call('HDEL', keys.stale, id) else call('HINCRBY', keys.stale, id, -1) end
  count_stale(-1)
  return true
end

local function leave_fifo(id)
  call('HINCRBY', keys.stale, id, 1)
  count_stale(1)
  for _ = 1, SIFTED_MAX do
    local first = call('LPOP', keys.ready)
    if not first then
      if call('EXISTS', keys.front) == 1 then call('RENAME', keys.front, keys.ready) end
      return
    end
    -- Of an id's entries the first ones are stale [CLM-1]: those in `front` come before this one.
    local is_first = call('HEXISTS', keys.stale, first) == 1 and not call('LPOS', keys.front, first)
    if not (is_first and is_stale(first)) then call('RPUSH', keys.front, first) end
  end
end
