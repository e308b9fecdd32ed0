-- Ends a session. What it still holds can be taken at once, and its later beats
-- are refused until the session is forgotten.
-- ARGV 4 session
-- reply OK | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local session = ARGV[4]
local m = member(session)
if not m or m.k == 'bye' then return { 'OK' } end
local ok, was = pcall(cjson.decode, m.info)
if ok and was.name and redis.call('HGET', I, 'n:' .. was.name) == session then redis.call('HDEL', I, 'n:' .. was.name) end
m.k = 'bye'
keep(session, m)
redis.call('ZADD', S, num(group.now), session)
touch('@' .. session)
announce()
return { 'OK' }
