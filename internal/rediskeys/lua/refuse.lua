-- Withdraws a session's wish for a lease, by its owner.
-- ARGV 4 lease, 5 token, 6 session whose wish it is
-- reply OK | FENCED | NOTFOUND | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local o = owner(ARGV[4])
if not o then return { 'NOTFOUND' } end
if o[1] ~= ARGV[5] then return { 'FENCED' } end
if o[3] ~= '' and o[3] == ARGV[6] then
  o[3], o[4] = '', '0'
  put(O, ARGV[4], o)
  touch(ARGV[4])
  announce()
end
return { 'OK' }
