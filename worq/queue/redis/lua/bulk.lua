-- Several operations in one script, one after another: each is the text of its own script in a function, where `answer`
-- gives the answer and does no more. [ENV-BULK-1]

local BYTES_MAX = 1048576 -- of answers in one reply; the last one may be longer

local answers, answered_bytes = {}, 0

local function text_of(text)
  return text
end

local function goes_on() -- may this script do one more? Not where one has left a work list, which it does at that bound. [ENV-REDIS-4]
  return queue.changed < RECORDS_MAX and answered_bytes < BYTES_MAX
end

local function add(text) -- behind its length
  answers[#answers + 1] = pack('>I4', #text) .. text
  answered_bytes = answered_bytes + #text
end
