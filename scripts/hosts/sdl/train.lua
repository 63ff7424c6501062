-- Trains the policy of the SDL host: build/cornu scripts/hosts/sdl/train.lua [FILE.keras]
-- A forager smells food with two noisy antennae, and remembers: its network is a GRU. It learns from an expert that
-- knows where the food is, first on the expert's own ways, then on those that it goes itself.
local cornu = require "cornu"
local L = cornu.layers

local W, H, FOODS, SPEED, TURN, REACH, NOISE = 16, 10, 12, 0.04, 0.15, 0.3, 0.02 -- as in forage.c
local AGENTS, STEPS, FEATURES = 64, 60, 5
local exp, sin, cos, sqrt, atan, pi = math.exp, math.sin, math.cos, math.sqrt, math.atan, math.pi
math.randomseed(7)

local function food() return { x = 0.5 + math.random() * (W - 1), y = 0.5 + math.random() * (H - 1) } end

local function nearest(foods, x, y)
  local best, which = math.huge, nil
  for _, f in ipairs(foods) do
    local d = (f.x - x) ^ 2 + (f.y - y) ^ 2
    if d < best then best, which = d, f end
  end
  return sqrt(best), which
end

local function smell(foods, a, side)
  local h = a.heading + side * 0.7
  local d = nearest(foods, a.x + 0.25 * cos(h), a.y + 0.25 * sin(h))
  return exp(-d / 3) + (math.random() * 2 - 1) * NOISE
end

local function wall(a, side)
  local h = a.heading + side * 0.6
  local x, y = a.x + cos(h), a.y + sin(h)
  return math.max(0, -x, x - W, -y, y - H)
end

local function sense(foods, a)
  local l, r = smell(foods, a, 1), smell(foods, a, -1)
  return { (l + r) / 2, (l - r) * 10, wall(a, 1), wall(a, -1), a.turn }
end

local function expert(foods, a) -- 0 left, 1 straight on, 2 right
  local _, f = nearest(foods, a.x, a.y)
  local angle = (atan(f.y - a.y, f.x - a.x) - a.heading + pi) % (2 * pi) - pi
  return angle > 0.1 and 0 or angle < -0.1 and 2 or 1
end

local function move(foods, a, action)
  a.turn = 1 - action
  a.heading = (a.heading + a.turn * TURN) % (2 * pi)
  a.x = math.min(W, math.max(0, a.x + SPEED * cos(a.heading)))
  a.y = math.min(H, math.max(0, a.y + SPEED * sin(a.heading)))
  local d, f = nearest(foods, a.x, a.y)
  if d > REACH then return 0 end
  local new = food()
  f.x, f.y = new.x, new.y
  return 1
end

local function argmax(p) return p[1] >= p[2] and p[1] >= p[3] and 0 or p[2] >= p[3] and 1 or 2 end

-- Agents each in a world of their own: what they sensed, what the expert would do, and how many foods they ate.
local function roll(steps, runner, own)
  local worlds, agents, xs, ys, eaten = {}, {}, {}, {}, 0
  for i = 1, AGENTS do
    worlds[i] = {}
    for k = 1, FOODS do worlds[i][k] = food() end
    agents[i] = { x = math.random() * W, y = math.random() * H, heading = math.random() * 2 * pi, turn = 0 }
    xs[i], ys[i] = {}, {}
  end
  if runner then runner:reset() end
  for t = 1, steps do
    local now = {}
    for i = 1, AGENTS do now[i] = { sense(worlds[i], agents[i]) } end
    local p = runner and runner:input():copy(cornu.tensor(now)) and runner:run():output():totable()
    for i = 1, AGENTS do
      local want = expert(worlds[i], agents[i])
      xs[i][t], ys[i][t] = now[i][1], want
      local action = runner and math.random() < own and argmax(p[i]) or want
      if not runner and math.random() < 0.2 then action = math.random(0, 2) end
      eaten = eaten + move(worlds[i], agents[i], action)
    end
  end
  return xs, ys, eaten
end

local function network(batch_shape, options)
  options.units = 32
  return cornu.Sequential { cornu.Input { batch_shape = batch_shape }, L.GRU(options),
                            L.Dense { 3, "softmax", name = "turn" } }
end

local learner = network({ cornu.null, STEPS, FEATURES }, { name = "memory", return_sequences = true })
local policy = network({ 1, 1, FEATURES }, { name = "memory", stateful = true })
learner:compile { optimizer = cornu.optimizers.Adam { learning_rate = 3e-3 }, loss = "sparse_categorical_crossentropy",
                  metrics = { "accuracy" }, seed = 3 }

local function graduate()
  for _, name in ipairs { "memory", "turn" } do policy:layer(name):set_weights(learner:layer(name):weights()) end
  return policy:runner { batch = AGENTS }
end

local _, _, untrained = roll(600, graduate(), 1)
local x, y = {}, {}
for round = 1, 4 do
  for _ = 1, 4 do
    local xs, ys = roll(STEPS * 3, round > 1 and graduate() or nil, 0.9)
    for i = 1, AGENTS do
      for from = 0, 2 do
        x[#x + 1], y[#y + 1] = { table.unpack(xs[i], from * STEPS + 1, from * STEPS + STEPS) },
                               { table.unpack(ys[i], from * STEPS + 1, from * STEPS + STEPS) }
      end
    end
  end
  local h = learner:fit(cornu.tensor(x), cornu.tensor(y, "int32"), { epochs = 4, batch_size = 32, verbose = 0 })
  local _, _, eaten = roll(600, graduate(), 1)
  print(("round %d: agrees with the expert in %.1f %%, %d meals in 600 steps of %d agents (untrained: %d)"):format(
        round, 100 * h.accuracy[#h.accuracy], eaten, AGENTS, untrained))
end
print("expert:", select(3, roll(600, nil, 0)))
local file = arg and arg[1] or "scripts/hosts/sdl/policy.keras"
graduate()
policy:save(file)
print("saved " .. file)
