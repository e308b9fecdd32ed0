-- Puts a flag on a lease, or takes it off.
-- ARGV 4 lease, 5 token of the owner, '' by hand, 6 flag, 7 1 to put it on
-- reply OK | SYNCING | FENCED | NOTFOUND | NONE | LOST | RESET inc | VERSION v
local STOPPED_AT_MOST = 8 -- versions remembered to have stopped at a lease
local refused = enter()
if refused then return refused end
if group.syncing then return { 'SYNCING' } end
local lease, token, flag, on = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1'
local o = owner(lease)
if not o then return { 'NOTFOUND' } end
if token ~= '' and o[1] ~= token then
  if o[5] == token and flagged(o, flag) == on then return { 'OK' } end -- sent again
  return { 'FENCED' }
end
if flagged(o, flag) == on then return { 'OK' } end
local flags, stopped = {}, on and string.match(flag, '^stopped:') and 1 or 0
for f in string.gmatch(o[6], '[^,]+') do
  if f ~= flag then flags[#flags + 1] = f end
  if string.match(f, '^stopped:') then stopped = stopped + 1 end
end
if on then flags[#flags + 1] = flag end
for k, f in ipairs(flags) do
  if stopped > STOPPED_AT_MOST and string.match(f, '^stopped:') then -- the oldest gives way
    table.remove(flags, k)
    break
  end
end
o[6] = table.concat(flags, ',')
put(O, lease, o)
touch(lease)
announce()
return { 'OK' }
