-- Layers in training against real Keras: tests/train, which scripts/make_training.py makes.
local lu = require "luaunit"
local cornu = require "cornu"
local core = require "cornu.core"

TestLayersTrain = {}

local function squares(outputs, given)
  local d = outputs[1] - given[1]
  return { (d * d):mean() }
end

-- The arrays below `prefix`: {layer = {…}} in the order of the weights.
local function weights_below(arrays, prefix)
  local all = {}
  for key, value in pairs(arrays) do
    local layer, index = key:match("^" .. prefix .. "/(.+)/(%d+)$")
    if layer then
      all[layer] = all[layer] or {}
      all[layer][tonumber(index) + 1] = value
    end
  end
  return all
end

-- The model before and after; Keras 1's weights are in files.
local function load_models(suite, name, text, arrays)
  local models = {}
  for i, when in ipairs { "before", "after" } do
    local json = cornu.json.encode(text.model)
    if suite == "keras1" then
      models[i] = cornu.load(json, ("tests/train/%s_%s_%s.h5"):format(suite, name, when), { backend = "theano" })
    else
      models[i] = cornu.load(json)
      for layer, values in pairs(weights_below(arrays, name .. "/" .. when)) do models[i]:layer(layer):set_weights(values) end
    end
  end
  return models[1], models[2]
end

local function check(suite, name, text, arrays)
  local model, trained = load_models(suite, name, text, arrays)
  for _, layer in ipairs(text.frozen) do model:layer(layer).trainable = false end
  local x, losses = {}, arrays[name .. "/losses"]
  while arrays[name .. "/x" .. #x] do x[#x + 1] = arrays[name .. "/x" .. #x] end
  local t = core.new_trainer(model, { class_name = "SGD", config = { learning_rate = text.rate } }, squares, 1)
  for step = 1, losses:shape()[1] do
    local loss, want = t:batch(true, x, { arrays[name .. "/y"] })[1]:item(), losses[step]
    lu.assertTrue(math.abs(loss - want) <= 1e-5 * (1 + math.abs(want)), ("%s: loss %g at step %d, expected %g"):format(name, loss, step, want))
  end
  for k, layer in ipairs(model.layers) do
    local want = trained[k]:weights()
    for i, weight in ipairs(layer:weights()) do
      local error = (weight - want[i]):abs():max():item()
      lu.assertTrue(error < 2e-5, ("%s: weight %d of %s is off by %g"):format(name, i, layer.name, error))
    end
  end
end

for _, suite in ipairs { "keras1", "keras2", "tfkeras2", "keras3" } do
  local file = assert(io.open("tests/train/" .. suite .. ".json"))
  local texts = cornu.json.decode(file:read "*a")
  file:close()
  local arrays
  for name, text in pairs(texts) do
    TestLayersTrain[("test_%s_%s"):format(suite, name)] = function()
      arrays = arrays or cornu.load_npz("tests/train/" .. suite .. ".npz")
      check(suite, name, text, arrays)
    end
  end
end
