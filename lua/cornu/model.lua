-- Loading and predicting: the arguments in all their forms, batches.
local core = require "cornu.core"
local options = require "cornu.options"
local ports = require "cornu.ports"
local sources = require "cornu.sources"

local load_options = { "backend", "by_name", "custom_objects", "data_format", "exact", "seed", "skip_mismatch", "trusted" }
local weight_options = { "backend", "by_name", "data_format", "skip_mismatch", "trusted" }
local predict_options = { "batch_size", "callbacks", "progress", "steps", "threads", "verbose" }

-- A tensor, a list, or a table whose values are all tensors; else it is a table of options.
local function is_input(v)
  if core.type(v) == "tensor" then return true end
  if type(v) ~= "table" then return false end
  if v[1] ~= nil then return true end
  local any = false
  for _, x in pairs(v) do
    if core.type(x) ~= "tensor" then return false end
    any = true
  end
  return any
end

-- A model whose file fixes the batch runs in batches of that size.
local function batch_of(model, wanted)
  for _, port in ipairs(model.inputs) do
    if port.shape[1] and port.shape[1] > 0 then return port.shape[1] end
  end
  return wanted
end

local function rows_between(list, first, last)
  local part = {}
  for i, t in ipairs(list) do part[i] = t:slice(1, first, last) end
  return #part == 1 and part[1] or part
end

-- Copies the rows of `part` into `whole` (made at the first part) from row `first` on; false when it has other rows.
local function keep(cornu, whole, name, part, first, count, rows)
  local shape = part:shape()
  if shape[1] ~= count then return false end
  if not whole[name] then
    shape[1] = rows
    whole[name] = cornu.zeros(shape, part:dtype())
  end
  whole[name]:slice(1, first, first + count - 1):copy(part)
  return true
end

local function show_progress(progress, done, rows)
  if type(progress) == "function" then return progress(done, rows) end
  local width = 30
  local filled = math.floor(width * done / rows)
  io.stderr:write(("\r%d/%d [%s%s]%s"):format(done, rows, ("="):rep(filled), ("."):rep(width - filled),
                                              done == rows and "\n" or ""))
  io.stderr:flush()
end

-- nil when the outputs do not go row by row with the inputs, and when an input of one axis, which may be a signal, is not
-- to be cut.
local function in_batches(cornu, model, list, rows, batch, progress)
  local whole, single, first = {}, false, 1
  if #list == 1 and list[1]:rank() == 1 and not pcall(model, list[1]:slice(1, 1, batch)) then return nil end
  while first <= rows do
    local last = math.min(first + batch - 1, rows)
    local y = model(rows_between(list, first, last))
    single = core.type(y) == "tensor"
    for name, part in pairs(single and { y } or y) do
      if not keep(cornu, whole, name, part, first, last - first + 1, rows) then return nil end
    end
    if progress then show_progress(progress, last, rows) end
    first = last + 1
  end
  return single and whole[1] or whole
end

-- Whatever the dataset is shuffled by: results belong to its rows in order.
local function over_dataset(cornu, model, data, opts)
  local step, parts, single, done = data, {}, false, 0
  if type(data) ~= "function" then
    step = data:batches { batch_size = opts.batch_size or rawget(data, "batch_size"), shuffle = false }
  end
  local batches = 0
  for x in step do
    local y = model(x)
    batches = batches + 1
    single = core.type(y) == "tensor"
    for name, part in pairs(single and { y } or y) do
      parts[name] = parts[name] or {}
      table.insert(parts[name], part)
    end
    done = done + ports.rows(ports.tensors(model.inputs, x))
    if opts.progress then show_progress(opts.progress, done, math.max(done, data.rows or 0)) end
    if batches == opts.steps then break end
  end
  if done == 0 then core.fail "predict: there is no data" end
  for name, list in pairs(parts) do parts[name] = cornu.concat(list, 1) end
  return single and parts[1] or parts
end

local function predict(cornu, model, x, opts)
  if ports.is_dataset(x) then return over_dataset(cornu, model, x, opts) end
  if opts.steps ~= nil then core.fail "predict: steps is for datasets and functions that give batches" end
  local batch = opts.batch_size or 32
  if type(batch) ~= "number" or batch < 1 then core.fail "predict: batch_size is a number from 1 on" end
  local list = ports.tensors(model.inputs, x)
  local rows = list and ports.rows(list)
  batch = rows and batch_of(model, batch)
  local y
  if rows and rows > batch then y = in_batches(cornu, model, list, rows, math.floor(batch), opts.progress) end
  if y == nil then y = model(list and (#list == 1 and list[1] or list) or x) end
  return y
end

return function(cornu)
  local methods = core.model_methods
  local load_weights = methods.load_weights

  -- Model and weights as core.load takes them: paths, or files in memory.
  local function files(path, weights)
    local given, other = sources.is(path), sources.is(weights)
    if not given and not other then return path, weights end
    if not given and type(path) == "string" and path:find "^%s*{" then path, given = { data = path, name = "config" }, true end
    if not given or (weights ~= nil and not other) then
      core.fail "load: model and weights are both paths, or both in memory: {data = bytes}"
    end
    return sources.take(path, "data", "load"), other and sources.take(weights, "weights", "load") or nil
  end

  function cornu.load(path, weights, third, fourth)
    local opts, input = third, nil
    if type(weights) == "table" and not sources.is(weights) then
      if third ~= nil then core.fail "load: options come last: load(path, weights, options)" end
      weights, opts = nil, weights
    elseif is_input(third) then
      input, opts = third, fourth
    end
    if type(path) ~= "string" and not sources.is(path) then
      core.fail(("load: the path of a model expected, got %s"):format(core.type(path) or type(path)))
    end
    options.check(opts, load_options, "load")
    path, weights = files(path, weights)
    local model = core.load(path, weights, opts)
    if input == nil then return model end
    local y = model(input)
    model:close()
    return y
  end

  -- load_keras(json [, h5] [, options]), load_keras{json_path =, hdf5_path =, by_name =}: BigDL's name for it
  function cornu.load_keras(json, weights, opts)
    if type(json) == "table" then
      opts = options.check(json, { "by_name", "hdf5_path", "json_path" }, "load_keras")
      json, weights, opts = opts.json_path, opts.hdf5_path, { by_name = opts.by_name }
    end
    if json == nil then json, weights = weights, nil end
    return cornu.load(json, weights, opts)
  end

  -- What save_weights put into an archive of arrays, by their names.
  local function load_arrays(model, path, opts)
    local arrays, given, names = core.load_npz(path), {}, model:weight_names()
    for i, w in ipairs(model:weights()) do
      local name, a = names[i], arrays[names[i]]
      if a == nil and not opts.by_name then core.fail(('%s: weight "%s" is missing'):format(path, name)) end
      local differs = a and table.concat(a:shape(), ",") ~= table.concat(w:shape(), ",")
      if a and not (opts.skip_mismatch and differs) then given[name] = a end
    end
    if next(given) ~= nil then model:set_weights(given) end
    return model
  end

  function methods.load_weights(model, path, opts)
    opts = options.check(opts, weight_options, "load_weights")
    if type(path) == "string" and path:match "%.npz$" then return load_arrays(model, path, opts) end
    if sources.is(path) then path = sources.take(path, "weights", "load_weights") end
    return load_weights(model, path, opts)
  end

  -- Keras's words for the options of predict.
  local function checked(opts)
    local o = {}
    for k, v in pairs(options.check(opts, predict_options, "predict")) do o[k] = v end
    if o.callbacks ~= nil then
      core.fail "predict: callbacks: nothing is called while a model predicts but progress = function(done, rows)"
    end
    if o.steps ~= nil and (type(o.steps) ~= "number" or o.steps < 1 or o.steps % 1 ~= 0) then
      core.fail "predict: steps: a whole number from 1 on expected"
    end
    if o.progress == nil and (o.verbose == 1 or o.verbose == 2) then o.progress = true end
    return o
  end

  function methods.predict_on_batch(model, x) return model(x) end

  function methods.predict(model, x, opts)
    if core.type(model) ~= "model" then core.fail "predict: call it as model:predict(x)" end
    if x == nil then core.fail "predict: the model was called without input" end
    opts = checked(opts)
    if not opts.threads then return predict(cornu, model, x, opts) end
    local before = core.get_threads()
    core.set_threads(opts.threads)
    local ok, y = pcall(predict, cornu, model, x, opts)
    core.set_threads(before)
    if not ok then error(y, 0) end
    return y
  end
end
