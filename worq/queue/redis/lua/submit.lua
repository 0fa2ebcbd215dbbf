-- Accept a task and reserve its arguments. [SUB-1] to [SUB-8]
--
-- ARGV[4]  id
-- ARGV[5]  record, with state E and epoch 0
-- ARGV[6]  packed ids of the arguments, in order; absent if there are none and no outcome
-- ARGV[7]  for each of them 17 bytes: '=' and the incarnation it must have, or '*' and 16 bytes of no meaning
-- ARGV[8]  outcome: kind, length of source (4 bytes), source, message; empty for none
-- Reply    A accepted | D duplicate | U and the id of the argument that is unavailable
--          E, ended with the outcome that it was given | E and the outcome of an argument, as above
--
-- include: opening lane lane_submit lane_done prelude begin records ready

local id, record, list, wanted, outcome = ARGV[4], ARGV[5], ARGV[6] or '', ARGV[7] or '', ARGV[8] or ''
-- include: submitting
