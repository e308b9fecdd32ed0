-- Sets where a lease goes on from, by hand. Who holds it is fenced.
-- ARGV 4 lease, 5 rank, 6 seqno or start, 7 subseq, 8 epoch that the caller saw,
--      9 1 to do it though neither the group nor the lease is paused, 10 1 if the caller saw the shard
--      at its end
-- reply OK | SYNCING | UNPAUSED | CHANGED | NOTFOUND | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
if group.syncing then return { 'SYNCING' } end
local lease, epoch = ARGV[4], ARGV[8]
local o, c = owner(lease), handled(lease)
if not o or not c then return { 'NOTFOUND' } end
local mark = table.concat({ 'reset', epoch, ARGV[5], ARGV[6], ARGV[7] }, '#')
if o[5] == mark then return { 'OK' } end -- sent again
if ARGV[9] ~= '1' and not group.paused and not flagged(o, 'paused') then return { 'UNPAUSED' } end
if o[2] ~= epoch then return { 'CHANGED' } end
-- The end of a shard leaves the epoch as it is, and has begun what follows.
if c[1] == '2' and ARGV[10] ~= '1' then return { 'CHANGED' } end
-- A lease that was never acquired keeps its epoch, which tells that its parents
-- are still waited for.
if o[2] ~= '0' then o[2] = num(math.max(tonumber(o[2]) + 1, micros)) end
o[1], o[3], o[4], o[5] = '', '', '0', mark
put(O, lease, o)
c[1], c[2], c[3], c[4], c[7] = ARGV[5], ARGV[6], ARGV[7], '0', '0'
put(C, lease, c)
redis.call('HDEL', W, lease)
absorbed(lease)
touch(lease)
announce()
return { 'OK' }
