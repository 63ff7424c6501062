-- What the digits examples share: the model, its labels, and the way from a picture to its input.
local cornu = require "cornu"

local here = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or "."
local digits = { folder = here }

function digits.model() return cornu.load(here .. "/digits.keras") end

function digits.labels()
  local labels = {}
  for line in io.lines(here .. "/labels.txt") do labels[#labels + 1] = line end
  return labels
end

-- Dark ink on light paper, 64 x 64 grey pixels, to (1, 8, 8, 1): 0 paper, 1 ink, the mean of each block of 8 x 8.
function digits.input(path)
  local pixels = cornu.image.load(path, { channels = 1 }):float()
  local blocks = pixels:reshape(8, 8, 8, 8) -- block row, row, block column, column
  local means = blocks:mean { 2, 4 }
  return (1 - means / 255):reshape(1, 8, 8, 1)
end

-- A grey picture (h, w) as text: two characters a pixel.
function digits.draw(x)
  local shades, lines = { "  ", "░░", "▒▒", "▓▓", "██" }, {}
  for _, row in ipairs(x:totable()) do
    local line = {}
    for i, v in ipairs(row) do line[i] = shades[math.min(5, 1 + math.floor(math.max(0, v) * 4 + 0.5))] end
    lines[#lines + 1] = table.concat(line)
  end
  return table.concat(lines, "\n")
end

return digits
