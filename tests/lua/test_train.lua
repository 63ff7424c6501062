-- Steps of training: what they change, and that random numbers and threads do not change the result.
local lu = require "luaunit"
local cornu = require "cornu"
local core = require "cornu.core"
local L = cornu.layers

TestTrain = {}

local function xor()
  return cornu.tensor{ { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, cornu.tensor{ { 0 }, { 1 }, { 1 }, { 0 } }
end

local function squares(out, given)
  local d = out[1] - given[1]
  return { (d * d):mean(), d }
end

local function small_net()
  return cornu.Sequential{ cornu.Input{ shape = { 2 } }, L.Dense{ 16, "tanh" }, L.BatchNormalization{},
                           L.Dropout{ 0.1 }, L.Dense{ 1, "sigmoid" } }
end

function TestTrain:testLearns()
  local x, y = xor()
  local m = small_net()
  local t = core.new_trainer(m, { class_name = "Adam", config = { learning_rate = 0.02 } }, squares, 1)
  local first = t:batch(true, { x }, { y })[1]:item()
  for _ = 1, 600 do t:batch(true, { x }, { y }) end
  lu.assertEquals(t:steps(), 601)
  local after = t:batch(false, { x }, { y })[1]:item()
  lu.assertTrue(after < 0.02 and first > 0.1, ("%g, then %g"):format(first, after))
  -- what predict gives is what the trainer has learned, also after more steps
  for _ = 1, 2 do
    local results = t:batch(false, { x }, { y })
    lu.assertTrue((m:predict(x) - y):allclose(results[2], 1e-5, 1e-6))
    t:batch(true, { x }, { y })
  end
end

function TestTrain:testSameBits()
  local x, y = xor()
  local function weights(threads)
    cornu.set_threads(threads)
    cornu.manual_seed(3)
    local m = small_net()
    local t = core.new_trainer(m, "sgd", squares, 7)
    for _ = 1, 20 do t:batch(true, { x }, { y }) end
    return m[1]:weights()[1]
  end
  local one = weights(1)
  lu.assertTrue(one:allclose(weights(2), 0, 0))
  lu.assertTrue(one:allclose(weights(3), 0, 0))
end

function TestTrain:testOneStepOfSgd()
  local m = cornu.Sequential{ cornu.Input{ shape = { 2 } }, L.Dense{ 1 } }
  m[1]:set_weights{ cornu.tensor{ { 1 }, { -2 } }, cornu.tensor{ 0.5 } }
  local before = m[1]:weights()[1]
  local t = core.new_trainer(m, { class_name = "SGD", config = { learning_rate = 0.1 } }, squares, 0)
  t:batch(true, { cornu.tensor{ { 1, 2 }, { 3, -1 } } }, { cornu.tensor{ { 0 }, { 1 } } }) -- errors -2.5 and 4.5
  lu.assertTrue(m[1]:weights()[1]:allclose(cornu.tensor{ { 1 - 0.1 * 11 }, { -2 + 0.1 * 9.5 } }, 1e-6, 1e-6))
  lu.assertTrue(m[1]:weights()[2]:allclose(cornu.tensor{ 0.5 - 0.1 * 2 }, 1e-6, 1e-6))
  lu.assertTrue(before:allclose(cornu.tensor{ { 1 }, { -2 } }, 0, 0), "who held the weights keeps what they were")
  t:set_rate(0)
  t:batch(true, { cornu.tensor{ { 1, 2 } } }, { cornu.tensor{ { 0 } } })
  lu.assertTrue(m[1]:weights()[2]:allclose(cornu.tensor{ 0.3 }, 1e-6, 1e-6))
end

function TestTrain:testFrozenLayersStay()
  local x, y = xor()
  local m = small_net()
  m[1].trainable = false
  m[2].trainable = false
  local before = { m[1]:weights()[1]:totable(), m[2]:weights()[3]:totable() }
  local t = core.new_trainer(m, "adam", squares, 1)
  for _ = 1, 5 do t:batch(true, { x }, { y }) end
  lu.assertEquals(m[1]:weights()[1]:totable(), before[1])
  lu.assertEquals(m[2]:weights()[3]:totable(), before[2])
end

function TestTrain:testErrors()
  local x, y = xor()
  local m = small_net()
  lu.assertErrorMsgContains('no optimizer "sdg"', core.new_trainer, m, "sdg", squares, 0)
  local misspelt = { class_name = "SGD", config = { learning_rat = 1 } }
  lu.assertErrorMsgContains("learning_rat", core.new_trainer, m, misspelt, squares, 0)
  local t = core.new_trainer(m, "sgd", function() error "no loss today" end, 0)
  lu.assertErrorMsgContains("no loss today", t.batch, t, true, { x }, { y })
  t = core.new_trainer(m, "sgd", function(out) return { out[1] } end, 0)
  lu.assertErrorMsgContains("(4, 1)", t.batch, t, true, { x }, { y })
  t = core.new_trainer(m, "sgd", squares, 0)
  lu.assertErrorMsgContains("takes 1 inputs", t.batch, t, true, { x, x }, { y })
  t:close()
  lu.assertErrorMsgContains("closed", t.batch, t, true, { x }, { y })
end
