-- Who takes the outcome of a task. A reservation stands only while the dependent misses the argument, so it ends with
-- the dependent; what is left of it is cleared when it is met. [OUT-7] [PRG-1]

local function dependent_of(id, inc) -- its id and incarnation; nil if this incarnation is not reserved
  local reserved = call('HGET', keys.reserved, id)
  if not reserved then return end
  local dependent_inc = sub(reserved, 1, 16)
  local rows = call('HMGET', keys.args, dependent_inc, dependent_inc .. id)
  if rows[1] and rows[2] and sub(rows[2], 1, 1) == 'R' and sub(rows[2], 3, 18) == inc then
    return sub(reserved, 17), dependent_inc
  end
  call('HDEL', keys.reserved, id)
end
