-- Losses of training beside those of real Keras: trains the models of tests/training/curves on their batches, and draws
-- both curves of each.
-- usage: build/cornu scripts/curves.lua FOLDER: NAME.png and NAME.csv (step, Keras, Cornu) for each model
local curves = {}

local folder = "tests/training/curves/"
curves.names = { "mlp", "cnn", "lstm", "transformer" }

-- The losses of each step: Cornu's, Keras's.
function curves.train(cornu, name)
  local core = require "cornu.core"
  local arrays = cornu.load_npz(folder .. "curves.npz")
  local x, y, want = arrays[name .. ".x"], arrays[name .. ".y"], arrays[name .. ".loss"]:totable()
  local model = cornu.load(folder .. name .. ".keras")
  local config = model:training_config()
  local loss = cornu.losses.get(config.loss)
  local function objective(out, given) return { loss(given[1], out[1]) } end
  local trainer, got = core.new_trainer(model, config.optimizer_config or config.optimizer, objective, 0), {}
  for step = 1, #want do
    local i = (step - 1) % #x + 1
    got[step] = trainer:batch(true, { x[i] }, { y[i] })[1]:item()
  end
  return got, want
end

local function write_csv(path, got, want)
  local file = assert(io.open(path, "w"))
  file:write("step,keras,cornu\n")
  for i = 1, #want do file:write(("%d,%.9g,%.9g\n"):format(i, want[i], got[i])) end
  file:close()
end

local function main(to)
  local cornu = require "cornu"
  for _, name in ipairs(curves.names) do
    local got, want = curves.train(cornu, name)
    write_csv(("%s/%s.csv"):format(to, name), got, want)
    cornu.plot.lines { { name = "keras", y = want }, { name = "cornu", y = got, dash = true }, title = name .. ": loss of a step",
                       x = "step", y = "loss", log = true, path = ("%s/%s.png"):format(to, name) }
  end
end

if arg and arg[0] and arg[0]:match "curves%.lua$" then main(arg[1] or error "usage: build/cornu scripts/curves.lua FOLDER") end
return curves
