-- What all scripts share. One call of a script is one atomic step.
--
-- KEYS   m s i o c d g w of one group, in this order
-- ARGV   1 publish command, 2 channel, 3 incarnation ('' is not checked),
--        from 4 on the script's own
-- reply  status first. With one other than OK nothing was written, but for the
--        session time by a beat, and the new group by a beat that says LOST
--
-- m  hash: v inc seq vt last ttl paused set:<stream> ready:<stream>
--    gen:<stream> the generation of the stream's leases: when the first of them were
--    made, in ms, 0 when that is not known
--    lost 1 when this incarnation was made because the one before was lost,
--    sync the session time until which it takes seeds and grants nothing,
--    floor the change up to which removals are forgotten,
--    asof when who seeded paused heard of it, absent when it is by hand,
--    void an incarnation that was begun by workers that knew of no loss
-- s  zset: session -> deadline in session time
-- i  hash: session -> k|stamp|n|base|load|JSON, k is the number of the last beat and
--          stamp when that was executed, in µs; k is 'bye' after a goodbye; n is the
--          last token number, and base was the floor when the session's view began;
--          n:<name> -> session
-- o  hash: lease -> token|epoch|want|wantUntil|last|flags
-- c  hash: lease -> rank|seqno or start|subseq|counter|weight|weightAt|1 if w has
--          state that belongs to it, its own or left to it
-- d  hash: lease -> JSON of the shard
-- g  zset: lease or @session -> seq of its last change;
--          !lease or !@session -> when it was removed: a score below 0
-- w  hash: lease -> state saved with the position;
--          child<parent -> state that a child is left by a shard that ended
--
-- Each has a member ~, so that none is ever empty and a lost one is seen.
-- Fields after the known ones belong to newer versions and are kept.
local M, S, I, O, C, D, G, W = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local VERSION = 1
local RESERVED = 1000      -- ms that a released lease waits for who asked for it
local REMOVED = -2 ^ 52     -- the score of what was removed at session time 0
local WEIGHT_QUIET = 60000 -- ms between two logged weights of a lease

-- num writes a whole number; tostring would print 1.76e+15.
local function num(x) return string.format('%.0f', x) end

local clock = redis.call('TIME')
local micros = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local millis = math.floor(micros / 1000)

local function fields(v)
  local out = {}
  for f in string.gmatch(v .. '|', '([^|]*)|') do out[#out + 1] = f end
  return out
end

-- group is what enter reads of m: inc, ttl, paused, sync, syncing, floor, and now, the
-- session time.
-- Session time follows the clock, but never by more than half a lease time
-- since the last beat: an outage, or a jump of the clock, lapses nobody.
local group = {}

local function read()
  local m = redis.call('HMGET', M, 'v', 'inc', 'vt', 'last', 'ttl', 'paused', 'sync', 'floor')
  if not tonumber(m[1]) or tonumber(m[1]) > VERSION then return { 'VERSION', m[1] or '' } end
  group.inc, group.ttl, group.paused = m[2], tonumber(m[5]), m[6] == '1'
  local passed = math.min(math.max(millis - tonumber(m[4]), 0), math.floor(group.ttl / 2))
  group.now = tonumber(m[3]) + passed
  group.sync, group.floor = m[7] or '0', tonumber(m[8] or '0')
  group.syncing = group.now < tonumber(group.sync)
  if ARGV[3] ~= '' and ARGV[3] ~= group.inc then return { 'RESET', group.inc } end
  return nil
end

-- enter returns the reply of a call that is refused, else nil.
local function enter()
  local have = redis.call('EXISTS', unpack(KEYS))
  if have == 0 and ARGV[3] == '' then return { 'NONE' } end
  if have < #KEYS then return { 'LOST' } end
  return read()
end

local function touch(subject)
  redis.call('ZADD', G, num(redis.call('HINCRBY', M, 'seq', 1)), subject)
end

-- bury logs that a lease or @session was removed. The log keeps that for two lease
-- times; see trim.
local function bury(subject)
  touch(subject)
  redis.call('ZADD', G, num(REMOVED + group.now), '!' .. subject)
end

local function announce() redis.call(ARGV[1], ARGV[2], redis.call('HGET', M, 'seq')) end

local function stream_of(lease) return string.match(lease, '^[^/]*') end

local function session_of(token) return string.match(token, '^[^#]*') end

local function alive(session)
  if session == '' then return false end
  local deadline = redis.call('ZSCORE', S, session)
  return deadline and tonumber(deadline) > group.now
end

-- whole reads a whole number, 0 when there is none.
local function whole(v)
  return v and string.match(v, '^%d+$') and tonumber(v) or 0
end

-- row reads the o or c value of a lease: its fields, those at digits being whole
-- numbers. It is nil when there is none or it cannot be read, so that a damaged
-- row fails nothing else in its call.
local function row(key, lease, digits)
  local v = redis.call('HGET', key, lease)
  if not v then return nil end
  local f = fields(v)
  if #f < 6 then return nil end
  for _, k in ipairs(digits) do
    if not string.match(f[k], '^%d+$') then return nil end
  end
  if key == C then f[7] = f[7] or '0' end
  return f
end

-- owner reads the o value of a lease, and handled its c value.
local function owner(lease) return row(O, lease, { 2, 4 }) end

local function handled(lease)
  local c = row(C, lease, { 3, 4, 5, 6 })
  if not c then return nil end
  if c[1] == '2' or c[1] == '1' and string.match(c[2], '^%d+$') or c[1] == '0' and string.match(c[2], '^-?%d+$') then
    return c
  end
  return nil
end

local function put(key, lease, f) redis.call('HSET', key, lease, table.concat(f, '|')) end

-- Flags are listed in the o value, with commas between them: paused, by hand, or
-- stopped:<version>, by the handler of that version.
local function flagged(o, flag) return string.find(',' .. o[6] .. ',', ',' .. flag .. ',', 1, true) ~= nil end

-- wanted tells whether a living session's wish for a lease stands.
local function wanted(o) return o[3] ~= '' and tonumber(o[4]) > group.now and alive(o[3]) end

-- release frees a lease; one that was asked for waits for its thief.
local function release(lease, o)
  if wanted(o) then
    o[4] = num(group.now + RESERVED)
  else
    o[3], o[4] = '', '0'
  end
  o[1], o[5] = '', o[1]
  put(O, lease, o)
  touch(lease)
end

-- number compares two decimal numbers of any length.
local function number(a, b)
  if a == b then return 0 end
  if #a ~= #b then return #a < #b and -1 or 1 end
  return a < b and -1 or 1
end

-- position compares rank, sequence number and sub-sequence number; all starts
-- are equal, and all ends.
local function position(a, b)
  if a[1] ~= b[1] then return number(a[1], b[1]) end
  if a[1] ~= '1' then return 0 end
  local n = number(a[2], b[2])
  if n ~= 0 then return n end
  return number(a[3], b[3])
end

-- member reads a session's i value: k, stamp, n, base, load, info.
local function member(session)
  local v = redis.call('HGET', I, session)
  if not v then return nil end
  local k, stamp, n, base, load, info = string.match(v, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
  if not k then return nil end
  return { k = k, stamp = stamp, n = n, base = base, load = load, info = info }
end

local function keep(session, m)
  redis.call('HSET', I, session, table.concat({ m.k, m.stamp, m.n, m.base, m.load, m.info }, '|'))
end

-- shard reads the d value of a lease, nil when there is none that can be read.
local function shard(lease)
  local v = redis.call('HGET', D, lease)
  if not v then return nil end
  local ok, d = pcall(cjson.decode, v)
  if not ok or type(d) ~= 'table' then return nil end
  for _, list in ipairs({ 'parents', 'children', 'inherits' }) do
    if d[list] ~= nil and type(d[list]) ~= 'table' then return nil end
    for _, name in ipairs(d[list] or {}) do
      if type(name) ~= 'string' then return nil end
    end
  end
  return d
end

-- describe writes the d value of a lease. A table without anything could be
-- written as a list.
local function describe(lease, d) redis.call('HSET', D, lease, next(d) and cjson.encode(d) or '{}') end

-- left is the name in w of what a lease was left by another, and heirlooms the
-- names of all that it was left; its shard says by whom.
local function left(lease, by) return lease .. '<' .. by end

local function heirlooms(lease, d)
  local out = {}
  for _, by in ipairs(d.inherits or {}) do out[#out + 1] = left(lease, by) end
  return out
end

-- absorbed forgets what a lease was left, which is in its own state now.
local function absorbed(lease)
  local v = redis.call('HGET', D, lease)
  if not v or not string.find(v, '"inherits"', 1, true) then return end
  local d = shard(lease)
  if not d or not d.inherits then return end
  redis.call('HDEL', W, unpack(heirlooms(lease, d)))
  d.inherits = nil
  describe(lease, d)
end

-- dated decodes the d value of a new row, which is of the generation of its stream's
-- leases.
local function dated(lease, d)
  local made, gen = cjson.decode(d), tonumber(redis.call('HGET', M, 'gen:' .. stream_of(lease)) or '0')
  if gen > 0 then made.gen = gen end
  return made
end

local function insert(lease, d, c)
  if redis.call('HGET', D, lease) then return end
  describe(lease, dated(lease, d))
  redis.call('HSET', C, lease, c)
  redis.call('HSET', O, lease, '|0||0||')
  touch(lease)
end

-- bequeath leaves a child the state of a lease that ended, or what that was left
-- and never saved. A child that was acquired has a state of its own.
local function bequeath(lease, d, child)
  local o, cd = owner(child), shard(child)
  if not o or not cd or o[2] ~= '0' then return end
  local from = { [lease] = redis.call('HGET', W, lease) or nil }
  for _, by in ipairs(d.inherits or {}) do from[by] = redis.call('HGET', W, left(lease, by)) or nil end
  local inherits, known = cd.inherits or {}, {}
  for _, by in ipairs(inherits) do known[by] = true end
  for by, state in pairs(from) do
    redis.call('HSET', W, left(child, by), state)
    if not known[by] then inherits[#inherits + 1] = by end
  end
  if #inherits == 0 then return end
  cd.inherits = inherits
  describe(child, cd)
  local c = handled(child)
  if c and c[7] ~= '1' then
    c[7] = '1'
    put(C, child, c)
    touch(child)
  end
end

-- finish ends a shard: its position becomes the end, its children, three values
-- of ARGV each, get rows where they have none, and the lease is freed.
local function finish(lease, o, c, d, from)
  local children = {}
  for k = from, #ARGV, 3 do
    children[#children + 1] = ARGV[k]
    insert(ARGV[k], ARGV[k + 1], ARGV[k + 2])
    bequeath(lease, d, ARGV[k])
  end
  redis.call('HDEL', W, lease, unpack(heirlooms(lease, d)))
  d.parents, d.inherits = nil, nil
  d.children = #children > 0 and children or nil
  describe(lease, d)
  c[1], c[2], c[3], c[7] = '2', '', '0', '0'
  put(C, lease, c)
  o[3], o[4] = '', '0'
  release(lease, o)
  announce()
end

local START, END = '0|0|0|0|0|0|0', '2||0|0|0|0|0'

-- over tells whether a shard was handled to its end, because one of its children
-- has started, or has ended. It says so of shards without a row, too.
local function over(children)
  for _, child in ipairs(children) do
    local o, c, d = owner(child), handled(child), shard(child)
    if o and c and d and (c[1] == '2' or not d.parents) then return true end
  end
  return false
end

-- fill makes the row of a listed shard that has none, at its end when that is
-- known. Children come before parents. It tells whether it made one.
local function fill(lease, d, c, children)
  if redis.call('HGET', D, lease) then return false end
  local ended = over(children)
  if ended then
    local made = cjson.decode(d)
    made.parents, made.children = nil, children
    d, c = cjson.encode(made), END
  end
  insert(lease, d, c)
  return true
end

-- remove drops the row of a lease.
local function remove(lease)
  redis.call('HDEL', W, lease, unpack(heirlooms(lease, shard(lease) or {})))
  for _, key in ipairs({ O, C, D }) do redis.call('HDEL', key, lease) end
  bury(lease)
end

-- awaited are the names of all leases that others wait for.
local function awaited()
  local out, all = {}, redis.call('HGETALL', D)
  for k = 1, #all, 2 do
    if string.find(all[k + 1], '"parents"', 1, true) then
      local d = shard(all[k])
      for _, parent in ipairs(d and d.parents or {}) do out[parent] = true end
    end
  end
  return out
end

-- names_of reads a list of names, in which no bar stands.
local function names_of(v) return v == '' and {} or fields(v) end

-- unused are those of names whose leases were never acquired, by their o.
local function unused(names, o)
  local out = {}
  for k, name in ipairs(names) do
    if o[k] and string.find(o[k], '^[^|]*|0|') then out[#out + 1] = name end
  end
  return out
end

-- changes lists up to limit rows above seen, in order: {name, seq, o, c, d} or
-- {@session, seq, load, info, deadline}, with '' for what is gone. It returns
-- the rows, the change up to which they are complete, whether there are more,
-- and the last change of all. Of leases that were acquired d is listed only if
-- shards says so.
local function changes(seen, limit, shards)
  local found = redis.call('ZRANGEBYSCORE', G, '(' .. seen, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
  local more = #found > 2 * limit
  local names, out = {}, {}
  for k = 1, math.min(#found, 2 * limit), 2 do names[#names + 1] = found[k] end
  local head = redis.call('HGET', M, 'seq')
  if #names == 0 then return out, head, false, head end
  local o, c = redis.call('HMGET', O, unpack(names)), redis.call('HMGET', C, unpack(names))
  local d = {}
  local asked = shards and names or unused(names, o)
  if #asked > 0 then
    for k, v in ipairs(redis.call('HMGET', D, unpack(asked))) do d[asked[k]] = v end
  end
  for k, name in ipairs(names) do
    local seq = found[2 * k]
    if string.sub(name, 1, 1) == '@' then
      local id = string.sub(name, 2)
      local m = member(id)
      if not m or m.k == 'bye' then
        out[k] = { name, seq, '', '', '' }
      else
        out[k] = { name, seq, m.load, m.info, redis.call('ZSCORE', S, id) or '0' }
      end
    else
      out[k] = { name, seq, o[k] or '', c[k] or '', d[name] or '' }
    end
  end
  if more then return out, found[2 * #names], true, head end
  return out, head, false, head
end

-- near lists the sessions whose deadline is near or past: {session, deadline, …}.
local function near()
  return redis.call('ZRANGEBYSCORE', S, '-inf', '(' .. num(group.now + math.floor(group.ttl / 2)), 'WITHSCORES')
end

-- lost tells whether this incarnation was made because the one before was lost.
local function lost() return redis.call('HGET', M, 'lost') or '0' end
