-- Wants all the memory: the host has to stop it.
local frames, hoard = 0, {}
function frame(first, last)
  frames = frames + 1
  while frames == 200 do hoard[#hoard + 1] = ("gold "):rep(1000) .. #hoard end
  for i = first, last do
    local _, straight = see(i)
    turn(i, straight > 0.4 and 0 or -1)
  end
end
