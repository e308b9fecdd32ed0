-- Ends a shard that is gone from its stream, without its token.
-- ARGV 4 lease, 5 its d if it has no row, from 6 three for each child: name, d, c
-- reply OK | SYNCING | NOTREADY | HELD | NOTFOUND | NONE | LOST | RESET inc |
--      VERSION v
local refused = enter()
if refused then return refused end
local lease = ARGV[4]
if group.syncing then return { 'SYNCING' } end
if not redis.call('HGET', M, 'ready:' .. stream_of(lease)) then return { 'NOTREADY' } end
local o, c, d = owner(lease), handled(lease), shard(lease)
if not o or not c or not d then
  -- A name that is waited for, and has no row.
  if redis.call('HGET', D, lease) or not awaited()[lease] then return { 'NOTFOUND' } end
  o, c, d = fields('|0||0||'), fields(START), dated(lease, ARGV[5])
end
if c[1] == '2' then return { 'OK' } end
if alive(session_of(o[1])) then return { 'HELD' } end
o[1] = '' -- who lapsed is fenced
finish(lease, o, c, d, 6)
return { 'OK' }
