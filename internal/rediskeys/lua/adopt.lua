-- Makes rows of listed shards that have none.
-- ARGV 4 stream, from 5 four for each row, children before parents: name, d, c,
--      listed children
-- reply OK | SYNCING | NOTREADY | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
if group.syncing then return { 'SYNCING' } end
if not redis.call('HGET', M, 'ready:' .. ARGV[4]) then return { 'NOTREADY' } end
local news = false
for k = 5, #ARGV, 4 do
  if fill(ARGV[k], ARGV[k + 1], ARGV[k + 2], names_of(ARGV[k + 3])) then news = true end
end
if news then announce() end
return { 'OK' }
