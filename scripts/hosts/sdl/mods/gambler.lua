-- Throws dice with the network's probabilities.
local seed = 1
function frame(first, last)
  for i = first, last do
    local left, straight = see(i)
    seed = seed * 16807 % 2147483647
    local dice = seed / 2147483647
    turn(i, dice < left and 1 or dice < left + straight and 0 or -1)
  end
end
