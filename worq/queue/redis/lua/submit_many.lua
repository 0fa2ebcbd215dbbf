-- Accept many tasks, one after another, as many as one script may. [ENV-BULK-1]
--
-- ARGV[4..]  of each: id, record, packed ids, what they must be, outcome; as in submit.lua, empty for none
-- Reply      of each that was done, in order: the length of its answer (4 bytes), its answer as in submit.lua
--
-- include: prelude begin records ready bulk

local function submit(answer, id, record, list, wanted, outcome)
  -- include: submitting
end

for at = 4, #ARGV, 5 do
  if not goes_on() then break end
  add(submit(text_of, unpack(ARGV, at, at + 4)))
end
return answer(table.concat(answers))
