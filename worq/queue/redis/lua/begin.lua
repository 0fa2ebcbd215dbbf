-- How every operation begins: the format, the receipt, the work list that another one left, deadlines that have passed.

if queue.format and queue.format ~= FORMAT then return 'v' .. queue.format end -- [ENV-REDIS-7]

if NUMBER ~= '0000000000000000' then
  if last == NUMBER then return call('GETRANGE', SESSION, 16, -1) end -- [ENV-RETRY-1]
  if last ~= '' and tonumber(last) > tonumber(NUMBER) then return '<' end
end

-- include: cascade

if queue.format and (queue.work or call('ZCOUNT', keys.leases, '-inf', queue.now) > 0
  or call('ZCOUNT', keys.retained, '-inf', queue.now) > 0) and not cascade().settle() then
  seal()
  return '~'
end
