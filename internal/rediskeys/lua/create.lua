-- Makes the first leases of a stream, in chunks of one set. Nothing of them can
-- be acquired before the last chunk.
-- ARGV 4 session, 5 stream, 6 set (session#…), 7 1 for the first chunk, 8 1 for
--      the last, from 9 three for each row: name, d, c
-- reply OK | EXPIRED | EXISTS | HELD | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local session, stream, set, first, last = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1', ARGV[8] == '1'
if not alive(session) then return { 'EXPIRED' } end
if redis.call('HGET', M, 'ready:' .. stream) then return { 'EXISTS' } end
local begun = redis.call('HGET', M, 'set:' .. stream)

if begun ~= set then
  if not first then return { 'HELD' } end -- another set took over
  if begun then
    local maker = session_of(begun)
    if maker ~= session and alive(maker) then return { 'HELD' } end
    -- The rows of a set that was given up.
    local all = redis.call('HGETALL', D)
    for k = 1, #all, 2 do
      local name = all[k]
      if string.sub(name, 1, #stream + 1) == stream .. '/' then
        for _, key in ipairs({ O, C, D, W }) do redis.call('HDEL', key, name) end
        touch(name)
      end
    end
  end
  redis.call('HSET', M, 'set:' .. stream, set)
end
for k = 9, #ARGV, 3 do insert(ARGV[k], ARGV[k + 1], ARGV[k + 2]) end
if last then
  redis.call('HSET', M, 'ready:' .. stream, '1')
  redis.call('HDEL', M, 'set:' .. stream)
  announce()
end
return { 'OK' }
