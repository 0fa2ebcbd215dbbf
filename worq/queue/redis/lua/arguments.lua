-- The arguments of a task: rows in `args` while it waits, one blob of all once it was started. docs/redis.md

local function gather(inc, list) -- the blob: of each argument its id and its row, each behind its length
  local parts, ids = {}, ids_of(list)
  for from = 1, #ids, 1000 do
    local fields = {}
    for n = from, math.min(from + 999, #ids) do fields[#fields + 1] = inc .. ids[n] end
    for n, row in ipairs(call('HMGET', keys.args, unpack(fields))) do
      local id = ids[from + n - 1]
      parts[#parts + 1] = pack('>I4', #id) .. id .. pack('>I4', #row) .. row
    end
  end
  return table.concat(parts)
end

local function has_rows(record) -- else its arguments are a blob
  local start = numbers(record)
  return start == 0
end

local function blob_of(id, record)
  if not has_arguments(record) then return '' end
  if has_rows(record) then return gather(incarnation(record), (body(record))) end
  if sub(record, 1, 1) == 'E' then return call('HGET', keys.args, incarnation(record)) end
  return call('HGET', keys.taken, id)
end

local function row_of(id, record, argument) -- nil if the task has no such argument
  if not has_arguments(record) then return end
  if has_rows(record) then return call('HGET', keys.args, incarnation(record) .. argument) or nil end
  local blob, at = blob_of(id, record), 1
  while at <= #blob do
    local name, row
    name, at = unpack_at('>I4c0', blob, at)
    row, at = unpack_at('>I4c0', blob, at)
    if name == argument then return row end
  end
end
