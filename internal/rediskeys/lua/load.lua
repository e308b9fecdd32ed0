-- Reads positions with the states that were saved with them.
-- ARGV from 4 lease names
-- reply OK {c, w}… with '' for what there is not | NONE | LOST | RESET inc | VERSION v
local refused = enter()
if refused then return refused end
local out = { 'OK' }
for k = 4, #ARGV do
  out[#out + 1] = { redis.call('HGET', C, ARGV[k]) or '', redis.call('HGET', W, ARGV[k]) or '' }
end
return out
