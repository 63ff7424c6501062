-- cornu.optimizers: optimizers of Keras as tables {class_name =, config =}, and cornu.optimizers.schedules. The classes
-- and their settings come from the registry of the engine.
local core = require "cornu.core"
local options = require "cornu.options"
local registry = require "cornu.registry"

-- A setting is told by its place where Keras has it in front of all others: the rate of optimizers, what schedules
-- require.
local function positional(entry)
  local list = {}
  for _, f in ipairs(entry.fields) do
    if f.standard == nil then list[#list + 1] = f.name end
  end
  if #list == 0 then list[1] = entry.fields[1].name end
  return list
end

local function is_class(v) return type(v) == "table" and type(v.class_name) == "string" end

-- Objects inside of a config are plain tables there.
local function plain(v)
  if not is_class(v) then return v end
  return { class_name = v.class_name, config = v.config }
end

local function arguments(entry, given)
  if given == nil then given = {} end
  if type(given) ~= "table" or is_class(given) then given = { given } end
  local config, order = {}, positional(entry)
  for k, v in pairs(given) do
    local name = type(k) == "number" and order[k] or k
    if type(name) ~= "string" then core.fail(("%s: argument %s needs a name"):format(entry.name, tostring(k))) end
    if name ~= k and given[name] ~= nil then core.fail(('%s: "%s" is given twice'):format(entry.name, name)) end
    config[name] = plain(v)
  end
  return config
end

local function show(v)
  if is_class(v) then return v.class_name .. "{…}" end
  return type(v) == "string" and ("%q"):format(v) or tostring(v)
end

-- "Adam{learning_rate = 0.01}"
local function text(object)
  local parts = {}
  for k, v in pairs(object.config) do parts[#parts + 1] = k .. " = " .. show(v) end
  table.sort(parts)
  return object.class_name .. "{" .. table.concat(parts, ", ") .. "}"
end

local optimizer_meta = { __tostring = text }
local schedule_meta = { __tostring = text, __call = function(schedule, step)
  return core.schedule_rate(schedule, step or 0)
end }

-- The engine checks all but what a function in the place of the rate gives.
local function new_optimizer(entry, given)
  local object = { class_name = entry.name, config = arguments(entry, given) }
  if object.config.lr ~= nil and object.config.decay == nil and object.config.schedule_decay == nil then
    object.config.learning_rate, object.config.lr = object.config.lr, nil
  end
  if type(object.config.learning_rate) ~= "function" then
    core.check_optimizer(object)
  else
    local config = {}
    for k, v in pairs(object.config) do config[k] = v end
    config.learning_rate = 0
    core.check_optimizer { class_name = entry.name, config = config }
  end
  return setmetatable(object, optimizer_meta)
end

-- MultiOptimizer{default, {["encoder/.*"] = optimizer, …}, name =}
local function multi(entry, given)
  given = given or {}
  if type(given[2]) ~= "table" or given.optimizer_map ~= nil then return new_optimizer(entry, given) end
  local map, rest = {}, {}
  for k, v in pairs(given[2]) do map[k] = plain(v) end
  for k, v in pairs(given) do if k ~= 1 and k ~= 2 then rest[k] = v end end
  rest.optimizer_map = { class_name = "OptimizerMap",
    config = { default_optimizer = plain(given[1]), optimizer_map = map } }
  return new_optimizer(entry, rest)
end

local function new_schedule(entry, given)
  local object = { class_name = entry.name, config = arguments(entry, given) }
  core.schedule_rate(object, 0)
  return setmetatable(object, schedule_meta)
end

-- Constructors by class name; the registry is read when the first one is wanted.
local function constructors(what, list, make, others)
  local by_name, names
  local function find(_, name)
    if type(name) ~= "string" then return nil end
    if not by_name then
      by_name, names = {}, {}
      for _, entry in ipairs(list()) do
        by_name[entry.name], names[#names + 1] = entry, entry.name
        for _, alias in ipairs(entry.aliases) do by_name[alias] = entry end
      end
    end
    local entry = by_name[name]
    if entry then return function(given) return make(entry, given) end end
    local near = options.nearest(name, names)
    core.fail(('no %s "%s"%s'):format(what, name, near and (': did you mean "%s"?'):format(near) or
      ": there are " .. table.concat(names, ", ")))
  end
  local all = others
  for _, entry in ipairs(list()) do all[entry.name] = find(nil, entry.name) end
  return setmetatable(all, { __index = find })
end

local schedules = constructors("schedule", registry.schedules, new_schedule, {})

-- A schedule by a function of the number of steps so far.
function schedules.LearningRateSchedule(f)
  if type(f) ~= "function" then core.fail "LearningRateSchedule: a function of the step expected" end
  return f
end

-- What model:compile takes as an optimizer: an object, a name, {class_name =, config =}.
local function get(v)
  if type(v) == "string" then v = { class_name = v, config = {} } end
  if not is_class(v) then
    core.fail "an optimizer is a name, an object of cornu.optimizers, or {class_name =, config =}"
  end
  if getmetatable(v) == optimizer_meta then return v end
  core.check_optimizer(v)
  return setmetatable({ class_name = v.class_name, config = v.config or {}, module = v.module }, optimizer_meta)
end

local function new(entry, given) return (entry.name == "MultiOptimizer" and multi or new_optimizer)(entry, given) end

return constructors("optimizer", registry.optimizers, new, { schedules = schedules, get = get })
