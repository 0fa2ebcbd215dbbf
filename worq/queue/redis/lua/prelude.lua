-- What every script has in front of it: keys, the clock, records, telling who waits, physical TTLs, the answer.
-- Layouts of records, rows and replies: docs/redis.md.
--
-- KEYS[1]  the queue's prefix, which is the key of its `meta` hash too; all other keys are derived from it [ENV-REDIS-2]
-- KEYS[2]  the session's receipt
-- ARGV[1]  now, ms; empty for the server's clock [ENV-REDIS-3]
-- ARGV[2]  the number of the operation in its session, 16 digits; all zero for one that changes nothing
-- ARGV[3]  how long the receipt is kept, ms
-- Reply    '.' answer | '+' answer, and a work list is left | '~' again | '<' older than the receipt | 'v' format

local META, SESSION = KEYS[1], KEYS[2]
local MANUAL, NUMBER, RECEIPT_MS = ARGV[1] ~= '', ARGV[2], ARGV[3]

local FORMAT = '1'
local RECORDS_MAX = 900 -- in one script, with room for those of the operation itself [ENV-REDIS-4]
local FOREVER = 281474976710655 -- a retention that never passes
local TTL_MARGIN_MS = MANUAL and 3600000 or 60000
local BLOCK_MAX_MS = 5000

local call, sub, pack, unpack_at = redis.call, string.sub, struct.pack, struct.unpack

local keys = setmetatable({}, { __index = function(known, name)
  local key = META .. ':' .. name
  known[name] = key
  return key
end })

local meta = call('HMGET', META, 'format', 'epoch', 'kept', 'ttl', 'stale', 'work')
local format, epoch, kept = meta[1], tonumber(meta[2] or 0), tonumber(meta[3] or 0)
local ttl, stale, work = meta[4], tonumber(meta[5]), meta[6]

local changed = 0 -- records

local function real_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now = MANUAL and tonumber(ARGV[1]) or real_ms()

local function decimal(number)
  return string.format('%.0f', number)
end

-- Records

local function incarnation(record)
  return sub(record, 5, 20)
end

local function numbers(record) -- start, attempts, lease_ms, retention_ms, epoch
  return unpack_at('>I3I3I6I6I5', record, 21)
end

local function ignores(record)
  return sub(record, 2, 2) == 'i'
end

local function has_arguments(record)
  return sub(record, 4, 4) == 'a'
end

local function body(record) -- the packed ids of the arguments, and the message
  if not has_arguments(record) then return '', sub(record, 44) end
  local list, message_at = unpack_at('>I4c0', record, 44)
  return list, sub(record, message_at)
end

local function find(id, wanted) -- the record, nil if it is absent or another incarnation [TOK-1] [TOK-2]
  local record = call('HGET', keys.waiting, id) or call('HGET', keys.claimed, id)
  if record and (wanted == '' or incarnation(record) == wanted) then return record end
end

local function ids_of(list) -- an array of the ids that are packed in `list`
  local ids, at = {}, 1
  while at <= #list do
    ids[#ids + 1], at = unpack_at('>I4c0', list, at)
  end
  return ids
end

local function keep(by) -- count the claimed records that would not expire by themselves
  kept = kept + by
  call('HINCRBY', META, 'kept', by)
end

local function complete(id, record, kind, source, message, retention, at)
  call('HSET', keys.claimed, id, 'C' .. sub(record, 2, 3) .. '-' .. sub(record, 5, 43)
    .. kind .. pack('>I4', #source) .. source .. message)
  if retention == FOREVER then keep(1) else call('ZADD', keys.retained, at + retention, id) end
end

-- Telling who waits

local function nudge(session)
  local key = keys['wait:on:' .. session]
  call('RPUSH', key, '1')
  call('PEXPIRE', key, 2 * BLOCK_MAX_MS)
end

local function tell(id) -- those who wait for its outcome look again [ENV-WAIT-5]
  local key = META .. ':wait:for:' .. id
  local sessions = call('ZRANGE', key, 0, -1)
  if #sessions == 0 then return end
  for _, session in ipairs(sessions) do nudge(session) end
  call('DEL', key)
end

local function wake_claim() -- one of those who wait for a task looks again [ENV-WAIT-6]
  if call('LLEN', keys.wake) == 0 then call('RPUSH', keys.wake, '1') end
end

local function enqueue(id)
  call('RPUSH', keys.ready, id)
  wake_claim()
end

-- The FIFO keeps the entries of tasks that ended unclaimed: `stale` counts them, by id, and a later entry of the
-- same id is behind them. Each such end sifts four entries from `ready` to `front`, which is in front of it, so
-- that stale ones do not pile up.

local SIFTED_MAX = 4

local function count_stale(by)
  stale = (stale or 0) + by
  call('HSET', META, 'stale', decimal(stale))
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
    if not is_stale(first) then call('RPUSH', keys.front, first) end
  end
end

-- Take a record out of the tables; the answer is the list of arguments whose rows are to be dropped. [OUT-7]
local function withdraw(id, record)
  local state, inc, start, attempts = sub(record, 1, 1), incarnation(record), numbers(record)
  changed = changed + 1
  if state == 'P' or state == 'E' then
    call('HDEL', keys.waiting, id)
    if state == 'E' then leave_fifo(id) end
    if not has_arguments(record) then return '' end
    call('HDEL', keys.args, inc)
    return start == 0 and body(record) or ''
  end
  call('HDEL', keys.claimed, id)
  if state == 'C' then
    if call('ZREM', keys.retained, id) == 0 then keep(-1) end
    return ''
  end
  call('ZREM', keys.leases, id)
  if start < attempts then keep(-1) end
  if has_arguments(record) then call('HDEL', keys.taken, id) end
  return ''
end

-- The dependent (id, incarnation) that has reserved this incarnation, nil if none. A reservation stands only while
-- the dependent misses the argument, so it ends with the dependent and needs no clearing. [OUT-7] [PRG-1]
local function dependent_of(id, inc)
  local reserved = call('HGET', keys.reserved, id)
  if not reserved then return end
  local dependent_inc = sub(reserved, 1, 16)
  local rows = call('HMGET', keys.args, dependent_inc, dependent_inc .. id)
  if rows[1] and rows[2] and sub(rows[2], 1, 1) == 'R' and sub(rows[2], 3, 18) == inc then
    return sub(reserved, 17), dependent_inc
  end
end

-- Physical TTLs and the end of a queue

local function persist()
  if not ttl then return end
  for _, name in ipairs({ 'claimed', 'leases', 'retained', 'taken' }) do call('PERSIST', keys[name]) end
  call('PERSIST', META)
  call('HDEL', META, 'ttl')
end

local function last_deadline(name)
  return tonumber(call('ZREVRANGE', keys[name], 0, 0, 'WITHSCORES')[2] or 0)
end

local function let_expire() -- every record would expire by itself: so may the keys [ENV-REDIS-5]
  local last = math.max(last_deadline('leases'), last_deadline('retained'))
  local at = real_ms() + last - now + TTL_MARGIN_MS
  if not ttl then call('HSET', META, 'ttl', '1') end
  for _, name in ipairs({ 'claimed', 'leases', 'retained', 'taken' }) do call('PEXPIREAT', keys[name], at) end
  call('PEXPIREAT', META, at)
end

local function seal() -- after a change
  if work or call('HLEN', keys.waiting) > 0 then return persist() end
  if stale then call('HDEL', META, 'stale') end
  call('UNLINK', keys.ready, keys.front, keys.stale, keys.wake, keys.args, keys.reserved)
  if call('HLEN', keys.claimed) == 0 then
    call('UNLINK', META, keys.claimed, keys.leases, keys.retained, keys.taken)
  elseif kept > 0 then
    persist()
  else
    let_expire()
  end
end

local function answer(text) -- and keep it as the session's receipt, for when it is asked again [ENV-RETRY-1]
  if changed > 0 then seal() end
  local reply = (work and '+' or '.') .. text
  if tonumber(NUMBER) > 0 then call('SET', SESSION, NUMBER .. reply, 'PX', RECEIPT_MS) end
  return reply
end
