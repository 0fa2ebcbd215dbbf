-- Packed ids: each behind its length (4 bytes), in order.

local function ids_of(list)
  local ids, at = {}, 1
  while at <= #list do
    ids[#ids + 1], at = unpack_at('>I4c0', list, at)
  end
  return ids
end
