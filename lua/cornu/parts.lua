-- cornu.initializers, cornu.regularizers, cornu.constraints: constructors of what configs of layers name for weights and
-- results. What they make is the config itself, as Keras 3 writes it.
local core = require "cornu.core"
local options = require "cornu.options"
local registry = require "cornu.registry"

local parts = {}

local modules = { initializer = "keras.initializers", regularizer = "keras.regularizers", constraint = "keras.constraints" }

-- L2(0.01), L2{0.01}, L2{l2 = 0.01}: arguments in Keras's order need no names.
local function arguments(entry, given)
  if given == nil then given = {} end
  if type(given) ~= "table" then given = { given } end
  local config, names = {}, {}
  for _, f in ipairs(entry.fields) do
    names[#names + 1] = f.name
    for _, alias in ipairs(registry.words(f.aliases)) do names[#names + 1] = alias end
  end
  for key, value in pairs(given) do
    local name = type(key) == "number" and entry.fields[key] and entry.fields[key].name or key
    if name ~= key and given[name] ~= nil then core.fail(('%s: "%s" is given twice'):format(entry.name, name)) end
    config[name] = value
  end
  return options.check(config, names, entry.name)
end

local function constructor(kind, entry)
  return function(given)
    local part = { module = modules[kind], class_name = entry.name, config = arguments(entry, given) }
    part.registered_name = core.null
    core.check_part(kind, part)
    return part
  end
end

-- Of one kind: by class, and by each other name.
function parts.constructors(kind)
  local list, names = {}, {}
  for _, entry in ipairs(registry.parts(kind)) do
    list[entry.name] = list[entry.name] or constructor(kind, entry)
    names[#names + 1] = entry.name
    for _, alias in ipairs(entry.aliases) do
      list[alias] = list[alias] or list[entry.name]
      names[#names + 1] = alias
    end
  end
  return setmetatable(list, { __index = function(_, name)
    if type(name) ~= "string" then return nil end
    local near = options.nearest(name, names)
    core.fail(('no %s "%s"%s'):format(kind, name, near and (': did you mean "%s"?'):format(near) or
      (': cornu.help "%ss" lists them'):format(kind)))
  end })
end

return parts
