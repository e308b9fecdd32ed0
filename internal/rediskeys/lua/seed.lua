-- Takes back what a worker remembers of the rows that were lost.
-- ARGV 4 incarnation that they are of, 5 1 if that was paused by hand, 6 as of when, in
--      µs, from 7 for each row: name, d, c, epoch, flags, 1 if there is a state, state, number of
--      inherited states, and two for each: by whom, state
-- reply OK | SEEDED | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
if not group.syncing or ARGV[4] == redis.call('HGET', M, 'void') then return { 'SEEDED' } end
local asof = ARGV[6]

-- Whether the group is paused says who heard of it last, unless somebody said it by
-- hand since, or it was not lost.
local heard = redis.call('HMGET', M, 'paused', 'asof')
local later = number(asof, heard[2] or '0')
if (heard[2] or not heard[1]) and (later > 0 or later == 0 and ARGV[5] == '1') then
  redis.call('HSET', M, 'paused', ARGV[5], 'asof', asof)
end

-- keeps writes the states of a row, for those that it had.
local function keeps(lease, old, d, r)
  redis.call('HDEL', W, lease, unpack(heirlooms(lease, old)))
  if r.state then redis.call('HSET', W, lease, r.state) end
  d.inherits = nil
  for k = 1, #r.inherited, 2 do
    d.inherits = d.inherits or {}
    d.inherits[#d.inherits + 1] = r.inherited[k]
    redis.call('HSET', W, left(lease, r.inherited[k]), r.inherited[k + 1])
  end
end

-- newer tells whether a seed replaces the position that another left. The end of
-- a shard does, as what follows it has begun. Else one of a later epoch does, which
-- somebody had after the other, or which a reset by hand made. Of one epoch one with its
-- state does: it would be wrong with the state of another position, or none. Of two
-- starts the earlier one does.
local function newer(lease, o, c, d, r)
  if c[1] == '2' or r.c[1] == '2' then return c[1] ~= '2' end
  local epoch = number(r.epoch, o[2])
  if epoch ~= 0 then return epoch > 0 end
  local have = redis.call('HGET', W, lease) or d.inherits
  local has = r.state or #r.inherited > 0
  if (not have) ~= (not has) then return has end
  local order = position(r.c, c)
  if order ~= 0 then return order > 0 end
  if c[1] == '0' and c[2] ~= r.c[2] then
    return c[2] ~= '0' and (r.c[2] == '0' or tonumber(r.c[2]) < tonumber(c[2]))
  end
  return number(r.c[4], c[4]) > 0
end

-- without lists flags but for one.
local function without(flags, flag)
  local out = {}
  for f in string.gmatch(flags, '[^,]+') do
    if f ~= flag then out[#out + 1] = f end
  end
  return table.concat(out, ',')
end

local function merge(lease, o, c, d, r)
  local was = table.concat(o, '|') .. table.concat(c, '|')
  local better = newer(lease, o, c, d, r)
  if number(r.epoch, o[2]) > 0 then o[2] = r.epoch end
  local later = number(asof, d.asof or '0')
  if later > 0 then
    if not r.paused then o[6] = without(o[6], 'paused') end
    d.asof = asof
  end
  for _, flag in ipairs(r.flags) do
    if not flagged(o, flag) and (later >= 0 or flag ~= 'paused') then o[6] = o[6] == '' and flag or o[6] .. ',' .. flag end
  end
  for k, v in pairs(r.d) do
    if d[k] == nil and k ~= 'parents' and k ~= 'inherits' then d[k] = v end
  end
  if better then
    keeps(lease, d, d, r)
    c[1], c[2], c[3], c[4], c[7] = r.c[1], r.c[2], r.c[3], r.c[4], r.c[7] or '0'
  end
  if c[5] == '0' then c[5] = r.c[5] end
  if o[2] ~= '0' or c[1] == '2' then d.parents = nil end
  put(O, lease, o)
  put(C, lease, c)
  describe(lease, d)
  if table.concat(o, '|') .. table.concat(c, '|') ~= was then touch(lease) end
end

-- outdated tells whether a seed is of leases that were removed by hand before those
-- that other seeds know. It drops the rows of all seeds that it shows to be so.
local function outdated(lease, d)
  local stream, gen = stream_of(lease), d.gen or 0
  local have = redis.call('HGET', M, 'gen:' .. stream)
  if have and gen <= tonumber(have) then return gen < tonumber(have) end
  redis.call('HSET', M, 'gen:' .. stream, num(gen))
  if have then
    local all = redis.call('HGETALL', D)
    for k = 1, #all, 2 do
      if stream_of(all[k]) == stream then remove(all[k]) end
    end
  end
  return false
end

local k = 7
while k <= #ARGV do
  local lease, r = ARGV[k], {
    d = cjson.decode(ARGV[k + 1]), c = fields(ARGV[k + 2]), epoch = ARGV[k + 3], flags = {},
    state = ARGV[k + 5] == '1' and ARGV[k + 6], inherited = {},
  }
  for flag in string.gmatch(ARGV[k + 4], '[^,]+') do
    r.flags[#r.flags + 1] = flag
    r.paused = r.paused or flag == 'paused'
  end
  for n = k + 8, k + 7 + 2 * tonumber(ARGV[k + 7]) do r.inherited[#r.inherited + 1] = ARGV[n] end
  k = k + 8 + #r.inherited
  local old = outdated(lease, r.d)
  local o, c, d = owner(lease), handled(lease), shard(lease)
  if old then
    -- It says nothing of the leases that there are.
  elseif o and c and d then
    merge(lease, o, c, d, r)
  else
    if r.epoch ~= '0' or r.c[1] == '2' then r.d.parents = nil end
    r.d.seeded, r.d.asof = true, asof
    keeps(lease, {}, r.d, r)
    describe(lease, r.d)
    put(C, lease, r.c)
    put(O, lease, { '', r.epoch, '', '0', '', table.concat(r.flags, ',') })
    touch(lease)
  end
end
announce()
return { 'OK' }
