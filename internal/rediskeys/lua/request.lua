-- Asks the living owners of leases to hand them over.
-- ARGV 4 session, 5 ms for which the wish stands, from 6 lease names
-- reply OK status… with one for each name: OK EXPIRED GONE HELD | NONE | LOST |
--      RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local session, up, news = ARGV[4], alive(ARGV[4]), false

local function ask(lease)
  if not up then return 'EXPIRED' end
  local o = owner(lease)
  if not o then return 'GONE' end
  local holder = session_of(o[1])
  if holder == session or not alive(holder) then return 'OK' end -- to be acquired
  if wanted(o) and o[3] ~= session then return 'HELD' end
  o[3], o[4] = session, num(group.now + tonumber(ARGV[5]))
  put(O, lease, o)
  touch(lease)
  news = true
  return 'OK'
end

local out = { 'OK' }
for k = 6, #ARGV do out[#out + 1] = ask(ARGV[k]) end
if news then announce() end
return out
