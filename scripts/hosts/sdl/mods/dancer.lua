-- Follows the network for some seconds, then all of them turn on the spot, together.
local frames = 0
function frame(first, last)
  frames = frames + 1
  local dance = frames % 240 > 180
  for i = first, last do
    local left, straight, right = see(i)
    if dance then turn(i, frames % 40 < 20 and 1 or -1)
    else turn(i, left > straight and left >= right and 1 or right > straight and -1 or 0) end
  end
end
