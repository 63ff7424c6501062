-- Cornu's process of peers_bench.py. usage: cornu scripts/peers_worker.lua MODEL STEM THREADS BATCH
local cornu = require "cornu"

local path, stem, threads, batch = arg[1], arg[2], tonumber(arg[3]), arg[4]
cornu.set_threads(threads)
local arrays, names, inputs = cornu.load_npz(("%s.%s.npz"):format(stem, batch)), {}, {}
for name in pairs(arrays) do names[#names + 1] = name end
table.sort(names)
for i, name in ipairs(names) do inputs[i] = arrays[name] end
local model = cornu.load(path)
local x = #inputs == 1 and inputs[1] or inputs
model(x)
print "ready"
io.stdout:flush()
for line in io.lines() do
  local times, stop = {}, cornu.clock() + tonumber(line)
  repeat
    local start = cornu.clock()
    model(x)
    local now = cornu.clock()
    times[#times + 1] = now - start
  until now >= stop
  table.sort(times)
  print(times[(#times + 1) // 2])
  io.stdout:flush()
end
