-- compile, fit and evaluate against what real Keras tells of the same training (scripts/make_fit.py).
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local core = require "cornu.core"
local L = cornu.layers

TestFit = {}

local folder = "tests/training/"

local function cases()
  local list = cornu.json.decode(support.read(folder .. "fit.json"))
  return list
end

local function arrays_of(arrays, prefix, n)
  local list = {}
  for i = 1, n do list[i] = arrays[prefix .. i - 1] end
  return n == 1 and list[1] or n > 0 and list or nil
end

local function numbers(by_text)
  if not by_text then return nil end
  local t = {}
  for k, v in pairs(by_text) do t[tonumber(k)] = v end
  return t
end

local function check_near(name, got, want)
  lu.assertTrue(math.abs(got - want) <= 2e-5 * math.max(1, math.abs(want)), ("%s: %.9g, not %.9g"):format(name, got, want))
end

function TestFit:testAsKeras()
  for _, case in ipairs(cases()) do
    local m, arrays = cornu.load(folder .. "fit_" .. case.name .. ".keras"), cornu.load_npz(folder .. "fit_" ..
      case.name .. ".npz")
    local x, y = arrays_of(arrays, "x", case.inputs), arrays_of(arrays, "y", case.outputs)
    m:compile(case.compile)
    local options = { shuffle = false, verbose = 0, sample_weight = arrays_of(arrays, "w", case.weights) }
    for k, v in pairs(case.fit) do options[k] = v end
    options.class_weight = numbers(case.fit.class_weight)
    local history = m:fit(x, y, options)
    for name, values in pairs(case.history) do
      lu.assertNotNil(history.history[name], case.name .. ": " .. name)
      for epoch, want in ipairs(values) do
        check_near(("%s: %s of epoch %d"):format(case.name, name, epoch), history[name][epoch], want)
      end
    end
    local evaluated = m:evaluate(x, y, { batch_size = 16 })
    for name, want in pairs(case.evaluated) do check_near(case.name .. ": evaluated " .. name, evaluated[name], want) end
    for i, w in ipairs(m:weights()) do
      lu.assertTrue(w:allclose(arrays["after/" .. i - 1], 1e-4, 1e-5), ("%s: weight %d"):format(case.name, i))
    end
  end
end

-- ---- callbacks, data, errors ----

local function line(n)
  local x = cornu.linspace(-1, 1, n or 32):cast "float32":reshape(-1, 1)
  return x, x * 2 + 1
end

local function small(loss, rate)
  cornu.manual_seed(4)
  local m = cornu.Sequential{ cornu.Input{ shape = { 1 } }, L.Dense{ 1 } }
  return m:compile{ optimizer = { class_name = "SGD", config = { learning_rate = rate or 0.1 } }, loss = loss or "mse",
    seed = 1 }
end

local function fit(m, options, x, y)
  if not x then x, y = line() end
  options.verbose = 0
  return m:fit(x, y, options)
end

function TestFit:testEarlyStopping()
  local m, values, kept = small(), { 3, 2, 1, 4, 5, 6, 0 }, nil
  local feed = { on_epoch_end = function(self, epoch, logs)
    logs.watched = values[epoch]
    if epoch == 3 then kept = self.run.model:get_weights()[1] end
  end }
  local stop = cornu.callbacks.EarlyStopping{ monitor = "watched", patience = 2, restore_best_weights = true }
  local history = fit(m, { epochs = 7, callbacks = { feed, stop } })
  lu.assertEquals(history.epoch, { 1, 2, 3, 4, 5 })
  lu.assertTrue(m:weights()[1]:allclose(kept, 0, 0))
  -- training goes on with the weights that were put back; who holds them keeps what they were
  fit(m, { epochs = 1 })
  lu.assertFalse(m:weights()[1]:allclose(kept, 0, 0))
  lu.assertTrue(stop.best_weights[1]:allclose(kept, 0, 0))
end

function TestFit:testRates()
  local m, rates = small(), {}
  local schedule = cornu.callbacks.LearningRateScheduler(function(epoch, rate) return epoch == 3 and 0.01 or rate end)
  local plateau = cornu.callbacks.ReduceLROnPlateau{ monitor = "watched", patience = 1, factor = 0.5, min_lr = 0.004 }
  local feed = { on_epoch_end = function(_, _, logs) logs.watched = 1 end }
  local note = cornu.callbacks.LambdaCallback{ on_epoch_end = function(_, _, run)
    rates[#rates + 1] = run.trainer:rate()
  end }
  local history = fit(m, { epochs = 5, callbacks = { feed, schedule, plateau, note } })
  lu.assertAlmostEquals(rates[1], 0.1, 1e-12)
  lu.assertAlmostEquals(rates[2], 0.05, 1e-12)
  lu.assertAlmostEquals(rates[3], 0.005, 1e-12)
  lu.assertAlmostEquals(rates[4], 0.004, 1e-12)
  lu.assertEquals(history.learning_rate[5], rates[5])
end

function TestFit:testCsv()
  local path = os.tmpname()
  local m = small()
  fit(m, { epochs = 2, callbacks = { cornu.callbacks.CSVLogger(path) } })
  local history = fit(m, { epochs = 3, initial_epoch = 2, callbacks = { cornu.callbacks.CSVLogger{ path, append = true } } })
  local lines = {}
  for text in io.lines(path) do lines[#lines + 1] = text end
  os.remove(path)
  lu.assertEquals(#lines, 4)
  lu.assertEquals(lines[1], "epoch,loss")
  lu.assertEquals(lines[4], ("3,%.9g"):format(history.loss[1]))
end

function TestFit:testStops()
  local m = small(nil, 1e30)
  local history = fit(m, { epochs = 9, batch_size = 8, callbacks = { cornu.callbacks.TerminateOnNaN() } })
  lu.assertTrue(#history.epoch < 3)
  local seen = 0
  local stopper = { on_train_batch_end = function(self, batch)
    seen = seen + 1
    if batch == 2 then self.run:stop() end
  end }
  fit(small(), { epochs = 9, batch_size = 8, callbacks = { stopper } })
  lu.assertEquals(seen, 2)
end

function TestFit:testFunctionsAsData()
  local m, n = small(), 0
  local function data()
    n = n + 1
    if n > 6 then return nil end
    return cornu.tensor{ { n / 6 } }, cornu.tensor{ { n / 3 + 1 } }
  end
  local history = m:fit(data, { epochs = 2, steps_per_epoch = 3, verbose = 0 })
  lu.assertEquals(#history.epoch, 2)
  lu.assertEquals(n, 6)
  lu.assertEquals(m:trainer():steps(), 6)
  local x, y = line()
  local logs = m:evaluate(cornu.data.tensors(x, y), { batch_size = 5 })
  lu.assertAlmostEquals(logs.loss, (m:predict(x) - y):square():mean():item(), 1e-5)
end

-- A pass over the data goes on in the next epoch, as in Keras, and ends the epoch in which it is over.
function TestFit:testEpochsOfSteps()
  local m, x, y = small(), line()
  local function batches_in(options, data)
    local seen, first = {}, {}
    options.callbacks = { { on_epoch_begin = function() seen[#seen + 1] = 0 end,
      on_train_batch_end = function() seen[#seen] = seen[#seen] + 1 end } }
    m:fit(data:map(function(a, b)
      first[#first + 1] = a[1]:item()
      return a, b
    end), options)
    return seen, first
  end
  local function options(epochs, from)
    return { epochs = epochs, initial_epoch = from, steps_per_epoch = 2, batch_size = 12, verbose = 0, seed = 5 }
  end
  local seen, first = batches_in(options(4), cornu.data.tensors(x, y)) -- 32 rows: 3 batches
  lu.assertEquals(seen, { 2, 1, 2, 1 })
  lu.assertNotEquals({ first[1], first[2] }, { first[4], first[5] }) -- shuffled anew in each pass
  local _, later = batches_in(options(4, 1), cornu.data.tensors(x, y)) -- begins in the middle of a pass
  lu.assertEquals(later, first)
  local function generated(n)
    return cornu.data.generator(function()
      local i = 0
      return function()
        i = i + 1
        if i <= n then return cornu.full({ 1, 1 }, i), y:slice(1, 1, 1) end
      end
    end)
  end
  seen, first = batches_in(options(4), generated(3))
  lu.assertEquals(seen, { 2, 1, 2, 1 })
  lu.assertEquals(first, { 1, 2, 3, 1, 2, 3 })
  lu.assertEquals(batches_in(options(3), generated(4)), { 2, 2, 2 })
end

-- A Sequential without cornu.Input learns from the data what goes into it.
function TestFit:testUnbuilt()
  local x, y = line()
  local function new()
    local m = cornu.Sequential{ L.Dense{ 4 }, L.Dense{ 2, "softmax" } }
    return m:compile{ optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
  end
  local labels = y:gt(1):cast "int32"
  lu.assertNotNil(fit(new(), {}, x, labels).accuracy)
  lu.assertNotNil(new():fit(cornu.data.tensors(x, labels), { verbose = 0 }).accuracy)
  lu.assertNotNil(new():evaluate(x, labels).accuracy)
  lu.assertErrorMsgContains("2 classes count from 0", new().train_on_batch, new(), x, labels + 5) -- the sizes are known, too
  lu.assertErrorMsgContains("begin it with cornu.Input", new().fit, new(), function() return x, labels end, {})
end

-- Weights that would silently stay as they are: those of layers that a layer of Lua calls.
function TestFit:testWeightsWithin()
  local inner = L.Dense{ 4, name = "inner" }
  local block = cornu.Layer{ class_name = "Block", call = function(x) return inner(x) end }
  local m, x, y = cornu.Sequential{ cornu.Input{ shape = { 1 } }, block, L.Dense{ 1 } }, line()
  lu.assertEquals(m:predict(x):shape(), { 32, 1 })
  lu.assertErrorMsgContains('weights of layer "inner"', function()
    m:compile{ optimizer = "sgd", loss = "mse" }
    fit(m, {}, x, y)
  end)
  inner.trainable = false
  local judge = small() -- of a loss
  m:compile{ optimizer = "sgd", loss = function(y_true, y_pred) return (judge(y_true) - judge(y_pred)):square() end }
  lu.assertNotNil(fit(m, {}, x, y).loss[1])
end

-- A wrapper and the layer within may compute in dtypes of their own.
function TestFit:testDtypesWithin()
  local m = cornu.Sequential{ cornu.Input{ shape = { 4 } }, L.SpectralNormalization{ L.Dense{ 3 }, dtype = "float64" },
    L.Dense{ 1 } }
  m:compile{ optimizer = "sgd", loss = "mse" }
  local loss = m:train_on_batch(cornu.rand(2, 4), cornu.zeros(2, 1)).loss
  lu.assertTrue(loss >= 0)
end

-- Layers that come or go after compile need another one.
function TestFit:testChangedModels()
  local m, x, y = small(), line()
  fit(m, {}, x, y)
  m:add(L.Dense{ 2 })
  lu.assertErrorMsgContains("call model:compile", m.fit, m, x, y)
  m:compile{ optimizer = "sgd", loss = "mse" }
  fit(m, {}, x, y * cornu.ones{ 1, 2 })
  lu.assertEquals(#m:trainable_weights(), 4)
  local adds = { on_epoch_end = function() m:add(L.Dense{ 1 }) end }
  lu.assertErrorMsgContains("is being trained", m.fit, m, x, y * cornu.ones{ 1, 2 }, { callbacks = adds, verbose = 0 })
end

-- Layers without weights that a layer calls are at work in training; defaults are those of Keras.
function TestFit:testRandomWithin()
  local noise = L.GaussianNoise{ 1 }
  local noisy = cornu.Layer{ class_name = "Noisy", call = function(x) return x + noise(x * 0) end }
  local m = cornu.Sequential{ cornu.Input{ shape = { 3 } }, noisy, L.Dense{ 1 } }
  m:compile{ optimizer = cornu.optimizers.SGD{ 0 }, loss = "mse" }
  local x, y, losses = cornu.zeros(2, 3), cornu.zeros(2, 1), {}
  for i = 1, 2 do losses[i] = m:train_on_batch(x, y).loss end
  lu.assertTrue(losses[1] > 0 and losses[2] > 0 and losses[1] ~= losses[2])
  lu.assertEquals(m:test_on_batch(x, y).loss, 0)

  local pictures = cornu.rand(32, 2, 2, 3) * 255
  for _, name in ipairs { "RandomGrayscale", "RandomInvert" } do
    local trained = cornu.Sequential{ cornu.Input{ shape = { 2, 2, 3 } }, L[name]{} }
    local t = core.new_trainer(trained, "sgd", function(out) return { (out[1] * 0):mean(), out[1] } end, 3)
    local changed = t:batch(true, { pictures }, {})[2]:ne(pictures):any{ 2, 3, 4 }:cast "float32":mean():item()
    lu.assertTrue(changed > 0.2 and changed < 0.8, name)
  end
end

function TestFit:testAdapt()
  cornu.manual_seed(8)
  local x = cornu.rand{ 50, 4, 3 } * 5 + 2
  local n = L.Normalization{}
  local y = n:adapt(x)(x)
  lu.assertTrue(y:mean{ 1, 2 }:allclose(cornu.zeros(3), 0, 1e-5))
  lu.assertTrue(y:square():mean{ 1, 2 }:allclose(cornu.ones(3), 1e-5, 0))
  local by_batches = L.Normalization{}
  by_batches:adapt(cornu.data.tensors(x):prefetch(0))
  for i = 1, 2 do lu.assertTrue(by_batches:weights()[i]:allclose(n:weights()[i], 1e-5, 0)) end
  local all = L.Normalization{ axis = cornu.null }:adapt(x)
  lu.assertAlmostEquals(all:weights()[1]:item(), x:mean():item(), 1e-5)
  lu.assertEquals(L.Normalization{ axis = { 1, 2 } }:adapt(x):weights()[1]:shape(), { 4, 3 })
  local function fails(text, layer, data) lu.assertErrorMsgContains(text, layer.adapt, layer, data) end
  fails("was given its mean", L.Normalization{ mean = 1, variance = 2 }, x)
  fails("no data", L.Normalization{}, function() end)
end

-- As in Keras, a vector is a number for each sample where the input has one.
function TestFit:testRanks()
  local x, y = line()
  local m = small()
  local want = m:evaluate(x, y).loss
  lu.assertEquals(m:evaluate(x:reshape(-1), y).loss, want)
  lu.assertEquals(m:evaluate(x:reshape(-1, 1, 1), y).loss, want)
  lu.assertTrue(m:predict(x:reshape(-1)):allclose(m:predict(x), 0, 0))
end

-- A loss that refers to its model does not keep it.
function TestFit:testModelsGo()
  if _VERSION == "Lua 5.1" then return end -- no ephemerons
  local gone = setmetatable({}, { __mode = "k" })
  do
    local m, x, y = nil, line()
    m = small(function(y_true, y_pred) return (y_true - y_pred):square() * m:count_params() end)
    m:train_on_batch(x, y)
    gone[m] = true
  end
  for _ = 1, 3 do collectgarbage() end
  lu.assertNil(next(gone))
end

-- A metric that is given for several outputs counts for each of them.
function TestFit:testOneMetricForAllOutputs()
  local x = line()
  local input = cornu.Input{ shape = { 1 } }
  local m = cornu.Model{ inputs = input, outputs = { L.Dense{ 1, name = "a" }(input), L.Dense{ 1, name = "b" }(input) } }
  m:compile{ optimizer = "sgd", loss = { "mse", "mse" }, metrics = cornu.metrics.MeanSquaredError{} }
  local logs = m:evaluate(x, { x, x + 100 })
  check_near("a", logs.a_mean_squared_error, logs.a_loss)
  check_near("b", logs.b_mean_squared_error, logs.b_loss)
end

function TestFit:testPredictsDatasets()
  local m, x, y = small(), line()
  local want = m:predict(x)
  lu.assertTrue(m:predict(cornu.data.tensors(x, y), { batch_size = 5 }):allclose(want, 0, 0))
  local at = 0
  local got = m:predict(function()
    at = at + 16
    if at <= 32 then return x:slice(1, at - 15, at) end
  end)
  lu.assertTrue(got:allclose(want, 0, 0))
  lu.assertErrorMsgContains("no data", m.predict, m, function() end)
end

function TestFit:testCustom()
  local x, y = line()
  local m = small(function(y_true, y_pred) return (y_true - y_pred):abs():pow(1.5):mean(-1) end)
  local loss = fit(m, { epochs = 60 }).loss
  lu.assertTrue(loss[60] < 0.1 * loss[1])
  m:compile{ optimizer = "sgd", loss = cornu.losses.Huber{ delta = 0.5 },
    metrics = { { name = "worst", function(y_true, y_pred) return (y_true - y_pred):abs() end } } }
  local logs = m:evaluate(x, y)
  lu.assertAlmostEquals(logs.worst, (m:predict(x) - y):abs():mean():item(), 1e-6)
  lu.assertAlmostEquals(logs.loss, cornu.losses.Huber{ delta = 0.5 }(y, m:predict(x)):item(), 1e-6)
end

function TestFit:testErrors()
  local x, y = line()
  local m = cornu.Sequential{ cornu.Input{ shape = { 1 } }, L.Dense{ 3, "softmax", name = "out" } }
  lu.assertErrorMsgContains("call model:compile", m.fit, m, x, y)
  lu.assertErrorMsgContains('did you mean "MeanSquaredError"', m.compile, m, { loss = "MeanSquareError" })
  lu.assertErrorMsgContains('no option "los"', m.compile, m, { los = "mse" })
  lu.assertErrorMsgContains('no output "ot"', m.compile, m, { loss = { ot = "mse" } })
  m:compile{ optimizer = "sgd", loss = "categorical_crossentropy" }
  lu.assertErrorMsgContains('output "out" has shape (32, 3), its target (32, 1)', fit, m, {}, x, y)
  lu.assertErrorMsgContains("take sparse_categorical_crossentropy", fit, m, {}, x, cornu.zeros{ 32 })
  lu.assertErrorMsgContains("targets are missing", m.train_on_batch, m, x)
  m:compile{ optimizer = "sgd", loss = function(y_true, y_pred) return (y_pred:argmax(-1) - y_true):float() end }
  lu.assertErrorMsgContains("depends on none of the weights", fit, m, {}, x, cornu.zeros{ 32 })
  m:compile{ optimizer = "sgd", loss = "sparse_categorical_crossentropy" }
  local labels = cornu.full({ 32 }, 3, "int32")
  lu.assertErrorMsgContains("3 classes count from 0 to 2", fit, m, {}, x, labels)
  lu.assertErrorMsgContains("epochs", fit, m, { epochs = 1.5 }, x, y)
  lu.assertErrorMsgContains("validation_freq", fit, m, { validation_freq = { 1 } }, x, y)
  lu.assertErrorMsgContains('no option "epoch"', fit, m, { epoch = 1 }, x, y)
  lu.assertErrorMsgContains("callback", fit, m, { callbacks = { 1 } }, x, labels - 1)
  local misspelt = { on_batch_end = function() end }
  lu.assertErrorMsgContains("nothing calls on_batch_end", fit, m, { callbacks = misspelt }, x, labels - 1)
  lu.assertErrorMsgContains("there is no class 3", fit, m, { class_weight = { 1, 5, 2 } }, x, labels - 1)
  lu.assertErrorMsgContains("targets hold nan", m.train_on_batch, m, x, labels:float() * (0 / 0))
  local compiles = { on_epoch_end = function(self) self.run.model:compile{ loss = "mse" } end }
  lu.assertErrorMsgContains("is being trained", fit, m, { callbacks = compiles }, x, labels - 1)
  lu.assertErrorMsgContains("has no samples", m.train_on_batch, m, x:slice(1, 1, 0), labels:slice(1, 1, 0))
end

-- Two ends: the first behind a layer without a gradient, the second in front of it.
local function odd_model(call, eager)
  local input = cornu.Input{ shape = { 3 } }
  local before = L.Dense{ 4, name = "before" }(input)
  local odd = cornu.Layer{ name = "odd", call = call, eager = eager }(before)
  return cornu.Model{ inputs = input, outputs = { L.Dense{ 2, name = "behind" }(odd), before } }
end

function TestFit:testNoGradient()
  local both = { optimizer = "sgd", loss = { "mse", "mse" } }
  local m = odd_model(function(x) return cornu.ops.nextafter(x, x + 1) end)
  lu.assertErrorMsgContains("odd: operation nextafter", m.compile, m, both)
  lu.assertErrorMsgContains("call model:compile", m.evaluate, m, cornu.zeros{ 1, 3 }, cornu.zeros{ 1, 2 })
  m:compile{ optimizer = "sgd", loss = { false, "mse" } }
  m.layers.before.trainable = false
  m:compile(both)
  local x = cornu.ones{ 2, 3 }
  lu.assertTrue(m:train_on_batch(x, { x:sum(2, true) * cornu.ones{ 1, 2 }, cornu.ones{ 2, 4 } }).loss > 0)
  m = odd_model(function(v) return v + 1 end, true)
  lu.assertErrorMsgContains("without eager = true", m.compile, m, both)
end

local function folder_name()
  local path = os.tmpname()
  os.remove(path)
  return path
end

-- The records of an event file: their texts; the checksums are checked.
local function records(path)
  local data, at, list = support.read(path), 1, {}
  local function number(from, dtype, size) return cornu.frombytes(data:sub(from, from + size - 1), dtype):item() end
  local function checksum(text)
    local crc = core.crc32c(text)
    local low = crc % 2 ^ 15
    return ((crc - low) / 2 ^ 15 + low * 2 ^ 17 + 0xa282ead8) % 2 ^ 32
  end
  while at <= #data do
    local length = number(at, "uint64", 8)
    lu.assertEquals(number(at + 8, "uint32", 4), checksum(data:sub(at, at + 7)))
    local text = data:sub(at + 12, at + 11 + length)
    lu.assertEquals(number(at + 12 + length, "uint32", 4), checksum(text))
    list[#list + 1], at = text, at + 16 + length
  end
  return list
end

function TestFit:testTensorBoard()
  lu.assertEquals(core.crc32c "123456789", 0xe3069283)
  local folder_, m = folder_name(), small()
  local board = cornu.callbacks.TensorBoard{ log_dir = folder_, histogram_freq = 1 }
  local paths = {}
  fit(m, { epochs = 2, validation_split = 0.25, callbacks = { board, { on_epoch_end = function()
    for part, writer in pairs(board.writers) do paths[part] = writer.path end
  end } } })
  local train, test = records(paths.train), records(paths.validation)
  lu.assertEquals(#train, 1 + 2 * (1 + 1 + 2)) -- the version; rate, loss, two weights
  lu.assertEquals(#test, 1 + 2)
  lu.assertTrue(train[1]:find("brain.Event:2", 1, true) ~= nil)
  lu.assertTrue(table.concat(train):find("/kernel", 1, true) ~= nil)
  lu.assertTrue(test[3]:find("epoch_loss", 1, true) ~= nil)
  os.execute("rm -r " .. folder_)
end

function TestFit:testCheckpoints()
  local folder_, m, values = folder_name(), small(), { 3, 1, 2 }
  core.make_folder(folder_)
  local feed = { on_epoch_end = function(_, epoch, logs) logs.watched = values[epoch] end }
  local best = cornu.callbacks.ModelCheckpoint{ folder_ .. "/{epoch:02d}-{watched:.1f}.keras", monitor = "watched",
    save_best_only = true }
  fit(m, { epochs = 3, callbacks = { feed, best } })
  lu.assertNotNil(io.open(folder_ .. "/01-3.0.keras"))
  lu.assertNil(io.open(folder_ .. "/03-2.0.keras"))
  local saved = cornu.load(folder_ .. "/02-1.0.keras")
  local x = line()
  lu.assertFalse(saved:predict(x):allclose(m:predict(x), 1e-6, 1e-6)) -- the last epoch came after
  os.execute("rm -r " .. folder_)
end

-- A training that goes on from a file has the same numbers as one that was not interrupted.
function TestFit:testGoesOnFromAFile()
  local x, y = line()
  for _, ending in ipairs { ".keras", ".h5" } do
    local path = os.tmpname() .. ending
    local options = { epochs = 4, batch_size = 8, shuffle = false }
    local function new()
      cornu.manual_seed(4)
      local m = cornu.Sequential{ cornu.Input{ shape = { 1 } }, L.Dense{ 4, "tanh" }, L.Dense{ 1 } }
      return m:compile{ optimizer = "adam", loss = "mse", metrics = { "mae" } }
    end
    local whole, part = new(), new()
    local history = fit(whole, { epochs = 4, batch_size = 8, shuffle = false }, x, y)
    fit(part, { epochs = 2, batch_size = 8, shuffle = false }, x, y)
    part:save(path)
    local loaded = cornu.load(path)
    options.initial_epoch = 2
    local rest = fit(loaded, options, x, y)
    os.remove(path)
    lu.assertEquals(rest.epoch, { 3, 4 })
    lu.assertEquals(rest.mae, { history.mae[3], history.mae[4] }, ending)
    for i, w in ipairs(loaded:weights()) do lu.assertTrue(w:allclose(whole:weights()[i], 0, 0), ending) end
  end
end

function TestFit:testBackups()
  local folder_, m = folder_name(), small()
  local backup = cornu.callbacks.BackupAndRestore{ folder_, delete_checkpoint = false }
  fit(m, { epochs = 2, callbacks = { backup } })
  local again = small()
  again:compile{ optimizer = "sgd", loss = "mse", seed = 99 } -- the order of rows is that of the backup
  local history = fit(again, { epochs = 3, callbacks = { cornu.callbacks.BackupAndRestore{ folder_ } } })
  lu.assertEquals(history.epoch, { 3 })
  fit(m, { epochs = 3, initial_epoch = 2 })
  lu.assertTrue(m:weights()[1]:allclose(again:weights()[1], 0, 0))
  lu.assertNil(io.open(folder_ .. "/training.npz")) -- the training is done

  fit(small(), { epochs = 1, callbacks = { backup } })
  local other = cornu.Sequential{ cornu.Input{ shape = { 1 } }, L.Dense{ 2 }, L.Dense{ 1 } }
  other:compile{ optimizer = "sgd", loss = "mse" }
  lu.assertErrorMsgContains("training.npz: 2 weights, this training has 4", fit, other, { callbacks = { backup } })
  local file = io.open(folder_ .. "/training.npz", "wb")
  file:write "PK no archive"
  file:close()
  lu.assertErrorMsgContains("training.npz", fit, small(), { callbacks = { backup } })
  os.execute("rm -r " .. folder_)
end
