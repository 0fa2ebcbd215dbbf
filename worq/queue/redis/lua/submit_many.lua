-- Accept many tasks, one after another, as many as one script may. [ENV-BULK-1]
--
-- ARGV[4..]  of each: id, record, packed ids, what they must be, outcome; as in submit.lua, empty for none
-- Reply      of each that was done, in order: the length of its answer (4 bytes), its answer as in submit.lua
--
-- include: opening prelude begin records ready bulk

local function submit(answer, id, record, list, wanted, outcome)
  -- include: submitting
end

-- Those that come first, with neither arguments nor an outcome, and whose ids are free: the same in a few commands for all.
-- The answer is where the others begin.
local function submit_plain()
  local ids, last = {}, 4 + 5 * (RECORDS_MAX - queue.changed)
  for at = 4, math.min(#ARGV, last) - 1, 5 do
    if ARGV[at + 2] ~= '' or ARGV[at + 4] ~= '' then break end
    ids[#ids + 1] = ARGV[at]
  end
  if #ids == 0 then return 4 end

  local waiting, claimed = call('HMGET', keys.waiting, unpack(ids)), call('HMGET', keys.claimed, unpack(ids))
  local taken, records, entries = {}, {}, {}
  for n, id in ipairs(ids) do
    if waiting[n] or claimed[n] or taken[id] then break end
    taken[id] = true
    local record = of_epoch(ARGV[5 * n])
    records[2 * n - 1], records[2 * n] = id, record
    entries[n] = incarnation(record) .. id
    add('A')
  end
  if #entries == 0 then return 4 end
  queue.changed = queue.changed + #entries
  if not queue.format then
    call('HSET', META, 'format', FORMAT)
    queue.format = FORMAT
  end
  call('HSET', keys.waiting, unpack(records))
  call('RPUSH', keys.ready, unpack(entries))
  wake_claim()
  return 4 + 5 * #entries
end

for at = submit_plain(), #ARGV, 5 do
  if not goes_on() then break end
  add(submit(text_of, unpack(ARGV, at, at + 4)))
end
return answer(table.concat(answers))
