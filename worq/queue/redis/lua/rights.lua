-- Try commands, and change nothing: which of them is this user refused? [ENV-REDIS-13]
--
-- KEYS[1]  a key that there is not; if it is made, it goes before the script ends, or a second later
-- ARGV     commands, their words parted by blanks
-- Reply    for each that was refused, whatever for: its name, the error

local refused = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do words[#words + 1] = word end
  local reply = redis.pcall(unpack(words))
  if type(reply) == 'table' and reply.err then
    refused[#refused + 1] = words[1]
    refused[#refused + 1] = reply.err
  end
end
return refused
