-- Does what the network finds best.
function frame(first, last)
  for i = first, last do
    local left, straight, right = see(i)
    turn(i, left > straight and left >= right and 1 or right > straight and -1 or 0)
  end
end
