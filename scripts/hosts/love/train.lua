-- Trains the hunters of the game: build/cornu scripts/hosts/love/train.lua [FILE.keras]
-- They imitate an expert that sees everything, first on its own ways, then on those where their own network leads them.
package.path = "scripts/hosts/love/?.lua;" .. package.path
local cornu = require "cornu"
local World = require "world"
local L = cornu.layers
local N, F, DT = 12, World.FEATURES, 1 / 60
math.randomseed(11)

local function network()
  return cornu.Sequential { cornu.Input { shape = { F } }, L.Dense { 32, "relu", name = "see" },
                            L.Dense { 32, "relu", name = "think" }, L.Dense { 2, "tanh", name = "act" } }
end

-- Plays minutes with 12 hunters; notes every sixth frame what they perceived and what the expert would do. Returns how
-- often they caught the player.
local function play(seed, minutes, runner, own, xs, ys)
  local w = World.new(seed, N)
  local input, now = runner and runner:input(), {}
  for frame = 1, minutes * 3600 do
    for i = 1, N do w:sense(i, now, (i - 1) * F + 1) end
    local act = runner and input:copy(cornu.tensor(now):reshape(N, F)) and runner:run():output():totable()
    for i, h in ipairs(w.hunters) do
      if i > N then break end
      local turn, thrust = w:expert(i)
      if xs and frame % 6 == 0 then
        xs[#xs + 1], ys[#ys + 1] = { table.unpack(now, (i - 1) * F + 1, i * F) }, { turn, thrust }
      end
      h.turn, h.thrust = turn, thrust
      if act and math.random() < own then h.turn, h.thrust = act[i][1], act[i][2] end
      if not act and xs then h.turn = h.turn + math.random() - 0.5 end
    end
    w:step(DT, w:bot())
  end
  return w.catches
end

local policy = network()
local runner = policy:runner { batch = N }
policy:compile { optimizer = cornu.optimizers.Adam { learning_rate = 2e-3 }, loss = "mse", seed = 5 }
local untrained = play(99, 4, runner, 1)
local x, y = {}, {}
for round = 1, 4 do
  for seed = 1, 3 do play(round * 10 + seed, 1, round > 1 and runner or nil, 0.8, x, y) end
  local h = policy:fit(cornu.tensor(x), cornu.tensor(y), { epochs = 6, batch_size = 64, verbose = 0 })
  runner = policy:runner { batch = N }
  print(("round %d: loss %.4f, %d catches in 4 minutes (untrained: %d)"):format(round, h.loss[#h.loss],
        play(99, 4, runner, 1), untrained))
end
print("expert:", (play(99, 4)))
local file = arg and arg[1] or "scripts/hosts/love/policy.keras"
policy:save(file, { include_optimizer = false })
print("saved " .. file)
