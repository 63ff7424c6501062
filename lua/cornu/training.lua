-- Training: model:compile, fit, evaluate, train_on_batch, test_on_batch.
local core = require "cornu.core"
local callbacks = require "cornu.callbacks"
local checkpoint = require "cornu.checkpoint"
local objective = require "cornu.objective"
local optimizers = require "cornu.optimizers"
local options = require "cornu.options"
local ports = require "cornu.ports"

local compile_options = { "auto_scale_loss", "jit_compile", "loss", "loss_weights", "metrics", "optimizer", "resume",
  "run_eagerly", "seed", "steps_per_execution", "weighted_metrics" }
local batch_options = { "class_weight", "return_dict", "sample_weight" }
local evaluate_options = { "batch_size", "callbacks", "return_dict", "sample_weight", "steps", "verbose" }
local fit_options = {
  "batch_size", "callbacks", "class_weight", "epochs", "initial_epoch", "sample_weight", "seed", "shuffle",
  "steps_per_epoch", "validation_batch_size", "validation_data", "validation_freq", "validation_split",
  "validation_steps", "verbose",
}

-- Keras's ways to compute, of which there is one here: in plans, batch by batch, in float32.
local function check_execution(given)
  local function refuse(name, why)
    if given[name] ~= nil then core.fail(("compile: %s = %s: %s"):format(name, tostring(given[name]), why)) end
  end
  local steps = given.steps_per_execution
  if steps ~= 1 and steps ~= core.null then refuse("steps_per_execution", "batches run one by one, which is 1") end
  if given.run_eagerly ~= false and given.run_eagerly ~= core.null then
    refuse("run_eagerly", "losses and layers of Lua are traced once, into a plan")
  end
  local jit = given.jit_compile
  if type(jit) ~= "boolean" and jit ~= "auto" then refuse("jit_compile", 'plans are always compiled: true, false or "auto"') end
  if type(given.auto_scale_loss) ~= "boolean" then
    refuse("auto_scale_loss", "true or false, which are the same where float32 computes")
  end
end

-- What compile said, by model. Nothing in it may hold the model itself: where Lua has no ephemerons it would never go.
local compiled = setmetatable({}, { __mode = "k" })

-- trains: gradients that do not exist are an error here, not in the first batch.
local function compile(model, given, trains)
  if compiled[model] and compiled[model].trains then
    core.fail(('compile: model "%s" is being trained: compile it before fit or after it'):format(model.name))
  end
  local outputs = {}
  for i, port in ipairs(model.outputs) do
    local size = port.shape[#port.shape]
    outputs[i] = { name = port.name, key = port.key or port.name, classes = size and size > 0 and size or nil }
  end
  local state = { objective = objective.new(outputs, given), optimizer = optimizers.get(given.optimizer or "rmsprop"),
    given = given,
    seed = given.seed or math.floor(core.rand({}):item() * 2 ^ 31) }
  state.unbuilt = #model.inputs[1].shape == 0
  if trains and not state.unbuilt then
    local has_loss = {}
    for i, o in ipairs(state.objective.outputs) do has_loss[i] = o.loss ~= nil end
    core.check_gradients(model, has_loss)
  end
  if compiled[model] and compiled[model].trainer then compiled[model].trainer:close() end
  compiled[model] = state
  return state
end

local function to_tensor(v)
  if type(v) == "table" and core.type(v) == nil and (type(v[1]) == "number" or type(v[1]) == "table") then
    return core.tensor(v)
  end
  return v
end

-- A model that was not compiled here goes on as its file says, with the optimizer's state that the file keeps.
local function state_of(model, what)
  local state = compiled[model]
  if state then return state end
  local given = checkpoint.options(model:training_config())
  if not given then core.fail(('%s: model "%s" has no loss yet: call model:compile{…} first'):format(what, model.name)) end
  if given.loss == nil then
    core.fail(("%s: %s names no loss (functions of Lua are in no file): give it, model:compile{loss = …, resume = true}; "
      .. "without loss =, a model with losses of its own goes on"):format(what, model.path ~= "" and model.path or "the file"))
  end
  state = compile(model, given)
  state.resumes = true
  return state
end

-- A model that does not know the shape of its input learns it from the data, and is compiled for it then.
local function built(model, state, x)
  if not state.unbuilt then return state end
  if type(x) == "table" and type(x.batches) == "function" and core.type(x) == nil then
    x = x:batches { batch_size = 1, shuffle = false }()
  end
  x = to_tensor(x)
  if type(x) == "table" then x = x[1] or select(2, next(x)) end
  if core.type(x) ~= "tensor" or x:rank() == 0 then
    core.fail(('model "%s" does not know the shape of its input: call it once, or begin it with cornu.Input'):format(
      model.name))
  end
  model(x:slice(1, 1, 1))
  local given = {}
  for key, v in pairs(state.given) do given[key] = v end
  given.seed = state.seed
  local new = compile(model, given, true)
  new.resumes = state.resumes
  return new
end

-- What compile is not given, as the model's file says.
local function resumed(model, given)
  local out = checkpoint.options(model:training_config())
  if not out then core.fail(('compile: resume: model "%s" is from no file that keeps training'):format(model.name)) end
  for key, v in pairs(given) do out[key] = v end
  return out
end

-- ---- data of one batch ----

local function inputs_of(model, x, what)
  local list = ports.tensors(model.inputs, to_tensor(x))
  if not list or #list < #model.inputs then
    local names = {}
    for i, port in ipairs(model.inputs) do names[i] = port.name end
    core.fail(("%s: a tensor for each input expected (%s)"):format(what, table.concat(names, ", ")))
  end
  return list
end

-- What y or the weights hold for each output that has a target; `each` tells that one tensor serves all of them.
local function by_target(state, v, what, each)
  v = to_tensor(v)
  local targets, list = state.objective.targets, {}
  if core.type(v) == "tensor" then
    if #targets > 1 and not each then
      core.fail(("%s: one tensor for %d outputs: a list or a table by name expected"):format(what, #targets))
    end
    for i in ipairs(targets) do list[i] = v end
    return list
  end
  if type(v) ~= "table" then core.fail(("%s: a tensor expected, got %s"):format(what, core.type(v) or type(v))) end
  for i, o in ipairs(targets) do
    local t = #v == #state.objective.outputs and v[o.position] or v[i]
    if t == nil then t = v[o.key] end
    if t == nil then t = v[o.name] end
    t = to_tensor(t)
    if core.type(t) ~= "tensor" then core.fail(('%s: nothing for output "%s"'):format(what, o.name)) end
    list[i] = t
  end
  return list
end

-- Weights of samples from those of their classes, {[0] = 1, [1] = 5}; others weigh 1.
local function class_weights(y, by_class, classes)
  local shape = y:shape()
  local ids = #shape > 1 and shape[#shape] > 1 and y:argmax(-1) - 1 or y:reshape(shape[1], -1)
  if ids:size() ~= shape[1] then core.fail "class_weight: one class for each sample expected" end
  ids = ids:reshape(-1):cast "int64"
  local weights = core.ones { shape[1] }
  for class, weight in pairs(by_class) do
    if type(class) ~= "number" or type(weight) ~= "number" then
      core.fail "class_weight: a table {[class] = weight} expected, classes from 0 on"
    end
    if classes and (class < 0 or class >= classes) then
      core.fail(("class_weight: there is no class %g: %d classes count from 0, such as {[0] = 1, [1] = 5}"):format(class,
        classes))
    end
    weights = core.ops.where(ids:eq(class), weight, weights)
  end
  return weights
end

-- nil: unknown
local function classes_of(output)
  local binary = output.criterion and output.criterion.class_name == "BinaryCrossentropy"
  return output.classes and (output.classes > 1 and output.classes or binary and 2) or nil
end

local function weights_of(state, y, w, by_class)
  if by_class then
    if #y ~= 1 then core.fail "class_weight: for models with one output; give sample_weight" end
    local weight = class_weights(y[1], by_class, classes_of(state.objective.targets[1]))
    return { w and weight * w[1] or weight }
  end
  return w
end

-- Targets and weights, as the objective expects them.
local function given_of(state, y, w, by_class, what)
  if #state.objective.targets == 0 then return {} end
  if y == nil then core.fail(("%s: the targets are missing"):format(what)) end
  local targets = by_target(state, y, what .. ": y", false)
  objective.check_labels(state.objective, targets)
  local weights = weights_of(state, targets, w and by_target(state, w, what .. ": sample_weight", true), by_class)
  if not weights then return targets end
  local given = {}
  for i, t in ipairs(targets) do given[2 * i - 1], given[2 * i] = t, weights[i] end
  return given
end

-- ---- batches ----

-- tests: only for results; then the optimizer needs neither room nor the state that it goes on with.
local function trainer_of(model, state, tests)
  if not state.trainer then
    -- The trainer's own reference never goes; functions of the user may hold the model. So it holds them weakly.
    local weak = setmetatable({ build = objective.build(state.objective) }, { __mode = "v" })
    state.build = weak.build
    state.trainer = core.new_trainer(model, state.optimizer, function(...) return weak.build(...) end, state.seed)
  end
  if state.resumes and not tests then
    checkpoint.restore(model, state.trainer)
    state.resumes = nil
  end
  return state.trainer
end

-- Runs a batch, which the objective's sums keep; returns its loss.
local function run_batch(model, state, training, x, y, w, by_class, what)
  local inputs = inputs_of(model, x, what)
  local rows = inputs[1]:rank() > 0 and #inputs[1] or 1
  if rows == 0 then core.fail(("%s: the batch has no samples"):format(what)) end
  local given = given_of(state, y, w, by_class, what)
  local results = trainer_of(model, state, not training):batch(training, inputs, given)
  return objective.add(state.objective, results, rows)
end

-- Results by name, or with return_dict = false as a list, the loss first.
local function returned(logs, names, by_name)
  if by_name ~= false then return logs end
  local list = {}
  for i, name in ipairs(names) do list[i] = logs[name] end
  return list
end

local function one_batch(model, training, x, y, opts, what)
  local state = built(model, state_of(model, what), x)
  opts = options.check(opts, batch_options, what)
  objective.reset(state.objective)
  run_batch(model, state, training, x, y, opts.sample_weight, opts.class_weight, what)
  local logs, names = objective.logs(state.objective)
  return returned(logs, names, opts.return_dict)
end

-- ---- passes over data ----

local is_dataset = ports.is_dataset

local function whole(v, what, least)
  if type(v) ~= "number" or v % 1 ~= 0 or v < least then
    core.fail(("%s: %s: a whole number from %d on expected"):format(what, tostring(v), least))
  end
  return v
end

-- {step(), steps =}: the batches of a pass; steps is nil where their number is not known.
local function pass(data, batch_size, limit, shuffle, seed, epoch)
  local step, rows
  if type(data) == "function" then
    step = data
  else
    step = data:batches { batch_size = batch_size, shuffle = shuffle, seed = seed, epoch = epoch }
    rows = data.rows
  end
  local steps = rows and math.ceil(rows / (batch_size or 32)) or nil
  if limit then steps = math.min(limit, steps or limit) end
  local done = 0
  return function()
    if limit and done >= limit then return nil end
    done = done + 1
    return step()
  end, steps
end

-- The batches of an epoch of training. With steps_per_epoch a pass over the data goes on in the next epoch, as in Keras; the
-- epoch in which it ends is shorter.
local function epoch_batches(data, opts, epoch)
  local limit, done = opts.steps_per_epoch, 0
  local function begin(number, most) return (pass(data, opts.batch_size, most, opts.shuffle, opts.seed, number)) end
  if not limit or type(data) == "function" then return begin(epoch, limit) end
  local parts = data.rows and math.ceil(data.rows / opts.batch_size / limit)
  local part = parts and (epoch - 1) % parts or 0
  if part == 0 and parts then opts.step = nil end
  local fresh = opts.step == nil
  if fresh then
    opts.step = begin(parts and math.floor((epoch - 1) / parts) + 1 or epoch)
    for _ = 1, part * limit do opts.step() end -- the training began in the middle of a pass
  end
  return function()
    if done == limit then return nil end
    done = done + 1
    local x, y, w = opts.step()
    if x == nil and done == 1 and not fresh then -- the epoch before took the last one
      opts.step = begin(epoch)
      x, y, w = opts.step()
    end
    if x == nil then opts.step = nil end
    return x, y, w
  end
end

local function check_nan(run, loss, epoch, batch)
  if loss == loss and loss ~= math.huge and loss ~= -math.huge or run.told_nan then return end
  run.told_nan = true
  io.stderr:write(("cornu: the loss is %s at epoch %d, batch %d\n"):format(loss ~= loss and "nan" or tostring(loss), epoch,
    batch))
end

-- ---- methods ----

return function(cornu)
  local methods = core.model_methods

  local function dataset(x, y, w, what)
    if not is_dataset(x) then return cornu.data.tensors(x, y, w) end
    local beside = y ~= nil and "y" or w ~= nil and "sample_weight"
    if beside then core.fail(("%s: %s: a dataset, or a function, gives it itself: batches of x, y, w"):format(what, beside)) end
    return x
  end

  function methods.compile(model, given)
    given = options.check(given, compile_options, "compile")
    check_execution(given)
    if given.resume then given = resumed(model, given) end
    compile(model, given, true).resumes = given.resume
    return model
  end

  -- A Sequential that gets or loses a layer is another model: what it was compiled for is over.
  local become = core.become
  function core.become(model, other)
    local state = compiled[model]
    if state and state.trains then
      core.fail(('model "%s" is being trained: change its layers before fit or after it'):format(model.name))
    end
    if state and state.trainer then state.trainer:close() end
    compiled[model] = nil
    return become(model, other)
  end

  -- The options of compile, or nil.
  function methods.compiled(model) return compiled[model] and compiled[model].given end

  -- The trainer of a compiled model: steps(), rate(), …
  function methods.trainer(model) return trainer_of(model, state_of(model, "trainer")) end

  function methods.learning_rate(model, rate)
    local trainer = trainer_of(model, state_of(model, "learning_rate"))
    if rate ~= nil then trainer:set_rate(rate) end
    return trainer:rate()
  end

  function methods.train_on_batch(model, x, y, opts) return one_batch(model, true, x, y, opts, "train_on_batch") end
  function methods.test_on_batch(model, x, y, opts) return one_batch(model, false, x, y, opts, "test_on_batch") end

  -- One pass without training → logs, names
  local function test_pass(model, state, list, data, batch_size, steps)
    local step, total = pass(data, batch_size, steps)
    list:call "on_test_begin"
    local function results() return objective.logs(state.objective) end
    local shown = list.run.testing and list.progress
    if shown then shown.steps = total shown:begin() end
    objective.reset(state.objective)
    local batch = 0
    while not list.run.stopped do
      local x, y, w = step()
      if x == nil then break end
      batch = batch + 1
      list:call("on_test_batch_begin", batch)
      run_batch(model, state, false, x, y, w, nil, "evaluate")
      if list.wants_test_logs then list:call("on_test_batch_end", batch, (results())) end
      if shown then shown:tick(batch, results) end
    end
    if batch == 0 then core.fail "evaluate: there is no data" end
    local logs, names = results()
    if shown then shown:finish(nil, logs, names) end
    list:call("on_test_end", logs)
    return logs, names
  end

  function methods.evaluate(model, x, y, opts)
    if is_dataset(x) and opts == nil then y, opts = nil, y end
    local state = built(model, state_of(model, "evaluate"), x)
    opts = options.check(opts, evaluate_options, "evaluate")
    local run = callbacks.run(model, { epochs = 1, testing = true })
    run.trainer = trainer_of(model, state, true)
    local list = callbacks.list(opts.callbacks, run, opts.verbose or 0)
    local data = dataset(x, y, opts.sample_weight, "evaluate")
    local logs, names = test_pass(model, state, list, data, opts.batch_size or 32, opts.steps)
    return returned(logs, names, opts.return_dict)
  end

  -- ---- fit ----

  -- The data of training and of validation.
  local function split(x, y, opts)
    local data, validation = dataset(x, y, opts.sample_weight, "fit"), opts.validation_data
    if opts.validation_split and opts.validation_split ~= 0 and not validation then
      if type(data) == "function" or not data.split then core.fail "fit: validation_split needs tensors" end
      return data:split(opts.validation_split)
    end
    if validation and not is_dataset(validation) then
      validation = cornu.data.tensors(validation[1] or validation.x, validation[2] or validation.y,
        validation[3] or validation.sample_weight)
    end
    return data, validation
  end

  local function train_pass(model, state, list, data, opts, epoch)
    local step = epoch_batches(data, opts, epoch)
    objective.reset(state.objective)
    local batch, run = 0, list.run
    local function results() return objective.logs(state.objective) end
    list.progress:begin(epoch)
    for _ = 1, run.initial_batch or 0 do -- an interrupted epoch goes on
      batch = batch + 1
      step()
    end
    run.initial_batch = nil
    while not run.stopped do
      local x, y, w = step()
      if x == nil then break end
      batch = batch + 1
      list:call("on_train_batch_begin", batch)
      local loss = run_batch(model, state, true, x, y, w, opts.class_weight, "fit")
      check_nan(run, loss, epoch, batch)
      run.loss = loss
      if list.wants_batch_logs then list:call("on_train_batch_end", batch, (results())) end
      list.progress:tick(batch, results)
      if core.interrupted() then run:stop "interrupted" end
    end
    if batch == 0 then core.fail "fit: there is no data" end
  end

  local function validate(model, state, list, validation, opts, logs, names)
    local tested, tested_names = test_pass(model, state, list, validation,
      opts.validation_batch_size or opts.batch_size, opts.validation_steps)
    for _, name in ipairs(tested_names) do
      logs["val_" .. name], names[#names + 1] = tested[name], "val_" .. name
    end
  end

  local function train(model, state, list, data, validation, opts)
    local run, logs, names = list.run, nil, nil
    for epoch = opts.initial_epoch + 1, opts.epochs do
      if run.stopped then break end
      list:call("on_epoch_begin", epoch, {})
      train_pass(model, state, list, data, opts, epoch)
      logs, names = objective.logs(state.objective)
      local due = validation and not run.stopped and epoch % (opts.validation_freq or 1) == 0
      if due then validate(model, state, list, validation, opts, logs, names) end
      list:call("on_epoch_end", epoch, logs)
      list.progress:finish(epoch, logs, names)
    end
    if opts.epochs > 0 then run.trainer:finish() end
    list:call("on_train_end", logs or {})
  end

  local function fit_settings(opts, state, x)
    local o = {}
    for k, v in pairs(options.check(opts, fit_options, "fit")) do o[k] = v end
    local own = type(x) == "table" and is_dataset(x) and rawget(x, "batch_size")
    o.batch_size = whole(o.batch_size or own or 32, "fit: batch_size", 1)
    o.epochs = whole(o.epochs or 1, "fit: epochs", 0)
    o.initial_epoch = whole(o.initial_epoch or 0, "fit: initial_epoch", 0)
    for _, name in ipairs { "steps_per_epoch", "validation_batch_size", "validation_freq", "validation_steps" } do
      if o[name] ~= nil then o[name] = whole(o[name], "fit: " .. name, 1) end
    end
    if o.shuffle == nil then o.shuffle = true end
    o.seed = o.seed or state.seed
    return o
  end

  function methods.fit(model, x, y, opts)
    if is_dataset(x) and opts == nil then y, opts = nil, y end
    local state = built(model, state_of(model, "fit"), x)
    opts = fit_settings(opts, state, x)
    local data, validation = split(x, y, opts)
    local _, steps = pass({ rows = type(data) == "table" and data.rows or nil, batches = function() end },
      opts.batch_size, opts.steps_per_epoch)
    local run = callbacks.run(model, { epochs = opts.epochs, steps = steps, batch_size = opts.batch_size,
      initial_epoch = opts.initial_epoch, seed = opts.seed })
    run.trainer = trainer_of(model, state)
    local history = callbacks.History()
    local list = callbacks.list(opts.callbacks, run, opts.verbose, history)
    list:call "on_train_begin"
    opts.initial_epoch, opts.seed = run.initial_epoch, run.seed -- a backup may say others
    local nested = state.trains
    core.defer_interrupts(true)
    state.trains = true
    local ok, message = pcall(train, model, state, list, data, validation, opts)
    state.trains = nested
    core.defer_interrupts(nested)
    if not ok then error(message, 0) end
    return history
  end
end
