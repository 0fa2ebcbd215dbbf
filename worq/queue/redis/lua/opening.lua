-- How every script begins: what it is given, the state of the queue, the clock, the last receipt.
-- Layouts of records, rows, steps and replies: docs/redis.md.
--
-- KEYS[1]  the queue's prefix, which is the key of its `meta` hash too; all other keys are derived from it [ENV-REDIS-2]
-- KEYS[2]  the session's receipt
-- ARGV[1]  now, ms; empty for the server's clock [ENV-REDIS-3]
-- ARGV[2]  the number of the operation in its session, 16 digits; all zero for one that changes nothing
-- ARGV[3]  how long the receipt is kept, ms
-- Reply    '.' answer | '+' answer, and a work list is left | '~' again | '<' older than the receipt | 'v' format

local META, SESSION, NUMBER = KEYS[1], KEYS[2], ARGV[2]
local FORMAT = '1'
local RECORDS_MAX = 900 -- in one script, with room for those of the operation itself [ENV-REDIS-4]
local BLOCK_MS_MAX = 5000
local FOREVER = 281474976710655 -- a retention that never passes

local call, sub, pack, unpack_at = redis.call, string.sub, struct.pack, struct.unpack

local meta = call('HMGET', META, 'format', 'epoch', 'kept', 'ttl', 'stale', 'work')

local time = call('TIME')
local server_now = time[1] * 1000 + math.floor(time[2] / 1000)
local now = tonumber(ARGV[1]) or server_now
local MARGIN_MS = ARGV[1] == '' and 60000 or 1800000 -- of physical TTLs; a clock that is set by hand may stand still for a while

local last = '' -- the number that the session's receipt has
if NUMBER ~= '0000000000000000' then last = call('GETRANGE', SESSION, 0, 15) end
