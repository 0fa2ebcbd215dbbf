-- The arguments of a task, those that are missing too. [GAR-1] to [GAR-3]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever is there
-- Reply    the blob of the arguments
--
-- include: opening prelude begin records lists arguments

local id, token = ARGV[4], ARGV[5]

local record = find(id, '')
if record and (token == '' or sub(record, 5, 23) == token) then
  return answer(sub(record, 1, 1) == 'C' and '' or blob_of(id, record))
end
if token == '' and not record then token = call('GET', META .. ':session:latest:' .. id) or '' end
local retired = token ~= '' and call('GET', META .. ':session:retired:' .. token .. id)
if retired and unpack_at('>I6', retired) > queue.now then return answer(sub(retired, 7)) end -- [GAR-3]
return answer('')
