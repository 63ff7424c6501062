-- Loading, predicting, slicing, layers.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails
local json = cornu.json

TestModel = {}

-- y = relu(x W + b) V, with numbers to check by hand
function TestModel:setUp()
  self.path = support.sequential({ 2 }, {
    { "Dense", { units = 3, activation = "relu", name = "hidden" } },
    { "Dense", { units = 1, use_bias = false, name = "out" } },
  })
  self.model = cornu.load(self.path)
  self.model:layer("hidden"):set_weights { { { 1, 0, -1 }, { 0, 1, -1 } }, { 0, 1, 0 } }
  self.model:layer("out"):set_weights { { { 1 }, { 10 }, { 100 } } }
end

function TestModel:tearDown() support.clean() end

function TestModel:test_call()
  same(self.model(cornu.tensor { { 1, 2 } }), { { 31 } }, "float32")
  same(self.model { { 1, 2 }, { -1, -1 } }, { { 31 }, { 200 } })
  same(self.model { cornu.tensor { { 1, 2 } } }, { { 31 } })
  same(self.model { hidden_input = cornu.tensor { { 1, 2 } } }, { { 31 } })
  same(self.model(cornu.tensor({ { 1, 2 } }, "int64")), { { 31 } })
  same(self.model(cornu.tensor({ { 1, 9, 2 } })[{ {}, { 1, 3, 2 } }]), { { 31 } })
end

function TestModel:test_call_errors()
  fails("without input", self.model)
  fails("without input", self.model, nil)
  fails("one argument", self.model, cornu.zeros(1, 2), cornu.zeros(1, 2))
  fails("a tensor or a table of numbers expected, got string", self.model, "x")
  fails("takes 1 inputs", self.model, { cornu.zeros(1, 2), cornu.zeros(1, 2) })
  fails('no input "x"', self.model, { x = cornu.zeros(1, 2) })
  fails("hidden", self.model, cornu.zeros(1, 5))
  lu.assertFalse((pcall(self.model, cornu.zeros(2))))
end

function TestModel:test_predict()
  local x = cornu.rand(70, 2)
  local y = self.model:predict(x)
  lu.assertTrue((y:allclose(self.model(x), 0, 1e-6)))
  lu.assertEquals(y:shape(), { 70, 1 })
  local seen = {}
  local function progress(done, all) seen[#seen + 1] = done .. "/" .. all end
  y = self.model:predict(x, { batch_size = 30, threads = 1, progress = progress })
  lu.assertTrue((y:allclose(self.model(x), 0, 1e-6)))
  lu.assertEquals(seen, { "30/70", "60/70", "70/70" })
  same(self.model:predict { { 1, 2 } }, { { 31 } })
  fails('predict has no option "batchsize" (it has: batch_size callbacks progress steps threads verbose): did you mean "batch_size"?',
    self.model.predict, self.model, x, { batchsize = 1 })
  fails("without input", self.model.predict, self.model)
end

function TestModel:test_looking()
  local m = self.model
  lu.assertEquals({ m.name, m.type, m.keras_version, #m }, { "seq", "Sequential", "2.2.4", 2 })
  lu.assertEquals(m.inputs[1].shape, { -1, 2 })
  lu.assertEquals(m.inputs[1].dtype, "float32")
  lu.assertEquals(m.outputs[1].shape, { -1, 1 })
  lu.assertEquals({ m:count_params(), m:count_params(true) }, { 12, 12 })
  lu.assertStrContains(m:summary(), "hidden")
  lu.assertEquals(tostring(m), m:summary())
  lu.assertNil(m.nonsense)
  lu.assertEquals(cornu.type(m), "model")
  lu.assertEquals(cornu.check_modeltype(self.path), "Sequential")
  lu.assertTrue(m == m)
end

function TestModel:test_layers()
  local m = self.model
  local hidden = m[1]
  lu.assertEquals({ hidden.name, hidden.class_name, m[-1].name, #m:layers() }, { "hidden", "Dense", "out", 2 })
  lu.assertEquals(hidden.config.units, 3)
  lu.assertEquals(hidden:weight_names(), { "kernel", "bias" })
  lu.assertEquals(hidden:weights()[1]:shape(), { 2, 3 })
  lu.assertEquals({ hidden:count_params(), #hidden, hidden.trainable }, { 9, 2, true })
  lu.assertEquals(hidden:input().shape, { -1, 2 })
  lu.assertEquals(hidden:output(1).shape, { -1, 3 })
  lu.assertTrue(m:layer "hidden" == m:layers()[1])
  lu.assertTrue(m:layer(hidden) == hidden)
  lu.assertStrContains(tostring(hidden), 'layer "hidden" (Dense)')
  same(hidden { { 1, 2 } }, { { 1, 3, 0 } })
  lu.assertNil(hidden.model)
  fails('no layer "x"', m.layer, m, "x")
  fails("no layer 3", function() return m[3] end)
  fails("layers count from 1", function() return m[0] end)
  fails("no number 2", hidden.input, hidden, 2)
end

function TestModel:test_weights_are_read_only()
  local w = self.model[1]:weights()[1]
  fails("read-only", function() w[1] = 0 end)
  fails("read-only", function() w[1][1] = 0 end)
  fails("read-only", function() w:t()[1] = 0 end)
  local clone = w:clone()
  clone[1] = 0
  self.model[1]:set_weights { clone, cornu.zeros(3) }
  same(self.model { { 5, 2 } }, { { 20 } })
  fails("weight 1 is a string", self.model[1].set_weights, self.model[1], { "x", "y" })
  lu.assertFalse((pcall(self.model[1].set_weights, self.model[1], { clone })))
  lu.assertFalse((pcall(self.model[1].set_weights, self.model[1], { cornu.zeros(1), cornu.zeros(3) })))
end

function TestModel:test_slices()
  local m = self.model
  same(m[{ 1, 1 }] { { 1, 2 } }, { { 1, 3, 0 } })
  same(m[{ 2, 2 }] { { 1, 3, 0 } }, { { 31 } })
  same(m[{ -1, -1 }] { { 1, 3, 0 } }, { { 31 } })
  same(m[{ "hidden", "out" }] { { 1, 2 } }, { { 31 } })
  same(m:slice(nil, "hidden") { { 1, 2 } }, { { 1, 3, 0 } })
  same(m:slice("out") { { 1, 3, 0 } }, { { 31 } })
  local both = m:slice(nil, { "hidden", 2 }) { { 1, 2 } }
  same(both[1], { { 1, 3, 0 } })
  same(both[2], { { 31 } })
  lu.assertTrue(m[{ 1, 1 }][1] == m[1])
  fails("comes after the last", function() return m[{ 2, 1 }] end)
  fails("no layer 9", function() return m[{ 1, 9 }] end)
  fails("{first, last}", function() return m[{ 1 }] end)
  fails("no index of a model", function() return m[true] end)
end

local function functional()
  local function node(name) return json.list { json.list { json.list { name, 0, 0, {} } } } end
  local function input(name) return { class_name = "InputLayer", name = name, inbound_nodes = json.list {},
    config = { name = name, batch_input_shape = json.list { cornu.null, 2 }, dtype = "float32" } } end
  local sum = { class_name = "Add", name = "sum", config = { name = "sum" },
    inbound_nodes = json.list { json.list { json.list { "a", 0, 0, {} }, json.list { "b", 0, 0, {} } } } }
  local act = { class_name = "Activation", name = "act", config = { name = "act", activation = "relu" },
    inbound_nodes = node "sum" }
  return support.file(json.encode { class_name = "Model", keras_version = "2.2.4", backend = "tensorflow",
    config = { name = "two",
    layers = json.list { input "a", input "b", sum, act },
    input_layers = json.list { json.list { "a", 0, 0 }, json.list { "b", 0, 0 } },
    output_layers = json.list { json.list { "sum", 0, 0 }, json.list { "act", 0, 0 } } } }, ".json")
end

function TestModel:test_several_inputs_and_outputs()
  local m = cornu.load(functional())
  lu.assertEquals({ m.type, #m.inputs, #m.outputs }, { "Functional", 2, 2 })
  local a, b = cornu.tensor { { 1, -5 } }, cornu.tensor { { 1, 2 } }
  for _, y in ipairs { m { a, b }, m { a = a, b = b }, m { { { 1, -5 } }, { { 1, 2 } } }, m:predict { a, b } } do
    lu.assertEquals(#y, 2)
    same(y[1], { { 2, -3 } })
    same(y[2], { { 2, 0 } })
  end
  local y = m:predict({ cornu.ones(50, 2), cornu.ones(50, 2) }, { batch_size = 16 })
  lu.assertEquals({ y[1]:shape(), y[2]:shape() }, { { 50, 2 }, { 50, 2 } })
  lu.assertEquals(m:layer("sum"):input()[2].shape, { -1, 2 })
  fails("takes 2 inputs", m, a)
  fails("takes 2 inputs (a, b), got 1", m, { a })
  fails('input "b" is missing', m, { a = a })
  fails('no input "c": the model has a, b', m, { a = a, b = b, c = b })
end

function TestModel:test_load_in_all_forms()
  lu.assertEquals(cornu.load(self.path, { seed = 3 }):count_params(), 12)
  lu.assertEquals(cornu.load(self.path, nil, { seed = 3 }):count_params(), 12)
  lu.assertEquals(cornu.load(self.path, { by_name = nil }):count_params(), 12)
  lu.assertEquals(cornu.load(self.path, nil, cornu.zeros(4, 2)):shape(), { 4, 1 })
  lu.assertEquals(cornu.load(self.path, nil, { cornu.zeros(4, 2) }):shape(), { 4, 1 })
  local a, b = cornu.load(self.path, { seed = 1 }), cornu.load(self.path, { seed = 1 })
  lu.assertTrue((a[1]:weights()[1]:allclose(b[1]:weights()[1], 0, 0)))
end

function TestModel:test_load_errors()
  fails("no-such-file.h5", cornu.load, "no-such-file.h5")
  fails('load has no option "by_nam" (it has: backend by_name custom_objects data_format exact seed skip_mismatch trusted): ' ..
    'did you mean "by_name"?', cornu.load, self.path, { by_nam = true })
  fails("options come last", cornu.load, self.path, {}, {})
  fails("got nil", cornu.load)
  fails('"by_name" is a string', cornu.load, self.path, { by_name = "yes" })
  fails('"backend" is a number', cornu.load, self.path, { backend = 1 })
  lu.assertFalse((pcall(cornu.load, support.file("nonsense", ".h5"))))
  lu.assertFalse((pcall(cornu.load, self.path, "no-such-weights.h5")))
  fails("no-such", cornu.check_modeltype, "no-such.h5")
end

function TestModel:test_plans()
  local plan = self.model:plan { batch = 2 }
  same(plan { { 1, 2 }, { -1, -1 } }, { { 31 }, { 200 } })
  local x, y = plan:inputs(), plan:outputs()
  lu.assertEquals({ x:shape(), y:shape() }, { { 2, 2 }, { 2, 1 } })
  x:copy { { 1, 2 }, { 0, 0 } }
  lu.assertTrue(plan:run(x, y) == y)
  same(y, { { 31 }, { 10 } })
  lu.assertTrue(plan:memory() > 0)
  lu.assertIsNumber(plan:flops())
  lu.assertStrContains(tostring(plan), "hidden")
  fails("1 tensors expected", plan.run, plan, { x, x }, y)
  lu.assertFalse((pcall(plan.run, plan, cornu.zeros(3, 2), y)))
  plan:close()
  plan:close()
  fails("the plan is closed", plan, x)
  lu.assertEquals(tostring(plan), "plan (closed)")
end

function TestModel:test_profiles()
  local plan = self.model:plan { batch = 2 }
  local x, y = plan:inputs(), plan:outputs()
  x:copy { { 1, 2 }, { 0, 0 } }
  local list, steps, share, seconds = plan:profile(3, x), plan:steps(), 0, 0
  lu.assertEquals({ #list, list.runs }, { #steps, 3 })
  for i, step in ipairs(list) do
    lu.assertTrue(step.minimum >= 0 and step.minimum <= step.median)
    share, seconds = share + step.share, seconds + step.minimum
    for _, producer in ipairs(step.inputs) do lu.assertTrue(producer >= 1 and producer < i) end
    for key, value in pairs(steps[i]) do lu.assertEquals(step[key], value) end
  end
  lu.assertAlmostEquals(share, 1, 1e-9)
  lu.assertAlmostEquals(seconds, list.seconds, 1e-12)
  local first, last = steps[1], steps[#steps]
  lu.assertEquals({ first.layer, first.dtype, last.shape }, { "hidden", "float32", { 2, 1 } })
  lu.assertEquals({ #first.inputs, #last.inputs }, { 0, 1 })
  lu.assertEquals(#plan:time(x, y), #steps)
  same(y, { { 31 }, { 10 } })
  fails("runs is a number", plan.profile, plan, 0)
  fails("plan:profile(runs)", plan.profile)
end

-- Without a file of weights, the waves of STFTSpectrogram are those of the Fourier transform under its window.
function TestModel:test_computed_waves()
  local settings = { mode = "stft", frame_length = 6, frame_step = 2, fft_length = 8, window = "hamming",
    scaling = cornu.null, expand_dims = true }
  local m = cornu.load(support.sequential({ 10, 1 }, { { "STFTSpectrogram", settings } }))
  local x = cornu.randn(1, 10, 1)
  local y = m(x)
  lu.assertEquals(y:shape(), { 1, 3, 10, 1 })
  local window = cornu.arange(6):float():map(function(i) return 0.54 - 0.46 * math.cos(2 * math.pi * i / 5) end)
  local re, im = (x[{ 1, { 3, 8 }, 1 }] * window):rfft { length = 8 }
  lu.assertTrue(y[{ 1, 2, { 1, 5 }, 1 }]:allclose(re, 1e-5, 1e-5))
  lu.assertTrue(y[{ 1, 2, { 6, 10 }, 1 }]:allclose(im, 1e-5, 1e-5))
  settings.window = "tukey"
  fails('"tukey" is not known', cornu.load, support.sequential({ 10, 1 }, { { "STFTSpectrogram", settings } }))
end

function TestModel:test_exact()
  local path = support.sequential({ 24, 24, 64 }, { { "Conv2D", { filters = 64, kernel_size = { 3, 3 }, padding = "same" } } })
  local fast, exact = cornu.load(path, { seed = 1 }), cornu.load(path, { seed = 1, exact = true })
  local x = cornu.randn(2, 24, 24, 64)
  local y = exact(x)
  lu.assertTrue((fast(x):allclose(y, 0, 2e-5)))
  lu.assertFalse((fast(x):allclose(y, 0, 0)))
  lu.assertTrue((exact[{ 1, 1 }](x):allclose(y, 0, 0)))
end

function TestModel:test_closing()
  local m, layer = self.model, self.model[1]
  m:close()
  m:close()
  lu.assertEquals(tostring(m), "model (closed)")
  fails("the model is closed", m, cornu.zeros(1, 2))
  fails("the model is closed", m.summary, m)
  fails("the model is closed", function() return #m end)
  fails("the model is closed", function() return m.inputs end)
  lu.assertEquals(layer:weights()[1]:shape(), { 2, 3 }) -- a layer outlives the model's object
  layer:close()
  layer:close()
  fails("the layer is closed", layer.weights, layer)
  lu.assertEquals(tostring(layer), "layer (closed)")
end
