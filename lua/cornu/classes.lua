-- Families of Keras's classes that are written in Lua: losses, metrics. A family knows its classes by every name that
-- Keras has for them and makes objects {class_name =, config =, name =} of them.
local core = require "cornu.core"
local options = require "cornu.options"

local classes = {}

-- "MeanSquaredError" → "mean_squared_error", as Keras names objects: "KLDivergence" → "kl_divergence"
function classes.snake(name)
  return (name:gsub("(%l)(%u)", "%1_%2"):gsub("(%u)(%u%l)", "%1_%2"):lower())
end

-- kind: "loss"; module: "losses", where cornu has them. Entries {name =, aliases = {…}, help =, fields = {{name =,
-- default =, help =}, …}, …} have the form of those of cornu.registry, so that help reads them.
function classes.family(kind, module)
  return { kind = kind, module = module, entries = {}, by_name = {} }
end

local function json_text(v)
  if v == nil then return "null" end
  if type(v) == "string" then return '"' .. v .. '"' end
  return type(v) == "table" and "[" .. table.concat(v, ", ") .. "]" or tostring(v)
end

-- fields: a list of {name, default, help}; required = true in the place of a default where there is none.
function classes.define(family, entry)
  entry.kind, entry.module, entry.aliases = family.kind, family.module, entry.aliases or {}
  local fields = {}
  for i, f in ipairs(entry.fields or {}) do
    fields[i] = { name = f[1], default = f[2], help = f[3], required = f.required,
      standard = not f.required and json_text(f[2]) or nil }
  end
  entry.fields = fields
  entry.object_name = entry.object_name or classes.snake(entry.name)
  local names = { entry.name, entry.object_name, classes.snake(entry.name) }
  for _, alias in ipairs(entry.aliases) do names[#names + 1] = alias end
  for _, name in ipairs(names) do family.by_name[name] = family.by_name[name] or entry end
  family.entries[#family.entries + 1] = entry
end

function classes.names(family)
  local names = {}
  for _, entry in ipairs(family.entries) do names[#names + 1] = entry.name end
  table.sort(names)
  return names
end

-- The entry by any name; an error that guesses what was meant.
function classes.entry(family, name)
  local entry = family.by_name[name] or family.by_name[(name:gsub("^.*>", ""))]
  if entry then return entry end
  local near = options.nearest(name, classes.names(family))
  core.fail(('no %s "%s"%s'):format(family.kind, name, near and (': did you mean "%s"?'):format(near) or
    (": there are %s"):format(table.concat(classes.names(family), ", "))))
end

-- The settings of an object: `given` by place or by name over the defaults; `also` are names that every object has.
function classes.settings(entry, given, also)
  if given == nil then given = {} end
  if type(given) ~= "table" then given = { given } end
  local known, settings = {}, {}
  for i, f in ipairs(entry.fields) do
    known[i], settings[f.name] = f.name, f.default
  end
  for _, name in ipairs(also) do known[#known + 1] = name end
  local named = {}
  for k, v in pairs(given) do
    local name = type(k) == "number" and entry.fields[k] and entry.fields[k].name or k
    named[name] = v
  end
  options.check(named, known, entry.name)
  for name, v in pairs(named) do
    if v == core.null then settings[name] = nil else settings[name] = v end
  end
  for _, f in ipairs(entry.fields) do
    if f.required and settings[f.name] == nil then core.fail(("%s: %s is required"):format(entry.name, f.name)) end
  end
  return settings
end

-- Values are float32, whatever a file or a policy names; who wants another dtype is told.
function classes.check_dtype(entry, dtype)
  local name = type(dtype) == "table" and type(dtype.config) == "table" and dtype.config.name or dtype
  if name == nil or name == core.null or name == "float32" then return end
  core.fail(('%s: dtype is "%s": %s compute in float32'):format(entry.name, tostring(name), entry.module))
end

-- The config that Keras saves.
function classes.config(entry, settings, also)
  local config = {}
  for _, f in ipairs(entry.fields) do
    local v = settings[f.name]
    config[f.name] = v == nil and core.null or v
  end
  for _, name in ipairs(also) do config[name] = settings[name] end
  return config
end

-- name or {class_name =, config =} → the entry and the settings given, or nil
function classes.identify(family, v)
  if type(v) == "string" then return classes.entry(family, v), nil end
  if type(v) == "table" and type(v.class_name) == "string" then
    return classes.entry(family, v.class_name), v.config
  end
end

-- {NAME = function(given) → make(entry, given)}
function classes.constructors(family, make)
  local all = {}
  for _, entry in ipairs(family.entries) do
    all[entry.name] = function(given) return make(entry, given) end
  end
  return all
end

return classes
