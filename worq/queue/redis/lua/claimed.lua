-- Finding the claim that a token names. [TOK-1] [TOK-2]

local function claimed(id, token, record) -- its record, nil if it is no more; `record`: what is under that id, if it was read
  if record == nil then record = call('HGET', keys.claimed, id) end
  if record and sub(record, 1, 1) == 'W' and (token == '' or sub(record, 5, 23) == token) then return record end
end
