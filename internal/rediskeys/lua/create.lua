-- Makes the first leases of a stream, in chunks of one set. Nothing of them can
-- be acquired before the last chunk. After a loss it makes those that no seed
-- made, and only with it is the stream complete: nobody but a listing of the
-- stream knows that the seeds left out none.
-- ARGV 4 session, 5 stream, 6 set (session#…), 7 1 for the first chunk, 8 1 for
--      the last, from 9 four for each row, children before parents: name, d, c,
--      listed children
-- reply OK | EXPIRED | SYNCING | EXISTS | HELD | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local session, stream, set, first, last = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1', ARGV[8] == '1'
if not alive(session) then return { 'EXPIRED' } end
if group.syncing then return { 'SYNCING' } end
if redis.call('HGET', M, 'ready:' .. stream) then return { 'EXISTS' } end
local begun = redis.call('HGET', M, 'set:' .. stream)

if begun ~= set then
  if not first then return { 'HELD' } end -- another set took over
  if begun then
    local maker = session_of(begun)
    if maker ~= session and alive(maker) then return { 'HELD' } end
    -- The rows of a set that was given up. Seeds stay.
    local all = redis.call('HGETALL', D)
    for k = 1, #all, 2 do
      local name = all[k]
      if string.sub(name, 1, #stream + 1) == stream .. '/' and not string.find(all[k + 1], '"seeded"', 1, true) then
        remove(name)
      end
    end
  end
  redis.call('HSET', M, 'set:' .. stream, set)
  redis.call('HSETNX', M, 'gen:' .. stream, num(millis)) -- that of seeds stays
end
for k = 9, #ARGV, 4 do
  local name, children = ARGV[k], names_of(ARGV[k + 3])
  local o, c = owner(name), handled(name)
  if not fill(name, ARGV[k + 1], ARGV[k + 2], children) and o and c and c[1] ~= '2' and over(children) then
    -- A seed from before its end.
    c[1], c[2], c[3], c[7] = '2', '', '0', '0'
    put(C, name, c)
    local d = shard(name)
    redis.call('HDEL', W, name, unpack(heirlooms(name, d or {})))
    if d then
      d.parents, d.inherits, d.children = nil, nil, children
      describe(name, d)
    end
    touch(name)
  end
end
if last then
  redis.call('HSET', M, 'ready:' .. stream, '1')
  redis.call('HDEL', M, 'set:' .. stream)
  announce()
end
return { 'OK' }
