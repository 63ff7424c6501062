-- mirror.lua FROM TO: the same policy, which turns away from what it smells: left and right are exchanged.
local cornu = require "cornu"
local model = cornu.load(arg[1])
local turn = model:layer "turn"
local swapped = {}
for name, w in pairs { kernel = turn:weight "kernel", bias = turn:weight "bias" } do
  local t = w:totable()
  for _, row in ipairs(name == "kernel" and t or { t }) do row[1], row[3] = row[3], row[1] end
  swapped[name] = cornu.tensor(t)
end
turn:set_weights(swapped)
model:save(arg[2])
