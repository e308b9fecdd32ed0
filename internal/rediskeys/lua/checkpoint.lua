-- Saves positions, each only under the token that its lease is held with, and
-- never backwards.
-- ARGV from 4, ten for each: lease, token, rank, seqno or start, subseq,
--      counter, weight, 1 if there is a state, state, 1 to release
-- reply OK {status, c}… with a status for each: OK NOTFOUND REGRESS, or
--      {FENCED, token, epoch, last} | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local news = false

local function save(k)
  local lease, token, counter, weight = ARGV[k], ARGV[k + 1], ARGV[k + 5], ARGV[k + 6]
  local at = { ARGV[k + 2], ARGV[k + 3], ARGV[k + 4] }
  local state, free = ARGV[k + 7] == '1', ARGV[k + 9] == '1'
  local o, c = owner(lease), handled(lease)
  if not o or not c then return { 'NOTFOUND' } end
  local order = position(at, c)
  if o[1] ~= token then
    -- What a release wrote may be sent again.
    if o[5] == token and order <= 0 then return { 'OK', table.concat(c, '|') } end
    return { 'FENCED', o[1], o[2], o[5] }
  end
  local older = order == 0 and number(counter, c[4]) < 0
  if order < 0 or older and not free then return { 'REGRESS', table.concat(c, '|') } end
  if not older then
    if order > 0 then c[1], c[2], c[3] = at[1], at[2], at[3] end
    c[4] = counter
    local due = c[5] == '0' or group.now >= tonumber(c[6]) + WEIGHT_QUIET
    local heavier = weight ~= '0' and weight ~= c[5] and due
    if heavier then c[5], c[6] = weight, num(group.now) end
    -- Who does not know the state cannot give the position back.
    local first = state and c[7] ~= '1'
    if first then c[7] = '1' end
    put(C, lease, c)
    if state then
      redis.call('HSET', W, lease, ARGV[k + 8])
      absorbed(lease)
    end
    if (heavier or first) and not free then touch(lease) end
  end
  if free then
    release(lease, o)
    news = true
  end
  return { 'OK', table.concat(c, '|') }
end

local out = { 'OK' }
for k = 4, #ARGV, 10 do out[#out + 1] = save(k) end
if news then announce() end
return out
