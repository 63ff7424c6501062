-- Judges what the host told: check.lua OUTPUT
local file = assert(io.open(arg[1]))
local text = file:read "a"
file:close()
local function expect(pattern, what)
  local found = text:match(pattern)
  return found or error(what .. ":\n" .. text)
end

expect("mod runaway is stopped: [^\n]*instructions", "a mod that does not end is stopped")
expect("mod hoarder is stopped: [^\n]*memory", "a mod that wants all the memory is stopped")
for name in text:gmatch "mod (%w+) is stopped" do
  assert(name == "runaway" or name == "hoarder", name .. " is stopped")
end
expect("frame 330: kept the old model: ", "half a file changes nothing")
local half = tonumber(expect("loaded [^\n]* anew, (%d+) meals so far", "a changed file is loaded"))
local all = tonumber(expect("with the network, 1000 agents, %d+ frames, (%d+) meals", "foragers eat"))
assert(half > 1000 and all - half < half / 2, "foragers go for food, and with the mirrored network not:\n" .. text)
local last = 0
for malloc, context, rest in text:gmatch "mods (%d+) by malloc, (%d+) by the context; the rest (%d+)" do
  assert(malloc + context + rest == 0, "allocations in frames:\n" .. text)
  last = last + 1
end
assert(last == 2, text)
expect("the context holds 0 bytes at the end", "nothing is left")
print("sdl:\n" .. text:gsub("\n$", ""))
