-- Reads the table page by page; it writes nothing.
-- ARGV 4 the change after which to begin, 5 rows at most, 6 the floor when the
--      first page was read, '' for the first
-- reply OK inc now ttl through more paused rows late lost sync head floor | RESYNC | NONE |
--      LOST paused | RESET inc | VERSION v
local refused = enter()
if refused and refused[1] == 'LOST' then refused[2] = redis.call('HGET', M, 'paused') or '0' end
if refused then return refused end
if ARGV[6] ~= '' and math.max(tonumber(ARGV[4]), tonumber(ARGV[6])) < group.floor then return { 'RESYNC' } end
local rows, through, more, head = changes(ARGV[4], tonumber(ARGV[5]), true)
return { 'OK', group.inc, num(group.now), num(group.ttl), through, more and '1' or '0', group.paused and '1' or '0', rows, near(), lost(),
  group.syncing and group.sync or '0', head, num(group.floor) }
