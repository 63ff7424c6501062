-- Composing models: cornu.layers, Input, Sequential, Model, and what changes models and their weights.
local core = require "cornu.core"
local options = require "cornu.options"
local registry = require "cornu.registry"

local compose = {}

local made = {}
local function fresh_name(base)
  local n = made[base]
  made[base] = (n or 0) + 1
  return n and base .. "_" .. n or base
end

-- ---- layers ----

-- Layers inside of arguments become their configs: Bidirectional{layer = cornu.layers.LSTM{5}}.
local function serialized(v)
  if core.type(v) == "layer" then return { class_name = v.class_name, config = serialized(v.config) } end
  if type(v) ~= "table" then return v end
  local copy = setmetatable({}, getmetatable(v))
  for k, x in pairs(v) do copy[k] = serialized(x) end
  return copy
end

-- Fields that take arguments without a name, where Keras has them first: those that are required, and the activation
-- behind `units`; where none is required, the first.
local by_name_alone = { GroupQueryAttention = true, PReLU = true }

local function positional(entry)
  local list = {}
  if by_name_alone[entry.name] then return list end
  for _, f in ipairs(entry.fields) do
    if f.standard == nil then list[#list + 1] = f.name end
  end
  if #list == 0 and entry.fields[1] then list[1] = entry.fields[1].name end
  if #list == 1 and list[1] == "units" then list[2] = "activation" end
  return list
end

-- Dense{10, "relu", name = "fc"} -> {units =, activation =, name =}
local function arguments(entry, given)
  if given == nil then given = {} end
  if type(given) ~= "table" then given = { given } end
  local config, order = {}, positional(entry)
  for k, v in pairs(given) do
    local name = type(k) == "number" and order[k] or k
    if type(name) ~= "string" then
      core.fail(("%s: argument %s needs a name%s"):format(entry.name, tostring(k), #order > 0 and
        (" (without one: %s)"):format(table.concat(order, ", ")) or ""))
    end
    if name ~= k and given[name] ~= nil then core.fail(('%s: "%s" is given twice'):format(entry.name, name)) end
    config[name] = serialized(v)
  end
  return config
end

local not_made = {
  Functional = "cornu.Model", Model = "cornu.Model", Network = "cornu.Model", Container = "cornu.Model",
  Graph = "cornu.Model", Sequential = "cornu.Sequential", InputLayer = "cornu.Input", Lambda = "custom_objects",
  TFOpLambda = "custom_objects", SlicingOpLambda = "custom_objects",
}

-- The entry of a class, by any of its names; the registry is read when the first layer is made.
local entry_of
local function find_entry(class_name)
  if not entry_of then
    entry_of = {}
    for _, entry in ipairs(registry.layers()) do
      entry_of[entry.name] = entry
      for _, alias in ipairs(entry.aliases) do entry_of[alias] = entry end
    end
  end
  return entry_of[class_name]
end

local function has(config, field)
  if config[field.name] ~= nil then return true end
  for _, alias in ipairs(registry.words(field.aliases)) do
    if config[alias] ~= nil then return true end
  end
  return false
end

local function constructor(class_name)
  return function(given)
    local entry = find_entry(class_name)
    local config = arguments(entry, given)
    for _, f in ipairs(entry.fields) do
      if f.must and not has(config, f) then -- the engine tells of the others
        core.fail(('layer %s"%s" is missing'):format(config.name and ('"%s" (%s): '):format(config.name, class_name) or
          class_name .. ": ", f.name))
      end
    end
    return core.new_layer(class_name, config)
  end
end

-- cornu.layers: a constructor for each class and each of its other names.
function compose.layers()
  local layers, classes = {}, {}
  for _, name in ipairs(registry.words(core.layer_names())) do
    if not not_made[name] then
      layers[name] = constructor(name)
      classes[#classes + 1] = name
    end
  end
  return setmetatable(layers, { __index = function(_, name)
    if type(name) ~= "string" then return nil end
    if not_made[name] then core.fail(("cornu.layers.%s: use %s"):format(name, not_made[name])) end
    local why, near = registry.refusal(name), options.nearest(name, classes)
    core.fail(('no layer class "%s"%s'):format(name, why and ": not supported: " .. why or
      near and (': did you mean "%s"?'):format(near) or ": cornu.help \"layers\" lists them"))
  end })
end

-- A layer of one's own: cornu.Layer{class_name = "Scale", call = function(x, layer) … end, …}
local handler_fields = { "build", "call", "eager", "output_shape", "state_size" }
local layer_options = { "build", "call", "class_name", "config", "eager", "name", "output_shape", "state_size" }

function compose.layer(given)
  options.check(given, layer_options, "Layer")
  if not given or not given.call then core.fail "Layer: call = function(x, layer) … end expected" end
  local handler, config = {}, serialized(given.config or {})
  for _, key in ipairs(handler_fields) do handler[key] = given[key] end
  config.name = given.name
  return core.new_custom_layer({ [given.class_name or "CustomLayer"] = handler }, config)
end

-- ---- models ----

local input_options = { "batch_shape", "batch_size", "dtype", "name", "shape" }

function compose.input(given)
  options.check(given, input_options, "Input")
  if not given or (given.shape == nil) == (given.batch_shape == nil) then
    core.fail "Input: shape = {…} without the batch, or batch_shape = {…} with it"
  end
  local shape, sizes = {}, given.shape or given.batch_shape
  if given.shape then shape[1] = given.batch_size or -1 end
  local before = #shape
  for _, size in ipairs(sizes) do shape[#shape + 1] = type(size) == "number" and size or -1 end
  for at in pairs(sizes) do
    if type(at) == "number" and at > #shape - before then
      core.fail(("Input: shape has no size %d: one that is not known is -1, as Lua's lists end at nil"):format(#shape - before + 1))
    end
  end
  return core.new_input(given.name, given.dtype or "float32", shape)
end

local function as_layer(v) return core.type(v) == "model" and v:as_layer() or v end

function compose.sequential(given)
  given = given or {}
  local layers, input = {}, nil
  for k in pairs(given) do
    if type(k) ~= "number" and k ~= "name" then core.fail(('Sequential has no option "%s" (it has: name)'):format(k)) end
  end
  for i, v in ipairs(given) do
    if i == 1 and core.type(v) == "symbol" then input = v else layers[#layers + 1] = as_layer(v) end
  end
  return core.new_sequential(given.name or fresh_name "sequential", layers, input)
end

-- One symbol, a list, or a table by name -> list, names or nil
local function ends(v, what)
  if core.type(v) == "symbol" then return { v } end
  if type(v) ~= "table" then core.fail(("Model: %s is a %s: symbols expected"):format(what, core.type(v) or type(v))) end
  if #v > 0 then return v end
  local names, list = {}, {}
  for name in pairs(v) do names[#names + 1] = name end
  if #names == 0 then core.fail(("Model: no %s"):format(what)) end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = v[name] end
  return list, names
end

function compose.model(given)
  options.check(given, { "inputs", "name", "outputs" }, "Model")
  if not given then core.fail "Model: inputs = … and outputs = … expected" end
  local inputs, input_names = ends(given.inputs, "inputs")
  local outputs, output_names = ends(given.outputs, "outputs")
  return core.new_model(given.name or fresh_name "functional", inputs, input_names, outputs, output_names)
end

-- ---- surgery ----

local methods = core.model_methods

local function sequential_parts(model, what)
  if model.type ~= "Sequential" then
    core.fail(('%s: model "%s" is not Sequential: cornu.Model, model:slice and model:replace make new ones'):format(what,
      model.name))
  end
  local layers = {}
  for i = 1, #model do layers[i] = model[i] end
  local input = model.inputs[1]
  return layers, core.type(input) == "symbol" and input or nil
end

function methods.add(model, layer)
  local layers, input = sequential_parts(model, "add")
  if core.type(layer) == "symbol" then
    if #layers > 0 or input then core.fail "add: the input is the first thing that a Sequential is given" end
    input = layer
  else
    layers[#layers + 1] = as_layer(layer)
  end
  return core.become(model, core.new_sequential(model.name, layers, input))
end

function methods.pop(model)
  local layers, input = sequential_parts(model, "pop")
  local last = table.remove(layers)
  if not last then core.fail "pop: the model has no layers" end
  core.become(model, core.new_sequential(model.name, layers, input))
  return last
end

-- What `with` makes of x: a layer, a model, a list of them, a function.
local function apply(with, x)
  if core.type(with) == nil and type(with) == "table" then
    for _, step in ipairs(with) do x = apply(step, x) end
    return x
  end
  local kind = core.type(with) or type(with)
  if kind ~= "layer" and kind ~= "model" and kind ~= "function" then
    core.fail(("a %s is nothing to put into a model: a layer, a model, a list of them or a function"):format(kind))
  end
  return with(x)
end

local function append(list, v)
  if core.type(v) == "symbol" then v = { v } end
  if type(v) ~= "table" then core.fail(("a symbol expected, got %s"):format(core.type(v) or type(v))) end
  for _, s in ipairs(v) do list[#list + 1] = s end
end

local function check_fit(name, before, after)
  if #before ~= #after then
    core.fail(('layer "%s" has %d outputs, what takes its place has %d'):format(name, #before, #after))
  end
end

function methods.replace(model, name, with)
  local layer, before, after = model:layer(name), {}, {}
  for call = 1, layer:calls() do
    append(before, layer:output(call))
    append(after, apply(with, layer:input(call)))
  end
  check_fit(layer.name, before, after)
  return core.rewire(model, before, after)
end

function methods.insert(model, name, with)
  local layer, before, after = model:layer(name), {}, {}
  for call = 1, layer:calls() do
    local y = layer:output(call)
    append(before, y)
    append(after, apply(with, y))
  end
  check_fit(layer.name, before, after)
  return core.rewire(model, before, after)
end

-- ---- weights ----

local layer_methods = core.layer_methods
local set_list = layer_methods.set_weights

local function has_names(t)
  return type(t) == "table" and core.type(t) == nil and #t == 0 and next(t) ~= nil
end

-- Positions of names: all weights first as they are, then those given.
local function merged(names, values, given, what)
  local at = {}
  for i, name in ipairs(names) do at[name] = i end
  for name, v in pairs(given) do
    if not at[name] then
      core.fail(('%s has no weight "%s" (it has: %s)'):format(what, tostring(name), table.concat(names, " ")))
    end
    values[at[name]] = v
  end
  return values
end

function layer_methods.set_weights(layer, given)
  if has_names(given) then
    given = merged(layer:weight_names(), layer:weights(), given, ('layer "%s"'):format(layer.name))
  end
  return set_list(layer, given)
end

function layer_methods.get_weights(layer)
  local copies = {}
  for i, w in ipairs(layer:weights()) do copies[i] = w:clone() end
  return copies
end

function layer_methods.weight(layer, name)
  local names = layer:weight_names()
  for i, known in ipairs(names) do
    if known == name then return layer:weights()[i] end
  end
  core.fail(('layer "%s" has no weight "%s" (it has: %s)'):format(layer.name, tostring(name), table.concat(names, " ")))
end

-- Calls f(layer, i, name, trainable) for every weight once, layers in order.
local function each_weight(model, f)
  for _, layer in ipairs(model:layers()) do
    local trainable = layer:count_trainable()
    for i, name in ipairs(layer:weight_names()) do f(layer, i, layer.name .. "/" .. name, i <= trainable) end
  end
end

local function collected(model, want)
  local list, values, of = {}, nil, nil
  each_weight(model, function(layer, i, _, trainable)
    if of ~= layer then of, values = layer, layer:weights() end
    if want == nil or want == trainable then list[#list + 1] = values[i] end
  end)
  return list
end

-- By Keras's name.
function methods.get_layer(model, name) return model:layer(name) end

function methods.weights(model) return collected(model) end
function methods.trainable_weights(model) return collected(model, true) end
function methods.non_trainable_weights(model) return collected(model, false) end

function methods.weight_names(model)
  local names = {}
  each_weight(model, function(_, _, name) names[#names + 1] = name end)
  return names
end

function methods.get_weights(model)
  local copies = {}
  for i, w in ipairs(model:weights()) do copies[i] = w:clone() end
  return copies
end

-- All or none.
local function set_all(layers, all)
  local at, before = 0, {}
  for k, layer in ipairs(layers) do
    local part = {}
    for i = 1, #layer do part[i] = all[at + i] end
    at = at + #layer
    before[k] = layer:weights()
    local ok, message = pcall(set_list, layer, part)
    if not ok then
      for j = 1, k - 1 do set_list(layers[j], before[j]) end
      error(message, 0)
    end
  end
end

function methods.set_weights(model, given)
  if type(given) ~= "table" or core.type(given) then core.fail "set_weights: a list, or a table by name, expected" end
  local names = model:weight_names()
  local all = has_names(given) and merged(names, model:weights(), given, ('model "%s"'):format(model.name)) or given
  if #all ~= #names then
    core.fail(('model "%s" has %d weights, not %d'):format(model.name, #names, #all))
  end
  local ok, message = pcall(core.change_weights, set_all, model:layers(), all)
  if not ok then core.fail((tostring(message):gsub("^[^:]*:%d+: ", ""))) end
  return model
end

return compose
