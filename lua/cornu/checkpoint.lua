-- What files keep of training: compile's settings as Keras writes them, the optimizer's arrays; and back.
local core = require "cornu.core"
local losses = require "cornu.losses"
local metrics = require "cornu.metrics"

local checkpoint = {}

-- What both Kerases call the parts of compile's settings.
local parts = { "loss", "loss_weights", "metrics", "weighted_metrics" }

-- ---- to files ----

local modules = { loss = "keras.losses", metrics = "keras.metrics", weighted_metrics = "keras.metrics" }

local families = { loss = losses.family, metrics = metrics.family, weighted_metrics = metrics.family }

-- Keras 3 does not find functions again that its own .h5 files name, but for these: classes say the same.
local found = { accuracy = true, acc = true, crossentropy = true, ce = true }
local function class_of(name, part)
  local entry = families[part] and not found[name] and families[part].by_name[name]
  return entry and { class_name = entry.name, config = { name = name } } or name
end

-- Alone, with a name, {name = "n", function (y_true, y_pred) … end}, or as an object of losses or metrics.
local function is_function(v)
  return type(v) == "function" or (type(v) == "table" and (v.custom or v.name and type(v[1]) == "function"))
end

-- A name, an object {class_name =, config =}, or lists and tables of them by output. Functions of Lua are in no file: what
-- has one is noted in left_out; in lists of metrics the others stay.
local function say(v, keras, part, archive, left_out)
  if is_function(v) then left_out[part] = true end
  if not v or is_function(v) then return core.null end
  if type(v) == "string" and keras >= 3 and not archive then v = class_of(v, part) end
  if type(v) ~= "table" or core.type(v) then return v end
  if type(v.class_name) == "string" then
    local config = v.config or {}
    if keras < 3 then return { class_name = v.class_name, config = config } end
    return { module = modules[part], class_name = v.class_name, config = config, registered_name = core.null }
  end
  local out = {}
  for key, item in pairs(v) do
    if v[1] == nil then out[key] = say(item, keras, part, archive, left_out) end
  end
  for _, item in ipairs(v) do
    local said = say(item, keras, part, archive, left_out)
    if part == "loss" or not is_function(item) then out[#out + 1] = said end
  end
  return v[1] ~= nil and core.json.list(out) or out
end

-- Keras 3 keeps the optimizer within an archive's settings; .h5 files of all name it apart.
local function say_settings(given, optimizer, keras, archive, left_out)
  local out = { loss = core.null, loss_weights = core.null, metrics = core.null }
  for _, part in ipairs(parts) do
    local v = say(given[part], keras, part, archive, left_out)
    if part ~= "weighted_metrics" or v ~= core.null or keras >= 3 then out[part] = v end
  end
  if archive then
    out.optimizer = { module = "keras.optimizers", class_name = optimizer.class_name, config = optimizer.config,
      registered_name = core.null }
  else
    out.optimizer_config = { class_name = optimizer.class_name, config = optimizer.config }
  end
  if keras >= 3 then
    out.run_eagerly, out.steps_per_execution, out.jit_compile = false, 1, false
  else
    out.sample_weight_mode = core.null
  end
  return out
end

-- The settings of one kind of file as another has them.
local function reword(config, archive)
  local out = {}
  for key, v in pairs(config) do out[key] = v end
  local optimizer = config.optimizer or config.optimizer_config
  out.optimizer, out.optimizer_config = nil, nil
  if type(optimizer) == "table" then
    local plain = { class_name = optimizer.class_name, config = optimizer.config }
    if archive then
      plain.module, plain.registered_name = "keras.optimizers", core.null
      out.optimizer = plain
    else
      out.optimizer_config = plain
    end
  end
  return out
end

local warned = setmetatable({}, { __mode = "k" })

-- Once for each compile.
local function warn_left_out(model, given, left_out)
  local list = {}
  for _, part in ipairs(parts) do
    if left_out[part] then list[#list + 1] = part end
  end
  if #list == 0 or warned[given] then return end
  warned[given] = true
  io.stderr:write(('cornu: model "%s": %s: functions of Lua are in no file; after loading give them again, '
    .. "model:compile{%s = …, resume = true}\n"):format(model.name, table.concat(list, ", "), list[1]))
end

-- What a save of the model writes beside the layers: of a compiled model its settings and the optimizer's state; of one
-- that was loaded and not trained what its file has. numbered: the optimizer's arrays may have numbers for names.
function checkpoint.parts(model, keras, archive, numbered)
  local given = model.compiled and model:compiled()
  if given then
    local trainer, left_out = model:trainer(), {}
    local out = { optimizer_names = {}, optimizer_arrays = {},
      training_config = say_settings(given, trainer:optimizer(keras >= 3), keras, archive, left_out) }
    warn_left_out(model, given, left_out)
    for i, entry in ipairs(trainer:state(math.max(keras, 2))) do
      out.optimizer_names[i], out.optimizer_arrays[i] = entry.name, entry.value
    end
    return out
  end
  local config = model:training_config()
  if not config or core.model_keras(model) ~= keras then return {} end
  local out = { training_config = reword(config, archive) }
  local list = core.optimizer_list(model)
  if #list > 0 and (numbered or not tonumber(list[1].name)) then
    out.optimizer_names, out.optimizer_arrays = {}, {}
    for i, entry in ipairs(list) do out.optimizer_names[i], out.optimizer_arrays[i] = entry.name, entry.value end
  end
  return out
end

-- ---- from files ----

local function is_object(v) return type(v) == "table" and type(v.class_name) == "string" end

-- tf.keras wraps functions: {class_name = "MeanMetricWrapper", config = {fn = "categorical_accuracy", name = "accuracy"}}.
local function read(v)
  if v == nil or v == core.null then return nil end
  if type(v) ~= "table" then return v end
  if is_object(v) then
    local config = type(v.config) == "table" and v.config or {}
    if v.class_name == "function" and type(v.config) == "string" then return v.config end
    if v.class_name:match "Wrapper$" and type(config.fn) == "string" then return config.fn end
    local own = {}
    for key, item in pairs(config) do
      if key ~= "fn" and not (key == "reduction" and item == "auto") then own[key] = item end
    end
    return { class_name = v.class_name, config = own }
  end
  local out = {}
  for key, item in pairs(v) do out[key] = read(item) end
  return out
end

-- The options of compile that a file's settings stand for; nil: there are none.
function checkpoint.options(config)
  local optimizer = config and read(config.optimizer or config.optimizer_config)
  if not optimizer then return nil end
  local out = { optimizer = optimizer }
  for _, part in ipairs(parts) do
    local v = read(config[part])
    local nested = type(v) == "table" and #v == 1 and type(v[1]) == "table" and not is_object(v[1])
    out[part] = nested and v[1] or v -- the list of the only output
  end
  return out
end

-- Gives the trainer the state that the model's file keeps of its optimizer, if it keeps any.
function checkpoint.restore(model, trainer)
  local list = core.optimizer_list(model)
  if #list == 0 then return end
  local ok, message = pcall(trainer.set_state, trainer, list)
  if not ok then
    local why = tostring(message):gsub("^[^:]*:%d+: ", "")
    core.fail(("%s: the optimizer's state does not fit: %s (model:compile{…} begins without it)"):format(
      model.path ~= "" and model.path or "the file", why))
  end
end

return checkpoint
