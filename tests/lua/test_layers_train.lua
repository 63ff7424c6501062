-- Layers in training against real Keras: tests/training/layers, which scripts/make_training.py makes.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local core = require "cornu.core"

TestLayersTrain = {}

local L = cornu.layers

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
      models[i] = cornu.load(json, ("tests/training/layers/%s_%s_%s.h5"):format(suite, name, when), { backend = "theano" })
    else
      models[i] = cornu.load(json)
      for layer, values in pairs(weights_below(arrays, name .. "/" .. when)) do
        models[i]:layer(layer):set_weights(values)
      end
    end
  end
  return models[1], models[2]
end

-- What a model makes of x in training.
local function in_training(model, x)
  local function outputs(out) return { out[1]:sum() * 0, out[1] } end
  return core.new_trainer(model, "sgd", outputs, 1):batch(true, { x }, {})[2]
end

local function check(suite, name, text, arrays)
  local model, trained = load_models(suite, name, text, arrays)
  if text.changes then
    local got, want = in_training(model, arrays[name .. "/x0"]), arrays[name .. "/y"]
    local error = (got - want):abs():max():item()
    lu.assertTrue(error < 1e-4, ("%s is off by %g"):format(name, error))
    return
  end
  for _, layer in ipairs(text.frozen) do model:layer(layer).trainable = false end
  local x, losses = {}, arrays[name .. "/losses"]
  while arrays[name .. "/x" .. #x] do x[#x + 1] = arrays[name .. "/x" .. #x] end
  local t = core.new_trainer(model, { class_name = "SGD", config = { learning_rate = text.rate } }, squares, 1)
  for step = 1, losses:shape()[1] do
    local loss, want = t:batch(true, x, { arrays[name .. "/y"] })[1]:item(), losses[step]
    lu.assertTrue(math.abs(loss - want) <= 1e-5 * (1 + math.abs(want)),
      ("%s: loss %g at step %d, expected %g"):format(name, loss, step, want))
  end
  for k, layer in ipairs(model.layers) do
    local want = trained[k]:weights()
    for i, weight in ipairs(layer:weights()) do
      local error = (weight - want[i]):abs():max():item()
      lu.assertTrue(error < 2e-5, ("%s: weight %d of %s is off by %g"):format(name, i, layer.name, error))
    end
  end
end

-- ---- What is left to chance ----

local function model_of(layer, shape, weights)
  local m = cornu.Sequential{ cornu.Input{ shape = shape }, layer }
  if weights then layer:set_weights(weights) end
  return m
end

-- Dropping (almost) nothing changes nothing: the steps that draw compute the same as those that do not.
function TestLayersTrain.test_nothing_dropped()
  local x, tiny = cornu.randn(2, 5, 3), 1e-12
  local made = {
    function(rate) return L.LSTM{ 4, dropout = rate, recurrent_dropout = rate, return_sequences = true } end,
    function(rate) return L.GRU{ 4, recurrent_dropout = rate } end,
    function(rate)
      return L.GRU{ 4, dropout = rate, recurrent_dropout = rate, reset_after = false, go_backwards = true }
    end,
    function(rate) return L.SimpleRNN{ 4, recurrent_dropout = rate } end,
    function(rate)
      local cells = { L.LSTMCell{ 4, dropout = rate }, L.GRUCell{ 3, recurrent_dropout = rate } }
      return L.RNN{ cell = L.StackedRNNCells{ cells = cells } }
    end,
  }
  for i, make in ipairs(made) do
    local plain, drops = make(0), make(tiny)
    local want, m = model_of(plain, { 5, 3 })(x), model_of(drops, { 5, 3 })
    drops:set_weights(plain:weights())
    lu.assertTrue(in_training(m, x):allclose(want, 1e-5, 1e-5), "kind " .. i)
  end
  local images = cornu.randn(2, 3, 6, 2)
  local plain = L.ConvLSTM1D{ 2, 3, padding = "same" }
  local drops = L.ConvLSTM1D{ 2, 3, padding = "same", dropout = tiny, recurrent_dropout = tiny }
  local want, m = model_of(plain, { 3, 6, 2 })(images), model_of(drops, { 3, 6, 2 })
  drops:set_weights(plain:weights())
  lu.assertTrue(in_training(m, images):allclose(want, 1e-5, 1e-5))
end

function TestLayersTrain.test_attention_dropout()
  local x = cornu.randn(2, 5, 4)
  local function attends(rate)
    local input, layer = cornu.Input{ shape = { 5, 4 } }, L.MultiHeadAttention{ num_heads = 2, key_dim = 3, dropout = rate }
    return cornu.Model{ inputs = input, outputs = layer{ input, input } }, layer
  end
  local plain, from = attends(0)
  local drops, to = attends(1e-12)
  to:set_weights(from:weights())
  lu.assertTrue(in_training(drops, x):allclose(plain(x), 1e-5, 1e-5))
  local half, with = attends(0.5)
  with:set_weights(from:weights())
  lu.assertFalse(in_training(half, x):allclose(plain(x), 1e-3, 1e-3))
end

-- A cell that hands its input on shows what is dropped: the same values in all steps.
function TestLayersTrain.test_recurrent_dropout()
  local eye, none = cornu.eye(8), cornu.zeros(8, 8)
  local layer = L.SimpleRNN{ 8, activation = "linear", use_bias = false, dropout = 0.5, return_sequences = true }
  local y = in_training(model_of(layer, { 6, 8 }, { eye, none }), cornu.ones(40, 6, 8))
  lu.assertEquals((y * (y - 2)):abs():max():item(), 0) -- 0 or 2
  lu.assertEquals((y - y[{ {}, { 1, 1 } }]):abs():max():item(), 0)
  lu.assertTrue(math.abs(y:mean():item() - 1) < 0.2)
  -- h grows by 1 where the state is dropped, else 1 + 2 h
  layer = L.SimpleRNN{ 8, activation = "linear", use_bias = false, recurrent_dropout = 0.5 }
  y = in_training(model_of(layer, { 3, 8 }, { eye, eye }), cornu.ones(40, 3, 8))
  lu.assertEquals(((y - 1) * (y - 7)):abs():max():item(), 0)
  lu.assertTrue(math.abs(y:mean():item() - 4) < 0.6)
end

function TestLayersTrain.test_images_by_chance()
  local x = cornu.rand(200, 4, 6, 3)
  local y = in_training(model_of(L.RandomFlip "horizontal", { 4, 6, 3 }), x)
  local turned, same = 0, 0
  for i = 1, 200 do
    if y[i]:allclose(x[i], 0, 0) then same = same + 1
    elseif y[i]:allclose(x[i]:reverse(2), 0, 0) then turned = turned + 1 end
  end
  lu.assertEquals(turned + same, 200)
  lu.assertTrue(math.abs(turned - 100) < 45)
  local cut = in_training(model_of(L.RandomCrop{ 2, 3 }, { 4, 6, 3 }), x)
  lu.assertEquals(cut:shape(), { 200, 2, 3, 3 })
  local found = false
  for row = 1, 3 do
    for column = 1, 4 do found = found or cut:allclose(x[{ {}, { row, row + 1 }, { column, column + 2 } }], 0, 0) end
  end
  lu.assertTrue(found, "no part of the images")
  local bright = in_training(model_of(L.RandomBrightness{ 0.1, value_range = { -40, 40 } }, { 4, 6, 3 }), x) - x
  local first = bright[{ {}, { 1, 1 }, { 1, 1 }, { 1, 1 } }]
  lu.assertTrue((bright - first):abs():max():item() < 1e-5) -- one number for each image
  lu.assertTrue(bright:abs():max():item() <= 8 and math.abs(bright:mean():item()) < 2)
  -- a seed makes a run repeatable
  local function once() return in_training(model_of(L.RandomRotation{ 0.3, seed = 4 }, { 4, 6, 3 }), x) end
  lu.assertTrue(once():allclose(once(), 0, 0))
end

-- How many images a layer changed, and what it made of them.
local function changed(layer, x)
  local shape = x:shape()
  local y = in_training(model_of(layer, { shape[2], shape[3], shape[4] }), x)
  local most = (y - x):abs():reshape(shape[1], -1):max(2)
  return cornu.cast(most:gt(1e-5), "float32"):mean():item(), y
end

-- Images whose channels are their rows and columns show where pixels came from.
local function places(n, height, width)
  local rows, columns = cornu.arange(height):reshape(1, height, 1, 1), cornu.arange(width):reshape(1, 1, width, 1)
  local none = cornu.zeros(n, height, width, 1)
  return cornu.concat({ rows + none, columns + none }, 4)
end

function TestLayersTrain.test_places_by_chance()
  local x = places(300, 8, 12)
  local share, y = changed(L.RandomPerspective{ { 0.3, 0.3 }, scale = 0.6 }, x)
  lu.assertTrue(math.abs(share - 0.3) < 0.12)
  share, y = changed(L.RandomPerspective{ { 1, 1 }, scale = 0.6, fill_value = 50 }, x)
  lu.assertEquals(share, 1)
  lu.assertTrue(y[{ {}, { 1, 1 }, { 1, 1 } }]:abs():max():item() < 1e-5) -- that corner stays
  x = places(40, 24, 26)
  share, y = changed(L.RandomElasticTransform{ { 1, 1 }, scale = { 0.6, 0.6 }, fill_mode = "nearest" }, x)
  lu.assertEquals(share, 1)
  local move = (y - x)[{ {}, { 9, 16 }, { 9, 16 } }]
  lu.assertTrue((move[{ {}, {}, {}, { 1, 1 } }] - move[{ {}, {}, {}, { 2, 2 } }]):abs():max():item() < 1e-4)
  lu.assertTrue(math.abs(move:mean():item()) < 0.05)
  -- sigma 0.72 does not smooth (its whole part is 0): alpha * sigma = 1.56 * 0.72
  lu.assertTrue(math.abs((move * move):mean():item() ^ 0.5 - 1.1232) < 0.06)
  lu.assertErrorMsgContains("kernel_size", changed, L.RandomGaussianBlur{ kernel_size = 4 }, x)
end

-- Image i is 1 in channel i alone: what it holds of whom.
local function holdings(layer, n)
  local x = cornu.eye(n):reshape(n, 1, 1, n) + cornu.zeros(n, 9, 7, n)
  local _, y = changed(layer, x)
  lu.assertTrue((y:sum(4) - 1):abs():max():item() < 1e-5)
  local parts = y:mean({ 2, 3 })
  lu.assertTrue((parts:sum(1) - 1):abs():max():item() < 1, "not each image is mixed into one")
  lu.assertTrue(parts:gt(1e-6):sum(2):max():item() <= 2)
  return (parts * cornu.eye(n)):sum(2), y
end

function TestLayersTrain.test_mixing()
  local kept = holdings(L.MixUp{ 0.2 }, 200)
  local function moments(k) return k:mean():item(), (k * k):mean():item() end
  local mean, square = moments(kept) -- of beta numbers: 1/2, 1/4 + 1 / (4 (2 alpha + 1))
  lu.assertTrue(math.abs(mean - 0.5) < 0.12 and math.abs(square - 0.4286) < 0.12)
  mean, square = moments((holdings(L.MixUp{ 50 }, 200)))
  lu.assertTrue(math.abs(mean - 0.5) < 0.02 and math.abs(square - 0.2525) < 0.02)
  local y
  kept, y = holdings(L.CutMix{ { 1, 1 } }, 200)
  lu.assertTrue(math.abs(kept:mean():item() - 0.5) < 0.12)
  lu.assertEquals((y * (y - 1)):abs():max():item(), 0)
  lu.assertErrorMsgContains('"alpha" is 0', holdings, L.MixUp{ 0 }, 4)
end

function TestLayersTrain.test_values_by_chance()
  local x = cornu.rand(200, 3, 4, 3)
  local layer = L.Solarization{ addition_factor = { 0, 0 }, threshold_factor = { 0.5, 0.5 }, value_range = { 0, 1 } }
  local _, y = changed(layer, x)
  local turned = (y - x):abs():gt(1e-5)
  lu.assertTrue(((y - 1 + x) * cornu.cast(turned, "float32")):abs():max():item() < 1e-5)
  -- limits are from 0.5 / 255 to 1/2, whatever the lower one is: a share of 3/4 is above
  lu.assertTrue(math.abs(cornu.cast(turned, "float32"):mean():item() - 0.75) < 0.05)
  local share = changed(L.RandomGaussianBlur{ { 0.4, 0.4 }, value_range = { 0, 1 } }, x)
  lu.assertTrue(math.abs(share - 0.4) < 0.14)
end

-- What RandAugment and AugMix choose among and a factor of 1/4 leaves nothing to chance of: other layers in training.
local function candidates(x)
  local quarter, range = { 0.25, 0.25 }, { 0, 1 }
  local layers = {
    L.RandomTranslation{ quarter, width_factor = quarter }, L.RandomRotation{ quarter },
    L.RandomPosterization{ { 1, 1 }, value_range = range }, L.AutoContrast{ value_range = range },
    L.Equalization{ value_range = range },
    L.RandomBrightness{ quarter, value_range = range }, L.RandomColorDegeneration{ quarter, value_range = range },
    L.RandomSharpness{ quarter, value_range = range },
  }
  for i, layer in ipairs(layers) do layers[i] = select(2, changed(layer, x)) end
  return layers
end

-- What `runs` calls of a layer make of x.
local function calls(layer, x, runs)
  local shape = x:shape()
  local model = model_of(layer, { shape[2], shape[3], shape[4] })
  local trainer = core.new_trainer(model, "sgd", function(out) return { out[1]:sum() * 0, out[1] } end, 1)
  return function()
    runs = runs - 1
    return runs >= 0 and trainer:batch(true, { x }, {})[2] or nil
  end
end

function TestLayersTrain.test_chosen_changes()
  local x, seen, factor = cornu.rand(3, 6, 6, 3), {}, { 0.25, 0.25 }
  local all = candidates(x)
  for y in calls(L.RandAugment{ num_ops = 1, factor = factor, value_range = { 0, 1 } }, x, 300) do
    for i, z in ipairs(all) do
      if y:allclose(z, 1e-5, 1e-5) then seen[i] = (seen[i] or 0) + 1 end
    end
  end
  for i = 1, #all do lu.assertTrue(math.abs((seen[i] or 0) - 300 / 11) < 20, "change " .. i) end
  -- one chain of one change or of none: on the way from the images to one of these
  local found, sum = 0, 0
  local layer = L.AugMix{ num_chains = 1, chain_depth = 1, factor = factor, value_range = { 0, 1 }, all_ops = false }
  for y in calls(layer, x, 200) do
    for i = 1, 5 do
      local way, done = all[i] - x, y - x
      local share = (way * done):sum() / (way * way):sum()
      if share:item() > 1e-3 and (done - way * share):abs():max():item() < 1e-4 then
        found, sum = found + 1, sum + share:item()
      end
    end
  end
  lu.assertTrue(math.abs(found / 200 - 5 / 8) < 0.12)
  lu.assertTrue(math.abs(sum / found - 0.5) < 0.1)
  for y in calls(L.AugMix{ chain_depth = 0, value_range = { 0, 1 } }, x, 5) do
    lu.assertTrue(y:allclose(x, 1e-5, 1e-5)) -- the chains' shares add up to 1
  end
  lu.assertErrorMsgContains('"chain_depth" is 50', changed, L.AugMix{ chain_depth = 50 }, x)
end

-- ---- Layers in Lua ----

local function scale_layer(extra)
  return cornu.Layer{
    class_name = "Scale", config = { power = 2 },
    build = function(layer, shape)
      layer:add_weight("factor", { shape[#shape] }, { initializer = "ones", regularizer = cornu.regularizers.L2(0.5) })
      layer:add_weight("offset", { shape[#shape] }, { constraint = "non_neg" })
      layer:add_weight("fixed", { 1 }, { trainable = false, initializer = cornu.initializers.Constant(3) })
    end,
    call = function(x, layer)
      local w = layer:weights()
      if extra then layer:add_loss((x * x):mean()) end
      return x * w[1] ^ layer.config.power + w[2] + w[3] * 0
    end,
  }
end

function TestLayersTrain.test_layer_in_lua()
  local layer = scale_layer(true)
  local m = model_of(layer, { 2 })
  lu.assertEquals(layer:weights()[1]:totable(), { 1, 1 })
  lu.assertEquals(layer:weights()[3]:totable(), { 3 })
  lu.assertEquals(m:count_params(true), 4)
  local x, y = cornu.tensor{ { 1, 2 } }, cornu.tensor{ { 0, 3 } }
  local t = core.new_trainer(m, { class_name = "SGD", config = { learning_rate = 0.1 } }, squares, 1)
  -- errors 1 and -1: loss 1, of the weights 0.5 * 2, of the layer 2.5
  lu.assertAlmostEquals(t:batch(true, { x }, { y })[1]:item(), 1 + 1 + 2.5, 1e-6)
  -- d factor = 2 x error, and 2 * 0.5 * factor of the regularizer; d offset = error: below 0 the constraint takes it
  local w = layer:weights()
  lu.assertTrue(w[1]:allclose({ 1 - 0.1 * (2 * 1 * 1 + 1), 1 - 0.1 * (2 * 2 * -1 + 1) }, 1e-5, 1e-6))
  lu.assertTrue(w[2]:allclose({ 0, 0.1 }, 1e-5, 1e-6))
  lu.assertEquals(w[3]:totable(), { 3 })
end

function TestLayersTrain.test_layer_tells_training()
  local layer = cornu.Layer{ call = function(x, l) return l:in_training() and x * 2 or x end }
  local m, x = model_of(layer, { 2 }), cornu.ones(1, 2)
  lu.assertEquals(m(x):totable(), { { 1, 1 } })
  lu.assertEquals(in_training(m, x):totable(), { { 2, 2 } })
  lu.assertErrorMsgContains("call = function", cornu.Layer, {})
  local other = L.Dense{ 2 }
  model_of(other, { 2 })
  local strange = model_of(cornu.Layer{ call = function(v) return v * other:weights()[2] end }, { 2 })
  lu.assertErrorMsgContains("no part of the model", in_training, strange, x)
end

-- ---- Parts of configs ----

function TestLayersTrain.test_initializers()
  local I, inputs, outputs = cornu.initializers, 300, 200
  local function kernel(init)
    local layer = L.Dense{ outputs, kernel_initializer = init }
    model_of(layer, { inputs })
    return layer:weights()[1]
  end
  local both = (inputs + outputs) / 2
  local deviations = {
    GlorotUniform = both, GlorotNormal = both, HeUniform = inputs / 2, HeNormal = inputs / 2, LecunUniform = inputs,
    LecunNormal = inputs,
  }
  for name, n in pairs(deviations) do
    local w = kernel(I[name]{ seed = 3 })
    lu.assertAlmostEquals(w:std():item(), math.sqrt(1 / n), 0.01 * math.sqrt(1 / n) + 1e-4, name)
    lu.assertTrue(w:allclose(kernel(I[name]{ seed = 3 }), 0, 0))
    lu.assertFalse(w:allclose(kernel(I[name]{ seed = 4 }), 1e-3, 1e-3))
  end
  local scaled = kernel(I.VarianceScaling{ scale = 3, mode = "fan_out", distribution = "uniform" })
  lu.assertAlmostEquals(scaled:std():item(), math.sqrt(3 / outputs), 2e-3)
  lu.assertAlmostEquals(kernel(I.RandomNormal{ mean = 2, stddev = 0.5 }):mean():item(), 2, 0.01)
  lu.assertTrue(kernel(I.TruncatedNormal{ stddev = 1 }):abs():max():item() <= 2)
  lu.assertEquals(kernel(I.Constant(0.25)):max():item(), 0.25)
  local w = kernel(I.Orthogonal{ gain = 2 })
  lu.assertTrue((w:transpose(2, 1):matmul(w)):allclose(cornu.eye(outputs) * 4, 1e-4, 1e-4))
end

function TestLayersTrain.test_parts()
  local R, C = cornu.regularizers, cornu.constraints
  lu.assertEquals(R.L2(0.5).config.l2, 0.5)
  lu.assertIs(R.l2, R.L2)
  lu.assertStrContains(cornu.help(C.MaxNorm), "max_value = 2")
  lu.assertStrContains(cornu.help "regularizers", "OrthogonalRegularizer")
  lu.assertErrorMsgContains('did you mean "l2"', R.L2, { l3 = 1 })
  lu.assertErrorMsgContains('expected a number >= 0', R.L2, { -1 })
  lu.assertErrorMsgContains('did you mean "MaxNorm"', function() return C.MaxNorn end)
  lu.assertErrorMsgContains('"kernel_regularizer" > no regularizer "l7"', L.Dense, { 2, kernel_regularizer = "l7" })
  lu.assertErrorMsgContains('"kernel_initializer" > no initializer "he_norma": did you mean "he_normal"', L.Dense,
    { 2, kernel_initializer = "he_norma" })
  local layer = L.Dense{ 2, kernel_regularizer = R.L1(0.5), use_bias = false }
  local m = model_of(layer, { 2 }, { { { 1, -2 }, { 3, 0 } } })
  local t = core.new_trainer(m, "sgd", function(out) return { out[1]:sum() * 0 } end, 1)
  lu.assertAlmostEquals(t:batch(false, { cornu.ones(1, 2) }, {})[1]:item(), 3, 1e-6)
end

for _, suite in ipairs { "keras1", "keras2", "tfkeras2", "keras3" } do
  local texts = cornu.json.decode(support.read("tests/training/layers/" .. suite .. ".json"))
  local arrays
  for name, text in pairs(texts) do
    TestLayersTrain[("test_%s_%s"):format(suite, name)] = function()
      arrays = arrays or cornu.load_npz("tests/training/layers/" .. suite .. ".npz")
      check(suite, name, text, arrays)
    end
  end
end
