-- Pauses the group by hand, or lets it go on. Nothing is acquired in a pause.
-- ARGV 4 1 to pause
-- reply OK | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
if group.paused ~= (ARGV[4] == '1') then announce() end
redis.call('HSET', M, 'paused', ARGV[4])
return { 'OK' }
