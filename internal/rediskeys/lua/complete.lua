-- Ends a shard: its position becomes the end, its children get rows where they
-- have none, and the lease is freed.
-- ARGV 4 lease, 5 token, from 6 three for each child: name, d, c
-- reply OK | FENCED | NOTFOUND | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local lease, token = ARGV[4], ARGV[5]
local o, c, d = owner(lease), handled(lease), shard(lease)
if not o or not c or not d then return { 'NOTFOUND' } end
if o[1] ~= token then
  if o[5] == token and c[1] == '2' then return { 'OK' } end -- sent again
  return { 'FENCED' }
end
finish(lease, o, c, d, 6)
return { 'OK' }
