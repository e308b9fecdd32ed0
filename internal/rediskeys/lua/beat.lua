-- Renews a session and returns what changed since its last view.
-- ARGV 4 incarnation of state that this call makes, 5 session, 6 worker name,
--      7 number of the beat, 8 that of the last one that was answered, 9 its stamp,
--      10 '1' takes the name, 11 seen, 12 info, 13 load, 14 ttl ms of a new group,
--      15 rows at most
-- reply OK inc now ttl through more paused rows late lost sync head stamp | LOST inc |
--      RESET inc | GONE | STALE | SUPERSEDED | REGRESSED k | RESYNC | VERSION v
local LAPSED_A_BEAT = 20   -- long lapsed sessions that one beat removes
local TRIMMED_A_BEAT = 100 -- removals of long ago that one beat forgets
local made, session, name, count = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local good, stamp, first, seen = tonumber(ARGV[8]), ARGV[9], ARGV[10] == '1', ARGV[11]
local info, load, ttl, limit = ARGV[12], ARGV[13], ARGV[14], tonumber(ARGV[15])

-- begin makes the group anew. After a loss it takes seeds for a lease time. What
-- was paused by hand stays so.
local function begin(lost, void)
  local paused = redis.call('EXISTS', M) == 1 and redis.call('HGET', M, 'paused')
  redis.call('UNLINK', unpack(KEYS))
  if paused then redis.call('HSET', M, 'paused', paused) end
  if lost then redis.call('HSET', M, 'lost', '1', 'sync', ttl, 'void', void) end
  redis.call('HSET', M, '~', '1', 'v', num(VERSION), 'inc', made, 'seq', '0', 'vt', '0', 'last', num(millis), 'ttl', ttl)
  redis.call('ZADD', S, '+inf', '~')
  redis.call('ZADD', G, '-inf', '~')
  for _, key in ipairs({ I, O, C, D, W }) do redis.call('HSET', key, '~', '1') end
end

local have = redis.call('EXISTS', unpack(KEYS))
if have < #KEYS then
  -- A group without any key is new, unless the caller has joined it. What is
  -- left of lost state is dropped: handled again is better than skipped.
  local lost = have > 0 or ARGV[3] ~= ''
  begin(lost, '')
  if lost then return { 'LOST', made } end
end
local refused = read()
if refused and refused[1] == 'RESET' and group.now < group.ttl and lost() == '0' then
  -- The group looked new to whoever came first, but it was lost: what they made
  -- began in the wrong place. They join again, and their rows are no seeds.
  begin(true, group.inc)
  return { 'LOST', made }
end
if refused then return refused end

-- Session time passes with refused beats too: else one that died under this name
-- would never lapse if nobody else beats.
redis.call('HSET', M, 'vt', num(group.now), 'last', num(millis))
local m = member(session)
local other = redis.call('HGET', I, 'n:' .. name) or ''
local rival = other ~= session and alive(other)
if m and m.k == 'bye' then return { 'GONE' } end
-- Each beat that is sent has a number of its own. One that comes late, or twice,
-- tells of a worker as it was, and nobody waits for its answer.
local k = m and whole(m.k) or 0
if m and count <= k then return { 'STALE' } end
if rival and not first then return { 'SUPERSEDED' } end
-- What the worker knows rests on the last beat that was answered: that one, with the
-- stamp that it was told, or a later one that was held to the same, has to be here.
if k < good or k == good and m and m.stamp ~= stamp then return { 'REGRESSED', num(k) } end
local base = m and whole(m.base) or 0
if seen == '0' then
  base = group.floor -- a view that begins now has nothing that was removed
elseif whole(seen) < group.floor and base < group.floor then
  return { 'RESYNC' }
end

local news = false
if rival then -- a new start under the name: the old session lapses at once
  redis.call('ZADD', S, num(group.now), other)
  touch('@' .. other)
  news = true
end
if other ~= session then redis.call('HSET', I, 'n:' .. name, session) end
redis.call('ZADD', S, num(group.now + group.ttl), session)
if not m or m.info ~= info then
  touch('@' .. session)
  news = true
end
local stamped = num(micros)
keep(session, { k = num(count), stamp = stamped, n = m and m.n or '0', base = num(base), load = load, info = info })

local lapsed = redis.call('ZRANGEBYSCORE', S, '-inf', num(group.now - 2 * group.ttl), 'LIMIT', 0, LAPSED_A_BEAT)
for _, id in ipairs(lapsed) do
  local gone = member(id)
  if gone and gone.k ~= 'bye' then
    local ok, was = pcall(cjson.decode, gone.info)
    if ok and was.name and redis.call('HGET', I, 'n:' .. was.name) == id then redis.call('HDEL', I, 'n:' .. was.name) end
  end
  redis.call('ZREM', S, id)
  redis.call('HDEL', I, id)
  bury('@' .. id)
end

if news then announce() end
local rows, through, more, head = changes(seen, limit, false)

-- Removals that every living worker has been told of. One that has not, because
-- its view comes in pages, begins it again.
local old = num(REMOVED + group.now - 2 * group.ttl)
local floor = group.floor
for _, tomb in ipairs(redis.call('ZRANGEBYSCORE', G, num(REMOVED), old, 'LIMIT', 0, TRIMMED_A_BEAT)) do
  local subject = string.sub(tomb, 2)
  redis.call('ZREM', G, tomb)
  if not redis.call('HGET', O, subject) and not redis.call('HGET', I, string.sub(subject, 2)) then
    floor = math.max(floor, tonumber(redis.call('ZSCORE', G, subject) or '0'))
    redis.call('ZREM', G, subject)
  end
end
if floor > group.floor then redis.call('HSET', M, 'floor', num(floor)) end
return { 'OK', group.inc, num(group.now), num(group.ttl), through, more and '1' or '0', group.paused and '1' or '0', rows, near(), lost(), group.syncing and group.sync or '0', head, stamped }
