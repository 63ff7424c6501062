-- model(x, {training = true}) and layer(x, {training = true}) against real Keras (scripts/make_training_call.py).
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local L = cornu.layers

TestCall = {}

local training = { training = true }

local function near(t, want) lu.assertTrue(t:allclose(want, 1e-5, 1e-5)) end

-- Outputs are by the batch, statistics move on with each call, those of frozen layers stay; plans see it.
function TestCall:testAsKeras()
  local m, want = cornu.load "tests/training/call.keras", cornu.load_npz "tests/training/call.npz"
  for _, how in ipairs { "call1", "call2", "after" } do
    local y = m(want.x, how ~= "after" and training or { training = false })
    for k = 0, 2 do near(y[k + 1], want[how .. "_" .. k]) end
  end
  local stats = m:layer("inner/bn"):weights()
  near(stats[3], want.mean)
  near(stats[4], want.variance)
  near(m:predict(want.x)[1], want.after_0)
end

-- Random layers draw anew in each call, and nowhere else; a model that is compiled goes on as it is.
function TestCall:testRandom()
  cornu.manual_seed(5)
  local x = cornu.ones(400, 6)
  local m = cornu.Sequential {
    cornu.Input { shape = { 6 } }, cornu.Sequential { cornu.Input { shape = { 6 } }, L.Dropout { 0.25 } },
    L.GaussianNoise { 0.1 },
  }
  local a, b = m(x, training), m(x, training)
  lu.assertFalse(a:allclose(b, 0, 0.01))
  lu.assertAlmostEquals(a:lt(0.5):cast "float32":mean():item(), 0.25, 0.05)
  lu.assertAlmostEquals(a:mean():item(), 1, 0.05)
  near(m(x), x)
  near(m:predict(x), x)
  lu.assertAlmostEquals(L.Dropout { 0.5 }(x, training):eq(0):cast "float32":mean():item(), 0.5, 0.05)
  lu.assertAlmostEquals(m:layer(2)(x, training):sub(1):square():mean():sqrt():item(), 0.1, 0.01)
  near(m:layer(2)(x, { training = false }), x)
  local picture = cornu.rand { 3, 4, 4, 1 }
  lu.assertFalse(L.RandomFlip {}(picture:tile { 20, 1, 1, 1 }, training):allclose(picture:tile { 20, 1, 1, 1 }, 0, 0))
  local head = cornu.Sequential { m, L.Dense { 1 } }
  head:compile { optimizer = "sgd", loss = "mse", seed = 1 }
  head:train_on_batch(x, x:sum { 2 })
  lu.assertEquals(head(x, training):shape(), { 400, 1 })
  near(head(x), head:predict(x))
end

-- Models whose shapes come with the data, that change, and whose states go on.
function TestCall:testChanges()
  local m = cornu.Sequential { L.Dense { 3 }, L.Dropout { 0.5 } }
  lu.assertEquals(m(cornu.ones(2, 4), training):shape(), { 2, 3 })
  m:add(L.Dense { 2 })
  lu.assertEquals(m(cornu.ones(2, 4), training):shape(), { 2, 2 })
  local frozen = L.BatchNormalization {}
  frozen(cornu.ones(1, 2))
  frozen.trainable = false
  near(frozen(cornu.rand { 4, 2 } * 9, training):min():gt(0):cast "float32", cornu.tensor(1))
  local carried = cornu.Sequential { cornu.Input { batch_shape = { 1, 2, 1 } }, L.LSTM { 2, stateful = true } }
  local x = cornu.ones(1, 2, 1)
  local first = carried(x, training)
  lu.assertFalse(carried(x, training):allclose(first, 0, 1e-6))
  carried:reset_states()
  near(carried(x, training), first)
end

function TestCall:testRefusals()
  local m = cornu.Sequential { cornu.Input { shape = { 2 } }, L.Dropout { 0.5 } }
  local x = cornu.ones(1, 2)
  support.fails("several inputs go into a list", m, x, x)
  support.fails("the only option of a call", m, x, { trainings = true })
  support.fails("the only option of a call", L.Dropout { 0.5 }, x, { training = 1 })
  support.fails("not for symbols", L.Dropout { 0.5 }, cornu.Input { shape = { 2 } }, training)
  support.fails("has shape", m, cornu.ones(1, 3), training)
end
