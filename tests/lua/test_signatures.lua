-- Every argument that Keras 3.15 has (scripts/make_signatures.py) is known here, or refused on purpose.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local registry = require "cornu.registry"
local L, C = cornu.layers, cornu.callbacks

TestSignatures = {}
TestSignatures.tearDown = support.clean

local function signatures()
  local all = cornu.json.decode(support.read("tests/training/signatures.json"))
  return all
end

local function words(s) return registry.words(s) end

-- Keys that layers know beside their fields.
local of_layers = " name dtype trainable autocast activity_regularizer moving_mean_initializer moving_variance_initializer " ..
  "lora_rank lora_alpha quantization_config "
local common = { layers = of_layers, losses = " name reduction dtype ", metrics = " name dtype " }
-- Made otherwise, refused, or no class to make objects of.
local others = {
  layers = " InputLayer Lambda FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper Wrapper ",
  metrics = " MeanMetricWrapper ",
  callbacks = " CallbackList History OrbaxCheckpoint ProgbarLogger RemoteMonitor ",
}
local refused = { Embedding = " weights " }

local function entries()
  return { layers = registry.layers(), optimizers = registry.optimizers(), schedules = registry.schedules(),
    initializers = registry.parts "initializer", regularizers = registry.parts "regularizer",
    constraints = registry.parts "constraint", losses = require "cornu.losses".family.entries,
    metrics = require "cornu.metrics".family.entries, callbacks = require "cornu.callbacks".family.entries }
end

local function has(list, word) return list ~= nil and list:find(" " .. word .. " ", 1, true) ~= nil end

function TestSignatures:testArguments()
  local all, lacking = signatures(), {}
  for family, list in pairs(entries()) do
    local by_name = {}
    for _, entry in ipairs(list) do
      by_name[entry.name] = entry
      for _, alias in ipairs(entry.aliases) do by_name[alias] = entry end
    end
    for name, arguments in pairs(all[family]) do
      local known = {}
      for _, f in ipairs(by_name[name] and by_name[name].fields or {}) do known[f.name] = true end
      if not by_name[name] and not has(others[family], name) then lacking[#lacking + 1] = family .. "." .. name end
      for _, argument in ipairs(has(others[family], name) and {} or words(arguments)) do
        argument = argument:gsub("%*", "")
        if not known[argument] and not has(common[family], argument) and not has(refused[name], argument) then
          lacking[#lacking + 1] = name .. "." .. argument
        end
      end
    end
  end
  table.sort(lacking)
  lu.assertEquals(lacking, {})
end

-- What Keras wants without a default is wanted here, too; the error names it.
function TestSignatures:testRequired()
  local lacking = {}
  for name, arguments in pairs(signatures().layers) do
    local required = arguments:match "(%S+)%*"
    if required and not has(others.layers, name) then
      local ok, message = pcall(L[name], {})
      local named = not ok and message:find(name, 1, true) and message:find '"[%w_]+" is missing'
      if not named or not arguments:find(message:match '"([%w_]+)" is missing' .. "*", 1, true) then
        lacking[#lacking + 1] = name
      end
    end
  end
  lu.assertEquals(lacking, {})
  lu.assertEquals(L.Dropout { p = 0.25 }(cornu.ones(1, 2)):totable(), { { 1, 1 } })
  support.fails('"rate" is missing', L.Dropout)
  support.fails('layer "d" (Dropout): "rate" is missing', L.Dropout, { name = "d" })
end

-- ---- methods ----

local function small()
  local m = cornu.Sequential { cornu.Input { shape = { 2 } }, L.Dense { 1 } }
  return m, cornu.rand(6, 2), cornu.rand(6, 1)
end

-- Options that say nothing new: each of Keras's arguments of the method beside x and y is known.
local values = {
  compile = { optimizer = "sgd", loss = "mse", loss_weights = { 1 }, metrics = { "mae" }, weighted_metrics = { "mae" },
    run_eagerly = false, steps_per_execution = 1, jit_compile = "auto", auto_scale_loss = true },
  fit = { batch_size = 2, epochs = 1, verbose = 0, callbacks = {}, validation_split = 0, shuffle = true,
    initial_epoch = 0, steps_per_epoch = 1, validation_steps = 1, validation_batch_size = 2, validation_freq = 1 },
  evaluate = { batch_size = 2, verbose = 0, callbacks = {}, return_dict = true },
  predict = { batch_size = 2, verbose = 0 },
  train_on_batch = { return_dict = true }, test_on_batch = { return_dict = true },
}
local told = { x = true, y = true, callbacks = true, steps = true, class_weight = true, sample_weight = true,
  validation_data = true }

function TestSignatures:testMethods()
  local m, x, y = small()
  for method, arguments in pairs(signatures().methods) do
    for _, name in ipairs(words(arguments)) do
      name = name:gsub("%*", "")
      lu.assertTrue(values[method][name] ~= nil or told[name], method .. " " .. name)
    end
  end
  m:compile(values.compile)
  values.fit.validation_data, values.fit.sample_weight = { x, y }, cornu.ones(6)
  m:fit(x, y, values.fit)
  lu.assertEquals(m:predict(x, values.predict):shape(), { 6, 1 })
  lu.assertEquals(m:predict_on_batch(x):shape(), { 6, 1 })
  local logs = m:evaluate(x, y, values.evaluate)
  for _, method in ipairs { "evaluate", "test_on_batch" } do
    local list = m[method](m, x, y, { return_dict = false })
    lu.assertAlmostEquals(list[1], logs.loss, 1e-5)
    lu.assertEquals(#list, 3)
  end
  m:train_on_batch(x, y, values.train_on_batch)
end

function TestSignatures:testRefusedOptions()
  local m, x = small()
  support.fails("steps_per_execution = 4: batches run one by one", m.compile, m, { loss = "mse", steps_per_execution = 4 })
  support.fails("run_eagerly = true", m.compile, m, { loss = "mse", run_eagerly = true })
  support.fails("nothing is called while a model predicts", m.predict, m, x, { callbacks = {} })
  support.fails("steps is for datasets", m.predict, m, x, { steps = 1 })
  support.fails("compute in float32", cornu.losses.MeanSquaredError, { dtype = "float64" })
  support.fails("compute in float32", cornu.metrics.AUC, { dtype = "float16" })
  lu.assertEquals(m:predict(cornu.data.tensors(x), { batch_size = 2, steps = 2 }):shape(), { 4, 1 })
  m:compile { loss = "mse" }
  for _, method in ipairs { "fit", "evaluate" } do
    support.fails("sample_weight: a dataset", m[method], m, cornu.data.tensors(x, x), nil, { sample_weight = cornu.ones(6) })
  end
  local path = support.file("here", ".keras")
  support.fails("overwrite = false", m.save, m, path, { overwrite = false })
  support.fails("overwrite = false", m.save_weights, m, path, { overwrite = false })
  m:save(path, { overwrite = true })
  lu.assertEquals(cornu.load(path):get_layer(1).name, m[1].name)
  support.fails("nothing is sent", function() return C.RemoteMonitor end)
  support.fails("did you mean", function() return C.EarlyStoping end)
  support.fails("write_graph = true", C.TensorBoard, { write_graph = true })
end

-- ---- callbacks ----

function TestSignatures:testTerminateOnNaN()
  local m, x, y = small()
  m:compile { optimizer = "sgd", loss = "mse" }
  local ended = false
  local look = { on_train_end = function() ended = true end }
  support.fails("the loss is nan", m.fit, m, x * (0 / 0), y, { verbose = 0,
    callbacks = { C.TerminateOnNaN { raise_error = true }, look } })
  lu.assertFalse(ended)
end

-- Against Keras (scripts/make_swap.py): tests see the averages, and with swap_on_epoch what comes after epochs does.
function TestSignatures:testSwapEMAWeights()
  local all = cornu.json.decode(support.read("tests/training/swap.json"))
  local x, y = cornu.tensor(all.x), cornu.tensor(all.y)
  local function near(a, b) support.same(a * 1e-1, (cornu.tensor(b) * 1e-1):totable()) end
  for _, case in ipairs(all.cases) do
    local m = cornu.Sequential { cornu.Input { shape = { 3 } }, L.Dense { 1, name = "fc" }, L.BatchNormalization {} }
    m:set_weights { ["fc/kernel"] = all.kernel, ["fc/bias"] = { 0 } }
    m:compile { optimizer = cornu.optimizers.SGD { 0.05, use_ema = true, ema_momentum = 0.8 }, loss = "mse" }
    local kernels = {}
    local look = { on_epoch_end = function() kernels[#kernels + 1] = m:layer("fc"):weights()[1]:clone() end }
    local history = m:fit(x, y, { epochs = 3, batch_size = 8, shuffle = false, validation_data = { x, y }, verbose = 0,
      callbacks = { C.SwapEMAWeights { swap_on_epoch = case.swap_on_epoch }, look } })
    for i = 1, 3 do
      lu.assertAlmostEquals(history.loss[i], case.history.loss[i], 1e-4)
      lu.assertAlmostEquals(history.val_loss[i], case.history.val_loss[i], 1e-4)
      near(kernels[i], case.kernels[i])
    end
    near(m:layer("fc"):weights()[1], case.last)
  end
  local m = small()
  m:compile { optimizer = "sgd", loss = "mse" }
  support.fails("use_ema = true", m.evaluate, m, x[{ {}, { 1, 2 } }], y, { callbacks = { C.SwapEMAWeights {} } })
end

-- A damaged backup gives way to the one before.
function TestSignatures:testDoubleCheckpoint()
  local folder = os.tmpname()
  os.remove(folder)
  local m, x, y = small()
  m:compile { optimizer = "sgd", loss = "mse", seed = 1 }
  local function backup(more)
    return C.BackupAndRestore { backup_dir = folder, double_checkpoint = true, delete_checkpoint = more or false }
  end
  m:fit(x, y, { epochs = 3, verbose = 0, callbacks = { backup() } })
  local file = assert(io.open(folder .. "/training.npz", "wb"))
  file:write "no archive"
  file:close()
  local epochs = {}
  m:fit(x, y, { epochs = 4, verbose = 0,
    callbacks = { backup(true), { on_epoch_begin = function(_, epoch) epochs[#epochs + 1] = epoch end } } })
  lu.assertEquals(epochs, { 3, 4 })
  lu.assertNil(io.open(folder .. "/training.npz.bkp"))
  os.remove(folder)
end

function TestSignatures:testStepsPerSecond()
  local folder = os.tmpname()
  os.remove(folder)
  local m, x, y = small()
  m:compile { optimizer = "sgd", loss = "mse" }
  local board = C.TensorBoard { log_dir = folder, write_steps_per_second = true, update_freq = 1 }
  local tags, path = {}, nil
  local writer = board.writer
  function board:writer(part)
    local w = writer(self, part)
    path = w.path
    local scalar = w.scalar
    return setmetatable({ scalar = function(_, tag, step, v)
      tags[tag] = v
      return scalar(w, tag, step, v)
    end }, { __index = w })
  end
  m:fit(x, y, { batch_size = 2, verbose = 0, callbacks = { board } })
  lu.assertTrue(tags.epoch_steps_per_second > 0 and tags.batch_steps_per_second > 0)
  os.remove(path)
  os.remove(folder .. "/train")
  os.remove(folder)
end
