-- Saving: files load again and predict the same, a failure leaves the old file, what cannot be said is told.
local lu = require "luaunit"
local cornu = require "cornu"
local core = require "cornu.core"
local support = require "support"
local L = cornu.layers

TestSave = {}

function TestSave:tearDown() support.clean() end

-- What the model gives for the inputs of its case.
local function outputs(model, case, arrays)
  local inputs = {}
  for i, name in ipairs(case.inputs) do inputs[case.input_names and case.input_names[i] or i] = arrays[name] end
  model:reset_states()
  local y = model:predict(#case.inputs == 1 and not case.input_names and inputs[1] or inputs)
  return cornu.type(y) == "tensor" and { y } or y
end

local function load_case(name)
  local dir = "tests/models/" .. name .. "/"
  local case = cornu.json.decode(support.read(dir .. "case.json"))
  local weights = case.weights and dir .. case.weights or nil
  local options = { by_name = case.by_name, skip_mismatch = case.skip_mismatch, backend = case.backend }
  local model = weights and cornu.load(dir .. case.model, weights, options) or cornu.load(dir .. case.model, options)
  return model, case, cornu.load_npz(dir .. "io.npz")
end

local function assert_same(want, got, what, exact)
  for name, t in pairs(want) do
    lu.assertNotNil(got[name], what)
    local close, worst = got[name]:allclose(t, exact and 0 or 1e-4, exact and 0 or 1e-5)
    lu.assertTrue(close, ("%s: output %s differs by %g"):format(what, name, worst))
  end
end

-- Of every Keras: convolutions of both orders, recurrent layers (whose gates' pieces change), wrappers, nested and shared
-- models, several ends with names, vocabularies, operations.
local every = {
  "keras1/images_tf", "keras1/images_th", "keras1/recurrent", "keras2/images", "keras2/nested", "keras2/recurrent",
  "keras2/shapes", "keras2/siamese", "keras2/orders", "keras2/cells", "keras3/adapted", "keras3/cells", "keras3/dicts",
  "keras3/siamese",
}

function TestSave:testModels()
  for _, name in ipairs(every) do
    local model, case, arrays = load_case(name)
    local want = outputs(model, case, arrays)
    for _, extension in ipairs { ".keras", ".h5", ".cornu" } do
      local path = support.file(nil, extension)
      model:save(path)
      local again = cornu.load(path)
      local own = extension == ".cornu"
      lu.assertEquals(again.keras_version:sub(1, 1), own and name:match "%d" or (extension == ".keras" or name:find "keras3") and "3" or "2")
      assert_same(want, outputs(again, case, arrays), name .. extension, own)
    end
  end
end

-- JSON with weights in each form, in the words of either Keras.
function TestSave:testPairs()
  local model, case, arrays = load_case "keras2/images"
  local want = outputs(model, case, arrays)
  for _, way in ipairs { { ".h5" }, { ".weights.h5" }, { ".h5", 3 } } do
    local json, weights = support.file(nil, ".json"), support.file(nil, way[1])
    cornu.save(model, json, weights, { keras = way[2] })
    assert_same(want, outputs(cornu.load(json, weights), case, arrays), way[1])
  end
  lu.assertStrContains(model:to_json(), '"backend": "tensorflow"')
  lu.assertStrContains(model:to_json{ keras = 3 }, '"module": "keras.layers"')
  local npz = support.file(nil, ".npz")
  model:save_weights(npz)
  for path, tensor in pairs(cornu.load_npz(npz)) do
    local layer, weight = path:match "^(.-)/(.*)$"
    local found = false
    for i, name in ipairs(model:layer(layer):weight_names()) do
      if name == weight then found = model:layer(layer):weights()[i]:allclose(tensor, 0, 0) end
    end
    lu.assertTrue(found, path)
  end
  local weights = model:get_weights()
  for _, w in ipairs(weights) do w:fill(0) end
  model:set_weights(weights)
  model:load_weights(npz)
  assert_same(want, outputs(model, case, arrays), ".npz")
  cornu.save_npz(npz, { other = cornu.zeros(3) })
  lu.assertErrorMsgContains("is missing", model.load_weights, model, npz)
end

-- Models made here: flags, names, the calls of shared layers, attention and states.
function TestSave:testMade()
  cornu.manual_seed(3)
  local x = cornu.Input{ shape = { 6, 4 }, name = "x" }
  local shared = L.Dense{ 8, name = "shared" }
  local a, b = shared(x), shared(L.Dense{ 4, name = "before" }(x))
  local c = L.MultiHeadAttention{ 2, 4, name = "heads" }{ a, b }
  local y = L.LSTM{ 5, name = "last" }(L.Add{ name = "sum" }{ a, c })
  local model = cornu.Model{ inputs = x, outputs = { seen = c, last = y }, name = "made" }
  model:layer "shared".trainable = false
  local input = cornu.randn(3, 6, 4)
  local want = model(input)
  for _, extension in ipairs { ".keras", ".h5", ".cornu" } do
    local path = support.file(nil, extension)
    model:save(path)
    local again = cornu.load(path)
    lu.assertEquals(again.name, "made")
    lu.assertFalse(again:layer "shared".trainable)
    lu.assertEquals(#again.layers, #model.layers)
    assert_same(want, again(input), extension)
  end
  local slice = model:slice("before", "heads")
  local path = support.file(nil, ".keras")
  slice:save(path)
  assert_same({ slice(input) }, { cornu.load(path)(input) }, "slice")
end

-- The code of a Lambda, a handler's class and its weights go through a file.
function TestSave:testCustom()
  local custom = { Scale = { build = function(layer, shape) layer:add_weight("factor", { shape[#shape] }) end,
                             call = function(x, layer) return x * layer:weights()[1] end } }
  local json = cornu.json.encode {
    module = "keras", class_name = "Sequential", config = { name = "s", layers = cornu.json.list {
      { module = "keras.layers", class_name = "InputLayer",
        config = { batch_shape = cornu.json.list { cornu.null, 3 }, name = "in" } },
      { module = "mine", class_name = "Scale", registered_name = "mine>Scale",
        config = { name = "scale", deep = { 1, 2 } } } } } }
  local model = cornu.load(json, { custom_objects = custom })
  model:layer "scale":set_weights{ cornu.tensor{ 1, 2, 3 } }
  local path
  for _, extension in ipairs { ".keras", ".h5", ".cornu" } do
    path = support.file(nil, extension)
    model:save(path)
    local again = cornu.load(path, { custom_objects = custom })
    support.same(again(cornu.ones(1, 3)), { { 1, 2, 3 } })
    lu.assertEquals(again:layer "scale".config.deep, { 1, 2 })
  end
  -- without build() the handler gets the file's own arrays
  local plain = cornu.load(path, { custom_objects = { Scale = custom.Scale.call } })
  support.same(plain(cornu.ones(1, 3)), { { 1, 2, 3 } })
  lu.assertStrContains(model:to_json(), '"registered_name": "mine>Scale"')
end

-- A model of Keras 1 on Theano within one that is made here: a flat file keeps where each layer comes from.
function TestSave:testMixed()
  local old = load_case "keras1/images_th"
  local x, y = cornu.Input{ shape = { 2, 8, 7 } }, cornu.Input{ shape = { 5 } }
  local model = cornu.Model{ inputs = { x, y }, outputs = { old(x)[1], L.Dense{ 3 }(y) } }
  local given = { cornu.randn(2, 2, 8, 7), cornu.randn(2, 5) }
  local path = support.file(nil, ".cornu")
  model:save(path)
  assert_same(model(given), cornu.load(path)(given), "mixed", true)
end

-- More names than an attribute of HDF5 holds.
function TestSave:testManyNames()
  local list = { cornu.Input{ shape = { 2 } } }
  for i = 1, 800 do list[#list + 1] = L.Rescaling{ 1, name = ("scale_%d_"):format(i) .. ("x"):rep(80) } end
  list[#list + 1] = L.Dense{ 2, name = "last" }
  local model, path = cornu.Sequential(list), support.file(nil, ".h5")
  model:save(path)
  local again = cornu.load(path)
  lu.assertEquals(#again.layers, 801)
  support.same(again:layer "last":weights()[1], model:layer "last":weights()[1]:totable())
end

-- Training goes on with the same bits; a state that does not fit the optimizer is refused.
function TestSave:testTrained()
  cornu.manual_seed(5)
  local model = cornu.Sequential{ cornu.Input{ shape = { 4 } }, L.Dense{ 6, "tanh" }, L.BatchNormalization{}, L.Dense{ 2 } }
  model:compile{ optimizer = { class_name = "Adam", config = { learning_rate = 0.01 } }, loss = "mse", metrics = { "mae" } }
  local x, y = cornu.randn(24, 4), cornu.randn(24, 2)
  local function step(m, i) m:train_on_batch(x[{ { 8 * i + 1, 8 * i + 8 } }], y[{ { 8 * i + 1, 8 * i + 8 } }]) end
  step(model, 0)
  local paths = { support.file(nil, ".keras"), support.file(nil, ".h5"), support.file(nil, ".cornu"),
                  support.file(nil, ".keras"), support.file(nil, ".cornu") }
  for i = 1, 3 do model:save(paths[i]) end
  for i = 4, 5 do cornu.load(paths[1]):save(paths[i]) end -- not trained in between
  step(model, 1)
  step(model, 2)
  for _, path in ipairs(paths) do
    local again = cornu.load(path)
    step(again, 1)
    step(again, 2)
    for i, w in ipairs(again:weights()) do lu.assertTrue(w:allclose(model:weights()[i], 0, 0), path) end
  end
  local settings = cornu.load(paths[1]):training_config()
  core.save_model(model, paths[1], false, { training_config = settings, optimizer_names = { "a" },
                                            optimizer_arrays = { cornu.ones(3) } })
  support.fails("the optimizer's state does not fit", step, cornu.load(paths[1]), 0)
end

-- Functions of Lua are in no file: without its loss a model does not train, with it training goes on with the same bits.
function TestSave:testFunctionsOfLua()
  local function squares(y, p) return (y - p) ^ 2 end
  local model = cornu.Sequential{ cornu.Input{ shape = { 3 } }, L.Dense{ 2 } }
  model:compile{ optimizer = "adam", loss = squares, metrics = { squares, "mae", { name = "own", squares } } }
  local x, y = cornu.randn(4, 3), cornu.randn(4, 2)
  model:train_on_batch(x, y)
  local told, write = "", io.stderr
  io.stderr = { write = function(_, text) told = told .. text end }
  local paths = { support.file(nil, ".keras"), support.file(nil, ".h5") }
  local ok, message = pcall(function()
    for _, path in ipairs(paths) do model:save(path) end
  end)
  io.stderr = write
  lu.assertTrue(ok, message)
  lu.assertEquals(select(2, told:gsub("functions of Lua", "")), 1)
  lu.assertStrContains(told, "loss, metrics")
  model:train_on_batch(x, y)
  for _, path in ipairs(paths) do
    local again = cornu.load(path)
    lu.assertEquals(#again:training_config().metrics, 1)
    support.fails("names no loss", again.train_on_batch, again, x, y)
    again:compile{ loss = squares, resume = true }
    again:train_on_batch(x, y)
    lu.assertTrue(again:predict(x):allclose(model:predict(x), 0, 0))
  end
  support.fails("is from no file", model.compile, model, { resume = true })
end

-- What Keras 3 says with other layers or operations around, in a sequence and in a graph whose layers are called twice.
function TestSave:testBeside()
  local hard, turned = { activation = "hard_sigmoid", name = "act" }, { filters = 2, kernel_size = { 4, 3 },
    strides = { 2, 1 }, padding = "same", data_format = "channels_last", name = "conv" }
  local json = support.read(support.sequential({ 7, 6, 3 }, { { "Conv2D", turned }, { "Activation", hard } }))
  local sequence = cornu.load(support.file(json:gsub('"tensorflow"', '"theano"'), ".json"))
  local x = cornu.Input{ shape = { 7, 6, 3 }, name = "x" }
  local conv, act = sequence:layer "conv", sequence:layer "act"
  local twice = cornu.Model{ inputs = x, outputs = { act(conv(x)), act(conv(L.Dense{ 3 }(x))) } }
  local input = cornu.randn(2, 7, 6, 3)
  for _, model in ipairs { sequence, twice } do
    local path, want = support.file(nil, ".keras"), model:predict(input)
    model:save(path)
    local again = cornu.load(path)
    local got = again:predict(input)
    assert_same(type(want) == "table" and want or { want }, type(got) == "table" and got or { got }, "beside")
    lu.assertNotNil(again:layer "conv_zero_padding2d")
  end
end

-- Layers of Keras 1 that Keras 3 says as several: their weights change with them.
function TestSave:testKeras1()
  local function config(layer) return '{"class_name": "' .. layer .. ', "name": "a", "batch_input_shape": [null, %s]}}' end
  local cases = {
    { config 'MaxoutDense", "config": {"output_dim": 3, "nb_feature": 4', "5", { 2, 5 } },
    { config [[Deconvolution2D", "config": {"nb_filter": 2, "nb_row": 3, "nb_col": 2, "border_mode": "same",
      "subsample": [2, 1], "dim_ordering": "tf", "output_shape": [null, 9, 4, 2] ]], "5, 4, 3", { 2, 5, 4, 3 } },
  }
  for _, case in ipairs(cases) do
    local json = '{"class_name": "Sequential", "keras_version": "1.2.2", "config": [' .. case[1]:format(case[2]) .. "]}"
    local model, x = cornu.load(support.file(json, ".json")), cornu.randn(case[3])
    local path = support.file(nil, ".keras")
    model:save(path)
    assert_same({ model:predict(x) }, { cornu.load(path):predict(x) }, json)
  end
end

-- A layer of several nested models comes back as one: what is set in one model is set in the others.
function TestSave:testShared()
  local shared = L.Dense{ 3, name = "shared" }
  local function part(name)
    local x = cornu.Input{ shape = { 3 }, name = name .. "_in" }
    return cornu.Model{ inputs = x, outputs = shared(x), name = name }
  end
  local x = cornu.Input{ shape = { 3 }, name = "x" }
  local model = cornu.Model{ inputs = x, outputs = L.Add{ name = "sum" }{ part "a"(x), part "b"(x), shared(x) } }
  local input = cornu.randn(2, 3)
  for _, extension in ipairs { ".keras", ".h5" } do
    local path = support.file(nil, extension)
    model:save(path)
    local again = cornu.load(path)
    lu.assertTrue(again:predict(input):allclose(model:predict(input), 1e-6, 1e-6))
    for _, name in ipairs { "a/shared", "b/shared" } do
      again:layer(name):set_weights{ cornu.ones(3, 3), cornu.zeros(3) }
      lu.assertTrue(again:layer "shared":weights()[1]:allclose(cornu.ones(3, 3)), name)
      again:layer "shared":set_weights{ cornu.zeros(3, 3), cornu.zeros(3) }
    end
  end
end

-- Functions of TensorFlow as operations.
function TestSave:testFunctions()
  local function node(name, f, from, kwargs)
    return { class_name = "TFOpLambda", name = name, config = { name = name, ["function"] = f },
             inbound_nodes = cornu.json.list { cornu.json.list { from, 0, 0, kwargs } } }
  end
  local list = cornu.json.list
  local numbers, pairs_of = list { 1.5, -2, 0.25 }, list { list { 0, 0 }, list { 1, 2 }, list { 0, 0 } }
  local text = cornu.json.encode { class_name = "Functional", keras_version = "2.15.0", backend = "tensorflow", config = {
    name = "m", input_layers = list { list { "x", 0, 0 } },
    output_layers = list { list { "where", 0, 0 }, list { "sum", 0, 0 } },
    layers = list {
      { class_name = "InputLayer", name = "x", inbound_nodes = list {},
        config = { name = "x", batch_input_shape = list { cornu.null, 4, 3 }, dtype = "float32" } },
      node("times", "math.multiply", "x", { y = numbers }),
      node("length", "math.l2_normalize", "times", { axis = -1, epsilon = 0.25 }),
      node("product", "linalg.matmul", "length", { b = list { "x", 0, 0 }, transpose_b = true }),
      node("share", "nn.softmax", "product", { axis = 1 }),
      node("wide", "compat.v1.pad", "share", { paddings = pairs_of, mode = "REFLECT" }),
      node("sum", "math.cumsum", "wide", { axis = 1 }),
      node("where", "math.argmax", "sum", { axis = -1 }) } } }
  local model, input = cornu.load(support.file(text, ".json")), cornu.randn(2, 4, 3)
  local path = support.file(nil, ".keras")
  model:save(path)
  local again = cornu.load(path)
  local got = again:predict(input)
  assert_same(model:predict(input), got, "functions")
  lu.assertEquals(got[1]:dtype(), "int64")
end

function TestSave:testRefused()
  local model = cornu.load(support.sequential({ 4, 2 }, { { "TimeDistributed", { layer = {
    class_name = "Activation", config = { activation = "hard_sigmoid", name = "act" } } } } }))
  local path = support.file("old", ".keras")
  support.fails('layer "act" (Activation): "activation" is "hard_sigmoid", which Keras 3 cannot say', model.save, model,
    path)
  support.fails("save as .h5", model.save, model, path)
  lu.assertEquals(support.read(path), "old")
  support.fails("the name tells what is written", model.save, model, "model.txt")
  support.fails("save_weights writes it", model.save, model, "model.weights.h5")
  support.fails(".keras files are those of Keras 3", model.save, model, path, { keras = 2 })
  support.fails("Not a directory", model.save, model, path .. "/x.h5")
  support.fails('save has no option "kera"', model.save, model, path, { kera = 2 })
end
