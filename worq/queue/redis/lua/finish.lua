-- End a claim with an outcome. [FIN-1] to [FIN-4]
--
-- ARGV[4]  id
-- ARGV[5]  token: incarnation (16 bytes) and start (3); empty for whatever claim is there
-- ARGV[6]  kind: r or f
-- ARGV[7]  message
-- ARGV[8]  retention, ms; 2^48 - 1 for ever
-- Reply    N not accepted | A and the id of the dependent, if there is one
--
-- include: opening lane lane_finish lane_done prelude lane_end begin records claimed tell kept dependent

local id, token, kind, message, retention = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
-- include: finishing
