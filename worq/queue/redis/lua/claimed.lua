-- Finding the claim that a token names. [TOK-1] [TOK-2]

local function claimed(id, token) -- its record, nil if it is no more
  local record = call('HGET', keys.claimed, id)
  if record and sub(record, 1, 1) == 'W' and (token == '' or sub(record, 5, 23) == token) then return record end
end
