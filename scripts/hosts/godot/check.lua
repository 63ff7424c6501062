-- Compares what the scene printed with the same models here: check.lua OUTPUT DIGITS POLICY
local cornu = require "cornu"
local said = {}
for line in io.lines(arg[1]) do
  local what, numbers = line:match "^(digits) (.*)$"
  if not what then what, numbers = line:match "^(frame %d+) (.*)$" end
  if what then
    said[what] = {}
    for x in numbers:gmatch "%S+" do table.insert(said[what], tonumber(x)) end
  else
    local key, rest = line:match "^([%a ]+): (.*)$"
    if key then said[key] = rest end
  end
end

local function numbers(count, seed, shape)
  local t = {}
  for i = 0, count - 1 do t[i + 1] = ((i * 7 + seed * 13) % 17) / 16 end
  return cornu.tensor(t):reshape(shape)
end

local compared = 0
local function same(what, want)
  want = want:flatten()
  assert(said[what], what .. ": Godot did not print it")
  assert(#said[what] == want:size(), what .. ": as many numbers")
  assert(cornu.tensor(said[what]):allclose(want, 0, 1e-6), what .. ": other numbers")
  compared = compared + want:size()
end

same("digits", cornu.load(arg[2])(numbers(2 * 64, 1, { 2, 8, 8, 1 })))
local policy = cornu.load(arg[3]):runner { batch = 3 }
for frame = 1, 5 do
  if frame == 5 then policy:reset(2) end
  policy:input():copy(numbers(15, frame, { 3, 1, 5 }))
  same("frame " .. frame, policy:run():output())
end
assert(said["wrong size"] == "0 predict: the numbers are no whole samples", said["wrong size"])
assert(said["no bytes"]:match "^False bytes", said["no bytes"])
assert(said["no file"] == "False True", said["no file"])
assert(said.kept == "10", said.kept)
print(("godot: %d numbers as here, %s microseconds per step"):format(compared, said["microseconds per step"]))
