-- Models made by hand, and changed: layers, symbols, heads, weights, names, freezing, copies.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails
local L = cornu.layers
local folder = (arg[0]:match "^(.*/)" or "./") .. "../models/keras3/siamese/"

TestCompose = {}

local function near(got, want)
  local ok, worst = got:allclose(want, 1e-4, 1e-5)
  lu.assertTrue(ok, "differs by " .. tostring(worst))
end

local function siamese()
  local io = cornu.load_npz(folder .. "io.npz")
  return cornu.load(folder .. "model.keras"), io, { left = io.i0, right = io.i1 }
end

-- The model of the fixture by hand, with its weights: real Keras's outputs.
function TestCompose:test_by_hand()
  local m, io, x = siamese()
  local i = cornu.Input { shape = { 6, 6, 3 } }
  local a = L.Conv2D { 4, 3, padding = "same", activation = "relu", name = "conv1" } (i)
  local s = L.Add {} { a, L.Conv2D { 4, { 3, 3 }, padding = "same", name = "conv2" } (a) }
  local encoder = cornu.Model { inputs = i, outputs = { s, L.GlobalAveragePooling2D {} (s) }, name = "encoder" }
  local left, right = cornu.Input { shape = { 6, 6, 3 }, name = "left" }, cornu.Input { shape = { 6, 6, 3 }, name = "right" }
  local shared = L.Dense { 5, "tanh", name = "shared" }
  local p, q = shared(encoder(left)[2]), shared(encoder(right)[2])
  local head = cornu.Sequential { L.Dense { 6, "relu", input_shape = { 10 }, name = "fc" }, L.Dense { 3, "softmax", name = "softmax" },
    name = "head" }
  local made = cornu.Model { inputs = { left, right }, outputs = { out = head(L.Concatenate {} { p, q }), gap = L.Subtract {} { p, q } } }
  lu.assertEquals(made:weight_names(), m:weight_names())
  made:set_weights(m:get_weights())
  local y = made(x)
  near(y.out, io.o0)
  near(y.gap, io.o1)
  near(made:slice("encoder[1]/conv2", "shared[1]")(m:outputs_of "encoder[1]/conv1"(x)), m:outputs_of "shared[1]"(x))
  lu.assertEquals({ made:layer("encoder"):calls(), #made.layers, made.layers.shared.name }, { 2, 7, "shared" })
end

function TestCompose:test_heads_share_weights()
  local m, _, x = siamese()
  local features = m:slice("join", "head/fc")
  local model = cornu.Model { inputs = m.inputs, outputs = L.Dense { 2, name = "two" } (m:layer("head/fc"):output()) }
  lu.assertEquals(model.outputs[1].shape, { -1, 2 })
  lu.assertTrue(model:layer("shared") == m:layer("shared"))
  near(model(x), model:layer "two"(m:outputs_of "head/fc"(x)))
  m:layer("head/fc"):set_weights { bias = cornu.full({ 6 }, -1000) }
  lu.assertEquals({ features.inputs[1].name, features.inputs[2].name }, { "shared", "shared_2" })
  same(features { cornu.ones(1, 5), cornu.ones(1, 5) }, { { 0, 0, 0, 0, 0, 0 } })
  near(model(x)[1], model:layer("two"):weight "bias")
end

function TestCompose:test_replace_and_insert()
  local m, io, x = siamese()
  local other = m:replace("head", L.Dense { 4, "softmax", name = "four" })
  lu.assertEquals({ other.outputs[1].shape, #other(x), other(x)[1]:shape() }, { { -1, 4 }, 2, { 2, 4 } })
  near(other(x)[2], io.o1)
  local twice = m:insert("shared", function(y) return L.Rescaling { 2 } (y) end)
  near(twice(x)[2], io.o1 * 2)
  local plain = m:replace("gap", { L.Add {}, L.Rescaling { 0.5, name = "half" } })
  near(plain(x)[2] * 2, m:outputs_of "shared[1]"(x) + m:outputs_of "shared[2]"(x))
  local chain = cornu.Sequential { L.Dense { 2, input_shape = { 3 } }, L.Dense { 3 } }
  lu.assertEquals({ chain:replace(-1, L.Dense { 5 }).type, chain[{ 1, -2 }].outputs[1].shape }, { "Sequential", { -1, 2 } })
  fails('expected 2 values on its last axis', chain.replace, chain, 1, L.Dense { 7 })
  fails("nothing to put into a model", chain.replace, chain, 1, 3)
  fails("what takes its place has 2", chain.replace, chain, 1, function(y) return { y, y } end)
end

function TestCompose:test_sequential()
  local s = cornu.Sequential {}
  s:add(cornu.Input { shape = { 3 } })
  s:add(L.Dense { 2, use_bias = false, name = "a" })
  s:add(L.Dense { units = 1, use_bias = false, name = "b" })
  s:set_weights { ["a/kernel"] = { { 1, 0 }, { 0, 1 }, { 1, 1 } }, ["b/kernel"] = { { 1 }, { 10 } } }
  same(s { { 1, 2, 3 } }, { { 54 } })
  lu.assertEquals({ s:pop().name, #s }, { "b", 1 })
  same(s { { 1, 2, 3 } }, { { 4, 5 } })
  fails("the first thing", s.add, s, cornu.Input { shape = { 3 } })
  fails("(?, 2)", s.add, s, L.Conv1D { 2, 3 })
  lu.assertEquals(#s, 1)
  local late = cornu.Sequential { L.LSTM { 4 }, L.Dense { 2 } } -- the first run tells the shape
  lu.assertEquals(late(cornu.rand(3, 5, 2)):shape(), { 3, 2 })
  lu.assertEquals({ late.inputs[1].shape, late:count_params() }, { { -1, 5, 2 }, 4 * 4 * (2 + 4 + 1) + 10 })
  local nested = cornu.Sequential { s, L.Softmax {} }
  lu.assertEquals({ nested[1].class_name, nested[1].model:layer("a") == s[1] }, { "Sequential", true })
  fails("is not Sequential", (siamese()).add, (siamese()), L.Dense { 1 })
  fails("there twice", cornu.Sequential, { s[1], s[1] })
end

function TestCompose:test_constructors()
  same(L.Dense { 2, kernel_initializer = "ones", bias_initializer = "ones" } { cornu.ones(1, 3) }, { { 4, 4 } })
  lu.assertEquals(L.Bidirectional { L.LSTM { 3, return_sequences = true } } (cornu.Input { shape = { 5, 2 } }).shape, { -1, 5, 6 })
  lu.assertEquals(L.LocallyConnected1D { 2, 3 } (cornu.Input { shape = { 5, 2 } }).shape, { -1, 3, 2 })
  lu.assertEquals(L.Convolution2D { 2, 3 }.class_name, "Convolution2D")
  lu.assertEquals(cornu.Input { batch_shape = { 4, -1, 2 }, dtype = "int32", name = "ids" }.shape, { 4, -1, 2 })
  cornu.manual_seed(5)
  local a = L.Dense { 3 } (cornu.ones(1, 2))
  cornu.manual_seed(5)
  lu.assertTrue((a:allclose(L.Dense { 3 } (cornu.ones(1, 2)), 0, 0)))
  fails('no option "unit" (it has: units, activation, use_bias): did you mean "units"?', L.Dense, { unit = 3 })
  fails('"units" is given twice', L.Dense, { 3, units = 3 })
  fails("Dense: argument 3 needs a name (without one: units, activation)", L.Dense, { 1, "relu", true })
  fails('did you mean "Dense"?', function() return L.Danse end)
  fails("PyTorch", function() return L.TorchModuleWrapper end)
  fails("use cornu.Model", function() return L.Functional end)
  fails("shape = {…}", cornu.Input, {})
  fails("that is not known is -1", cornu.Input, { shape = { nil, 3 } })
  fails("size 1 of the shape", cornu.Input, { batch_shape = { 0 } })
  lu.assertStrContains(cornu.help(L.Dense), "units")
end

function TestCompose:test_errors()
  local x, y = cornu.Input { shape = { 4 }, name = "x" }, cornu.Input { shape = { 4 }, name = "y" }
  local sum = L.Add { name = "sum" } { x, y }
  fails('layer "sum" needs the input "y", which is not among the inputs', cornu.Model, { inputs = x, outputs = sum })
  local d = L.Dense { 2, name = "d" }
  d(x)
  fails('layer "d" (Dense) > the input has shape (?, 9), expected 4 values', d, cornu.Input { shape = { 9 } })
  local other = L.Dense { 2, name = "d" }
  fails('two layers are named "d" (Dense and Dense)', cornu.Model, { inputs = x, outputs = other(d(x)) })
  fails("a symbol expected", cornu.Model, { inputs = x, outputs = { 3 } })
  fails("symbols expected", cornu.Model, { inputs = 1, outputs = x })
  fails("no option", cornu.Model, { input = x })
end

function TestCompose:test_names()
  local m = siamese()
  m:layer("shared").name = "common"
  lu.assertEquals({ m.layers.common.name, m:layer("common").config.name }, { "common", "common" })
  lu.assertStrContains(m:summary(), "common (Dense)")
  fails('has a layer "head" (', function() m:layer("common").name = "head" end)
  fails("is no name", m:layer("common").rename, m:layer("common"), "a/b")
  fails("cannot be set", function() m:layer("common").units = 3 end)
  m.name = "twins"
  lu.assertEquals(m.name, "twins")
  m:layer("encoder").name = "eyes"
  lu.assertEquals(m:layer("eyes/conv1").name, "conv1")
  local x = cornu.Input { shape = { 2 } }
  local free = cornu.Model { inputs = x, outputs = L.Dense { 1 } (L.Dense { 1 } (x)) } -- names of their own
  lu.assertFalse(free[2].name == free[3].name)
end

function TestCompose:test_freezing()
  local m = siamese()
  local all = m:count_params(true)
  lu.assertEquals({ #m:trainable_weights(), #m:non_trainable_weights(), m.trainable }, { 10, 0, true })
  m:layer("encoder").trainable = false
  lu.assertFalse(m:layer("encoder/conv1").trainable)
  lu.assertEquals({ #m:trainable_weights(), #m:non_trainable_weights() }, { 6, 4 })
  lu.assertEquals(all - m:count_params(true), m:layer("encoder"):count_params())
  lu.assertStrContains(m:summary(), "Non-trainable params: " .. m:layer("encoder"):count_params())
  m.trainable = false
  lu.assertEquals({ m:count_params(true), m.trainable }, { 0, false })
  fails("true or false", function() m.trainable = 1 end)
end

function TestCompose:test_clone()
  local m, io, x = siamese()
  local copy = m:clone("copy")
  lu.assertEquals({ copy.name, copy:layer("encoder").name, #copy.layers }, { "copy", "encoder", #m.layers })
  near(copy(x)[1], io.o0)
  lu.assertFalse(copy:layer("shared") == m:layer("shared"))
  copy:layer("encoder/conv1"):set_weights { kernel = cornu.zeros(3, 3, 3, 4) }
  copy:layer("encoder/conv1").trainable = false
  near(m(x)[1], io.o0)
  lu.assertTrue(m:layer("encoder/conv1").trainable)
  lu.assertFalse((copy(x)[1]:allclose(io.o0, 1e-4, 1e-5)))
end

function TestCompose:test_weights()
  local m = siamese()
  local before = m:get_weights()
  fails('model "siamese" has no weight "x" (it has: encoder/conv1/kernel', m.set_weights, m, { x = 1 })
  fails("has 10 weights, not 1", m.set_weights, m, { cornu.zeros(1) })
  local list = m:get_weights()
  list[1], list[10] = cornu.zeros(3, 3, 3, 4), cornu.zeros(7)
  fails("has shape (7,), expected (3,)", m.set_weights, m, list)
  near(m:weights()[1], before[1]) -- all or none
  fails('layer "shared" has no weight "gain" (it has: kernel bias)', m:layer("shared").weight, m:layer("shared"), "gain")
  m:layer("shared"):get_weights()[1]:fill(0) -- a copy
  near(m:layer("shared"):weight "kernel", before[5])
end
