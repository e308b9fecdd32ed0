-- Pauses the group by hand, or lets it go on. Nothing is acquired in a pause.
-- ARGV 4 1 to pause
-- reply OK | NONE | LOST | RESET inc | VERSION v
local refused = enter()
-- Where other keys were lost a pause is kept by the beat that makes them anew, and
-- who asks without having joined sets it for that one.
local kept = refused and refused[1] == 'LOST' and ARGV[3] == '' and redis.call('EXISTS', M) == 1
if kept then refused = read() end
if refused then return refused end
if kept then
  redis.call('HSET', M, 'paused', ARGV[4])
  redis.call('HDEL', M, 'asof')
  return { 'OK' }
end
if group.paused ~= (ARGV[4] == '1') then announce() end
redis.call('HSET', M, 'paused', ARGV[4])
redis.call('HDEL', M, 'asof')
return { 'OK' }
