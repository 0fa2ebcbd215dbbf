-- One look for an outcome. [POP-1] to [POP-5]

local function look(id, wanted) -- the answer; and the incarnation that is waited for, if there is none yet
  local record = find(id, wanted)
  if not record or ignores(record) then return 'X' end
  if sub(record, 1, 1) == 'C' then
    consume(id)
    tell(id)
    return 'O' .. sub(record, 44)
  end
  local inc = incarnation(record)
  if dependent_of(id, inc) then return 'R' end
  return 'N', inc
end
