-- Optimizers: their constructors, schedules, and what they keep.
local lu = require "luaunit"
local cornu = require "cornu"
local core = require "cornu.core"
local L, O = cornu.layers, cornu.optimizers

TestOptimizers = {}

local function squares(out, given)
  local d = out[1] - given[1]
  return { (d * d):mean() }
end

local x, y = cornu.tensor{ { 1, 2, 3 }, { 4, 1, -1 } }, cornu.tensor{ { 1, 0 }, { 0, 1 } }

local function net()
  cornu.manual_seed(5)
  return cornu.Sequential{ cornu.Input{ shape = { 3 } }, L.Dense{ 4, "tanh", name = "d" },
                           L.BatchNormalization{ name = "bn" }, L.Dense{ 2, name = "e" } }
end

local function trainer(optimizer, model) return core.new_trainer(model or net(), optimizer, squares, 1) end

local function names(state)
  local list = {}
  for i, item in ipairs(state) do list[i] = item.name .. " " .. table.concat(item.value:shape(), "x") end
  return list
end

function TestOptimizers:testConstructors()
  local adam = O.Adam{ learning_rate = 0.01, clipnorm = 1 }
  lu.assertEquals(adam.class_name, "Adam")
  lu.assertEquals(adam.config, { learning_rate = 0.01, clipnorm = 1 })
  lu.assertEquals(tostring(O.SGD{ 0.5 }), "SGD{learning_rate = 0.5}")
  lu.assertEquals(O.SGD{ lr = 0.5 }.config, { learning_rate = 0.5 })
  lu.assertErrorMsgContains('did you mean "learning_rate"', O.Adam, { learning_rat = 1 })
  lu.assertErrorMsgContains('did you mean "Adam"', function() return O.Adan end)
  lu.assertErrorMsgContains("beta_1", O.Adam, { beta_1 = 2 })
  lu.assertErrorMsgContains("only one of", O.Adam, { clipnorm = 1, clipvalue = 1 })
  lu.assertErrorMsgContains("number >= 0 or a schedule", O.SGD, { learning_rate = -1 })
  lu.assertErrorMsgContains("inner_optimizer", O.LossScaleOptimizer, {})
  lu.assertEquals(O.get "adam".class_name, "adam")
  lu.assertErrorMsgContains('no optimizer "adan"', O.get, "adan")
  lu.assertStrContains(cornu.help "Adadelta", "rho")
  lu.assertStrContains(cornu.help "optimizers", "ScheduleFreeAdamW")
end

function TestOptimizers:testMulti()
  local multi = O.MultiOptimizer{ O.SGD{ 0.1, momentum = 0.5 }, { ["e/.*"] = O.Adam{ 0.01 }, ["d/kernel"] = "adam" } }
  local m = net()
  m:compile{ optimizer = multi, loss = "mse" }
  for _ = 1, 3 do m:train_on_batch(x, y) end
  lu.assertEquals(names(m:trainer():state()), { "multi_optimizer/iteration ", "multi_optimizer/learning_rate ",
    "adam/iteration ", "adam/learning_rate ", "adam/d_kernel_momentum 3x4", "adam/d_kernel_velocity 3x4",
    "adam_1/iteration ", "adam_1/learning_rate ", "adam_1/e_kernel_momentum 4x2", "adam_1/e_kernel_velocity 4x2",
    "adam_1/e_bias_momentum 2", "adam_1/e_bias_velocity 2", "sgd/iteration ", "sgd/learning_rate ",
    "sgd/d_bias_momentum 4", "sgd/bn_gamma_momentum 4", "sgd/bn_beta_momentum 4" })
  for _, ending in ipairs{ ".keras", ".h5" } do
    local path = os.tmpname() .. ending
    m:save(path)
    local loaded, loss = cornu.load(path), m:test_on_batch(x, y).loss
    lu.assertEquals(loaded:test_on_batch(x, y).loss, loss)
    loaded:train_on_batch(x, y)
    os.remove(path)
    m:train_on_batch(x, y)
    for i, w in ipairs(m:weights()) do lu.assertTrue(w:allclose(loaded:weights()[i], 0, 0), ending) end
  end
  lu.assertErrorMsgContains('no optimizer "adan"', O.MultiOptimizer, { "sgd", { a = "adan" } })
  lu.assertErrorMsgContains('"(a"', O.MultiOptimizer, { "sgd", { ["(a"] = "adam" } })
  lu.assertErrorMsgContains("wraps another", O.MultiOptimizer, { multi, {} })
  lu.assertErrorMsgContains("two patterns", trainer, O.MultiOptimizer{ "sgd", { ["d/.*"] = "sgd", [".*kernel"] = "adam" } })
  lu.assertErrorMsgContains("rate of its own", m.learning_rate, m, 0.1)
end

-- Recurrent layers of Keras 1, whose gates are apart there (scripts/make_resume.py).
function TestOptimizers:testResumesKeras1()
  local where = "tests/training/resume_keras1"
  local m, arrays = cornu.load(where .. ".h5"), cornu.load_npz(where .. ".npz")
  for i = 1, #arrays.x do m:train_on_batch(arrays.x[i], arrays.y[i]) end
  for i, w in ipairs(m:weights()) do lu.assertTrue(w:allclose(arrays[tostring(i - 1)], 0, 1e-6), "weight " .. i) end
  local path = os.tmpname() .. ".h5"
  m:save(path)
  local loaded = cornu.load(path)
  for _, model in ipairs{ m, loaded } do model:train_on_batch(arrays.x[1], arrays.y[1]) end
  os.remove(path)
  for i, w in ipairs(m:weights()) do lu.assertTrue(w:allclose(loaded:weights()[i], 0, 0), "saved weight " .. i) end
end

-- A power of two changes nothing, unless numbers become too large on the way.
function TestOptimizers:testLossScaleFactor()
  local function after(name, config, factor, target)
    config.loss_scale_factor = factor
    cornu.manual_seed(3)
    local m = cornu.Sequential{ cornu.Input{ shape = { 3 }, dtype = "int32" }, L.Embedding{ 6, 2 }, L.Flatten{}, L.Dense{ 2 } }
    local t = trainer({ class_name = name, config = config }, m)
    local words, loss = cornu.tensor({ { 1, 2, 1 }, { 4, 1, 1 } }, "int32"), nil
    for _ = 1, 4 do loss = t:batch(true, { words }, { target or y })[1]:item() end
    return m:weights(), loss
  end
  for name, config in pairs{ Adam = { clipnorm = 0.1 }, Adamax = { clipvalue = 0.01 }, SGD = { global_clipnorm = 0.1 } } do
    local plain, loss = after(name, config)
    local scaled, scaled_loss = after(name, config, 1024)
    lu.assertEquals(scaled_loss, loss)
    for i, w in ipairs(plain) do lu.assertTrue(w:allclose(scaled[i], 0, 0), name) end
    local function is_finite(factor)
      local sum = after(name, config, factor, y * 1e12)[2]:sum():item()
      return sum - sum == 0
    end
    lu.assertEquals({ is_finite(), is_finite(1e30) }, { true, config.clipvalue ~= nil }, name)
  end
end

function TestOptimizers:testSchedules()
  local S = O.schedules
  local function rates(s, ...)
    local list = {}
    for i, step in ipairs{ ... } do list[i] = ("%.6g"):format(s(step)) end
    return table.concat(list, " ")
  end
  lu.assertEquals(rates(S.ExponentialDecay{ 1, 10, 0.5, staircase = true }, 0, 9, 10, 25), "1 1 0.5 0.25")
  lu.assertEquals(rates(S.PiecewiseConstantDecay{ boundaries = { 2, 5 }, values = { 1, 0.5, 0.1 } }, 0, 2, 3, 5, 6),
    "1 1 0.5 0.5 0.1")
  lu.assertErrorMsgContains("one value more", S.PiecewiseConstantDecay, { boundaries = { 2 }, values = { 1 } })
  lu.assertErrorMsgContains("decay_steps", S.CosineDecay, { 0.1, 0 })
  local t = trainer(O.SGD{ S.InverseTimeDecay{ 0.5, 1, 1 } })
  t:batch(true, { x }, { y })
  lu.assertAlmostEquals(t:rate(), 0.25, 1e-7)
  lu.assertErrorMsgContains("schedule", t.set_rate, t, 1)
  local seen = {}
  t = trainer(O.SGD{ learning_rate = function(step) seen[#seen + 1] = step return 0.1 / (1 + step) end })
  for _ = 1, 3 do t:batch(true, { x }, { y }) end
  lu.assertEquals(seen, { 0, 1, 2 })
  lu.assertAlmostEquals(t:rate(), 0.025, 1e-7)
  lu.assertErrorMsgContains("function", t.set_rate, t, 1)
end

-- The orders and names are those of files that Keras saved.
function TestOptimizers:testStateOfKeras3()
  local t = trainer(O.Adam{ amsgrad = true, use_ema = true, name = "adam" })
  t:batch(true, { x }, { y })
  local list = names(t:state())
  lu.assertEquals(#list, 2 + 6 + 12 + 6)
  lu.assertEquals({ list[1], list[2], list[3], list[9], list[10], list[21] }, { "adam/iteration ", "adam/learning_rate ",
    "adam/d_kernel_average 3x4", "adam/d_kernel_momentum 3x4", "adam/d_kernel_velocity 3x4",
    "adam/d_kernel_velocity_hat 3x4" })
  lu.assertEquals(t:state()[1].value:item(), 1)
  lu.assertEquals(t:state()[1].value:dtype(), "int64")
  list = names(trainer(O.RMSprop{ momentum = 0.5, centered = true }):state())
  lu.assertEquals({ list[3], list[4], list[9], list[15] }, { "rm_sprop/d_kernel_velocity 3x4",
    "rm_sprop/d_bias_velocity 4", "rm_sprop/d_kernel_momentum 3x4", "rm_sprop/d_kernel_average_gradient 3x4" })
  list = trainer "Adafactor":state()
  lu.assertEquals({ list[3].value:shape(), list[4].value:shape(), list[6].value:dtype() }, { { 3 }, { 4 }, "int32" })
  list = names(trainer(O.Nadam{ gradient_accumulation_steps = 2 }):state())
  lu.assertEquals({ list[3], list[#list] }, { "nadam/d_kernel_gradient_accumulator 3x4", "nadam/variable " })
  list = trainer(O.LossScaleOptimizer{ O.SGD{ momentum = 0.9 } }):state()
  lu.assertEquals(names(list)[5], "sgd/iteration ")
  lu.assertEquals(list[4].value:item(), 32768)
  lu.assertEquals(#trainer(O.SGD{ O.schedules.CosineDecay{ 0.1, 10 } }):state(), 1)
end

function TestOptimizers:testStateOfOlderOnes()
  local list = names(trainer{ class_name = "Adam", config = { lr = 0.01, decay = 0, epsilon = 1e-8 } }:state())
  lu.assertEquals({ #list, list[1], list[2], list[8] }, { 13, "Adam/iterations:0 ", "training/Adam/m_0:0 3x4",
    "training/Adam/v_0:0 3x4" })
  list = names(trainer{ class_name = "Adam", config = { learning_rate = 0.01, decay = 0, amsgrad = false } }:state())
  lu.assertEquals({ #list, list[14] }, { 19, "training/Adam/vhat_0:0 1" })
  list = names(trainer{ class_name = "RMSprop", config = { lr = 0.01, decay = 0 } }:state())
  lu.assertEquals({ #list, list[1] }, { 6, "training/RMSprop/accumulator_0:0 3x4" })
  list = names(trainer{ class_name = "Nadam", config = { name = "Nadam", learning_rate = 0.01, decay = 0.004 } }:state())
  lu.assertEquals({ list[1], list[2], list[3] }, { "Nadam/iter:0 ", "Nadam/momentum_cache:0 ", "Nadam/d/kernel/m:0 3x4" })
  local t = trainer{ class_name = "Custom>SGD", config = { name = "SGD", learning_rate = 0.01, jit_compile = false } }
  lu.assertEquals({ names(t:state())[1], names(t:state())[2], #t:state(), #t:state(true) },
    { "iteration:0 ", "SGD/m/d/kernel:0 3x4", 7, 2 })
end

function TestOptimizers:testConfigs()
  local t = trainer(O.Adam{ 0.01 })
  t:set_rate(0.25)
  local o = t:optimizer()
  lu.assertEquals({ o.module, o.class_name, o.registered_name }, { "keras.optimizers", "Adam", cornu.null })
  lu.assertEquals({ o.config.learning_rate, o.config.name, o.config.beta_1, o.config.clipnorm, o.config.decay },
    { 0.25, "adam", 0.9, cornu.null, nil })
  local older = { class_name = "SGD", config = { lr = 0.5, decay = 0.1, clipnorm = 2 } }
  t = trainer(older)
  lu.assertEquals(t:optimizer().config, older.config)
  o = t:optimizer(true).config
  lu.assertEquals({ o.learning_rate.class_name, o.learning_rate.config.decay_rate, o.global_clipnorm, o.clipnorm },
    { "InverseTimeDecay", 0.1, 2, cornu.null })
end

-- Whoever goes on from weights and state goes on with the same bits.
function TestOptimizers:testResumes()
  for _, entry in ipairs(core.optimizer_types()) do
    local config = { use_ema = true, gradient_accumulation_steps = 2 }
    if entry.name == "LossScaleOptimizer" then config = { inner_optimizer = { class_name = "Adam", config = {} } } end
    if entry.name == "MultiOptimizer" then config = O.MultiOptimizer{ "adam", { ["d/.*"] = "nadam" } }.config end
    local o = { class_name = entry.name, config = config }
    local m = net()
    local t = trainer(o, m)
    for _ = 1, 3 do t:batch(true, { x }, { y }) end
    local m2 = net()
    m2:set_weights(m:get_weights())
    local t2 = trainer(o, m2)
    t2:set_state(t:state())
    for _ = 1, 3 do
      t:batch(true, { x }, { y })
      t2:batch(true, { x }, { y })
    end
    lu.assertEquals(t2:steps(), 6)
    for i, w in ipairs(m:weights()) do lu.assertTrue(w:allclose(m2:weights()[i], 0, 0), entry.name) end
  end
end

function TestOptimizers:testBadState()
  local t = trainer "adam"
  lu.assertErrorMsgContains("has 14 arrays, 1 were given", t.set_state, t, { cornu.tensor(1) })
  local state = t:state()
  state[3] = cornu.zeros{ 4, 3 }
  lu.assertErrorMsgContains("d_kernel_momentum has shape (4, 3), the optimizer needs (3, 4)", t.set_state, t, state)
end

-- A step whose gradients are no numbers is left out.
function TestOptimizers:testLossScale()
  local m = net()
  local t = trainer(O.LossScaleOptimizer{ O.SGD{ 0.1 }, dynamic_growth_steps = 2 }, m)
  t:batch(true, { x }, { y })
  local before = m[1]:weights()[1]:clone()
  t:batch(true, { x }, { y * math.huge })
  lu.assertTrue(before:allclose(m[1]:weights()[1], 0, 0))
  lu.assertEquals({ t:steps(), t:state()[4].value:item() }, { 1, 16384 })
  for _ = 1, 2 do t:batch(true, { x }, { y }) end
  lu.assertEquals({ t:steps(), t:state()[4].value:item() }, { 3, 32768 })
end
