-- End many claims, one after another, as many as one script may; and then claim. [ENV-BULK-1] [ENV-BULK-3]
--
-- ARGV[4]    how many claims at most
-- ARGV[5..]  of each: id, token, kind, message, retention; as in finish.lua
-- Reply      1 if all of this was done, 0 if the rest is to be asked for again; how many claims were ended (4 bytes);
--            the length of its answer (4), its answer as in finish.lua, of each of them in order; then the claims
--            as in claim.lua
--
-- include: opening lane lane_finish_many lane_done prelude lane_end begin records ready claimed tell kept dependent bulk

local limit, ended, whole = tonumber(ARGV[4]), 0, true

local function finish(answer, id, token, kind, message, retention)
  -- include: finishing
end

local function claim() -- was one made, or found that there is none?
  -- include: claiming
  return claims > 0 or not stopped
end

local begin = 5
if #ARGV > 9 then
  -- include: finishing_plain
end

for at = begin, #ARGV, 5 do
  whole = goes_on()
  if not whole then break end
  local id, token, kind, message, retention = unpack(ARGV, at, at + 4)
  add(finish(text_of, id, token, kind, message, tonumber(retention)))
  ended = ended + 1
end
if whole and limit > 0 then whole = goes_on() and claim() end
return answer((whole and '1' or '0') .. pack('>I4', ended) .. table.concat(answers))
