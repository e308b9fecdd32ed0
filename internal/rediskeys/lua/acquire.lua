-- Takes leases: ownership and position are read and written in one step.
-- ARGV 4 session, 5 number of the first token, from 6 lease names
-- reply OK {status, token, epoch, c, d, w, parent, its w…}… with a status for each name: OK
--      PAUSED EXPIRED SYNCING NOTREADY GONE STALE PARENT HELD | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local session, first = ARGV[4], tonumber(ARGV[5])
local m = member(session)
local up = alive(session) and m and m.k ~= 'bye'
local used = m and tonumber(m.n) or 0
local ready = {}

local function open(o)
  local holder = session_of(o[1])
  if holder == '' then return o[3] == session or not wanted(o) end
  return holder == session or not alive(holder)
end

-- waits tells whether a parent is not finished. One without a row is not.
local function waits(d)
  for _, parent in ipairs(d.parents or {}) do
    local c = handled(parent)
    if not c or c[1] ~= '2' then return true end
  end
  return false
end

local function granted(lease, o, c, d)
  local out = { 'OK', o[1], o[2], table.concat(c, '|'), redis.call('HGET', D, lease), redis.call('HGET', W, lease) or '' }
  for _, by in ipairs(d.inherits or {}) do
    out[#out + 1] = by
    out[#out + 1] = redis.call('HGET', W, left(lease, by)) or ''
  end
  return out
end

local function take(lease, n)
  if group.paused then return { 'PAUSED' } end
  if not up then return { 'EXPIRED' } end
  if group.syncing then return { 'SYNCING' } end
  local stream = string.match(lease, '^[^/]*')
  if ready[stream] == nil then ready[stream] = redis.call('HGET', M, 'ready:' .. stream) or false end
  if not ready[stream] then return { 'NOTREADY' } end
  local o, c, d = owner(lease), handled(lease), shard(lease)
  if not o or not c or not d then return { 'GONE' } end
  local token = session .. '#' .. num(n)
  if o[1] == token then return granted(lease, o, c, d) end
  if c[1] == '2' then return { 'GONE' } end -- nothing is left to handle
  if n <= used then return { 'STALE' } end
  if flagged(o, 'paused') then return { 'PAUSED' } end
  if waits(d) then return { 'PARENT' } end
  if not open(o) then return { 'HELD' } end
  o[1], o[2], o[3], o[4] = token, num(math.max(tonumber(o[2]) + 1, micros)), '', '0'
  put(O, lease, o)
  if d.parents then
    d.parents = nil
    describe(lease, d)
  end
  touch(lease)
  return granted(lease, o, c, d)
end

local out = { 'OK' }
for k = 6, #ARGV do out[#out + 1] = take(ARGV[k], first + k - 6) end
local last = first + #ARGV - 6
if m and last > used then
  m.n = num(last)
  keep(session, m)
end
return out
