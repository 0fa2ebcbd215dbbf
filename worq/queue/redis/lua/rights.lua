-- Try commands, and change nothing: which of them is this user refused? [ENV-REDIS-13]
--
-- KEYS[1]  a key that there is not; if it is made, it goes before the script ends, or a second later
-- ARGV     commands, their words parted by blanks
-- Reply    for each that was refused, whatever for: its name, the error

local makes = {LPUSH = true, RPUSH = true, SADD = true}
local undone = false  -- what those make would go: it is of the wrong type, or can be taken away
local refused = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do words[#words + 1] = word end
  local name = words[1]
  if undone or not makes[name] then
    local reply = redis.pcall(unpack(words))
    if type(reply) == 'table' and reply.err then
      refused[#refused + 1] = name
      refused[#refused + 1] = reply.err
    elseif name == 'SET' or name == 'UNLINK' or name == 'DEL' then
      undone = true
    end
  end
end
redis.pcall('UNLINK', KEYS[1])
redis.pcall('DEL', KEYS[1])
return refused
