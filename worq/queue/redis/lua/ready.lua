-- A task is ready: it goes to the tail, and one who waits for a task is woken. [ENV-WAIT-6]

local function wake_claim() -- also when a marker was taken by one that died: so not only when the FIFO was empty
  if call('LLEN', keys.wake) == 0 then call('RPUSH', keys.wake, '1') end
end

local function enqueue(id, inc)
  call('RPUSH', keys.ready, inc .. id)
  wake_claim()
end
