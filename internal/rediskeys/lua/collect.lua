-- Removes rows that nobody needs any more.
-- ARGV 4 1 for leases of a stream that was deleted, from 5 lease names
-- reply OK status… with one for each name: OK HELD NEEDED | SYNCING | NONE | LOST |
--      RESET inc | VERSION v
local refused = enter()
if refused then return refused end
if group.syncing then return { 'SYNCING' } end
local deleted = ARGV[4] == '1'
local needed -- who is waited for; read again after a row that waits was removed

local function collect(lease)
  if not redis.call('HGET', D, lease) and not redis.call('HGET', O, lease) and not redis.call('HGET', C, lease) then
    return 'OK' -- sent again
  end
  local o, c = owner(lease), handled(lease)
  if o and alive(session_of(o[1])) then return 'HELD' end
  if not deleted then
    if not c or c[1] ~= '2' then return 'NEEDED' end
    needed = needed or awaited()
    if needed[lease] then return 'NEEDED' end
    local d = shard(lease)
    if d and d.parents then needed = nil end
  end
  remove(lease)
  if deleted then
    local stream = stream_of(lease)
    redis.call('HDEL', M, 'ready:' .. stream, 'set:' .. stream, 'gen:' .. stream)
  end
  return 'OK'
end

local out = { 'OK' }
for k = 5, #ARGV do out[#out + 1] = collect(ARGV[k]) end
return out
