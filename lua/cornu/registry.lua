-- The registry of Keras's classes as text: layers, and operations of keras.ops. `cornu layers`, help and cornu.layers
-- read it here.
local core = require "cornu.core"

local registry = {}

local function words(s)
  local list = {}
  for word in (s or ""):gmatch "%S+" do list[#list + 1] = word end
  return list
end
registry.words = words

local function by_name(a, b) return a.name:lower() < b.name:lower() end

-- Entries {kind =, name =, aliases = {…}, versions = {…}, weights =, help =, arguments = {…}, fields = {…}}, sorted.
local function entries(kind, types)
  local list = {}
  for _, t in ipairs(types) do
    local names = words(t.name)
    local entry = { kind = kind, name = table.remove(names, 1), aliases = names, versions = words(t.versions),
      weights = t.weights, help = t.help, arguments = words(t.arguments), fields = t.fields }
    for _, alias in ipairs(words(t.aliases)) do table.insert(entry.aliases, alias) end
    list[#list + 1] = entry
  end
  table.sort(list, by_name)
  return list
end

-- What files may be without, as some Keras has had a default, but layers that are made here are given, as in Keras 3.
local required = {
  AlphaDropout = "rate", AveragePooling1D = "pool_size", AveragePooling2D = "pool_size", AveragePooling3D = "pool_size",
  Dropout = "rate", GaussianDropout = "rate", GaussianNoise = "stddev", RandomBrightness = "factor",
  RandomColorDegeneration = "factor", RandomContrast = "factor", RandomHue = "factor", RandomPosterization = "factor",
  RandomRotation = "factor", RandomSaturation = "factor", RandomSharpness = "factor",
  RandomTranslation = "height_factor width_factor", RandomZoom = "height_factor", SpatialDropout1D = "rate",
  SpatialDropout2D = "rate", SpatialDropout3D = "rate",
}

local function require_fields(entry)
  local names = {}
  for _, name in ipairs(words(required[entry.name])) do names[name] = true end
  for _, f in ipairs(entry.fields) do
    if names[f.name] then f.standard, f.must = nil, true end
  end
end

-- Layers without those of the engine's own, which no Keras has.
function registry.layers()
  local list = {}
  for _, entry in ipairs(entries("layer", core.layer_types())) do
    if #entry.versions > 0 then
      require_fields(entry)
      list[#list + 1] = entry
    end
  end
  return list
end

-- Initializers, regularizers, constraints. Of names that mean something else in each Keras the latest counts.
function registry.parts(kind)
  local list, kept = entries(kind, core.part_types(kind)), {}
  local function latest(entry) return entry.versions[#entry.versions] end
  table.sort(list, function(a, b) return latest(a) > latest(b) end)
  local taken = {}
  for _, entry in ipairs(list) do
    entry.module = kind .. "s"
    if not taken[entry.name] then kept[#kept + 1] = entry end
    taken[entry.name] = true
    for _, alias in ipairs(entry.aliases) do taken[alias] = true end
  end
  table.sort(kept, by_name)
  return kept
end

function registry.operations() return entries("operation", core.operation_types()) end

-- Entries of a module of their own, as losses are.
local function of_module(module, kind, types)
  local list = entries(kind, types)
  for _, entry in ipairs(list) do entry.module = module end
  return list
end

function registry.optimizers() return of_module("optimizers", "optimizer", core.optimizer_types()) end
function registry.schedules() return of_module("optimizers.schedules", "schedule", core.schedule_types()) end

-- Why a class of Keras is refused on purpose; nil: it is not.
function registry.refusal(name)
  for _, group in ipairs(core.refused_classes()) do
    for _, refused in ipairs(words(group.names)) do
      if refused == name then return group.why end
    end
  end
end

-- Whether `name` is one of the entry's.
function registry.answers(entry, name)
  if entry.name == name then return true end
  for _, alias in ipairs(entry.aliases) do
    if alias == name then return true end
  end
  return false
end

-- "Dense{units, activation = null, …}" of a layer; "Sum(x){axis = null}" of an operation.
function registry.signature(entry)
  local fields = {}
  for _, f in ipairs(entry.fields) do
    fields[#fields + 1] = f.standard and f.name .. " = " .. f.standard or f.name
  end
  if entry.kind ~= "operation" then return entry.name .. "{" .. table.concat(fields, ", ") .. "}" end
  return entry.name .. "(" .. table.concat(entry.arguments, ", ") .. ")" ..
    (#fields > 0 and "{" .. table.concat(fields, ", ") .. "}" or "")
end

local weight_texts = {
  trainable = "trainable weights", fixed = "weights that are not trained", inner = "the weights of the layers within",
}
function registry.weights_text(entry) return weight_texts[entry.weights] or "no weights" end

-- What there is to know of all classes of a kind.
local of_kind = {
  loss = "(y_true, y_pred) -> a value for each sample, whose mean counts; also name =, reduction =: help \"losses\"",
  metric = "also name =; by hand m:update_state(y_true, y_pred), m:result(): help \"metrics\"",
}

-- A line for each field: name, default, help, choices, older spellings.
function registry.field_lines(fields)
  local lines = {}
  for _, f in ipairs(fields) do
    local notes = {}
    if f.help then notes[#notes + 1] = f.help end
    if f.choices then notes[#notes + 1] = "one of: " .. f.choices end
    if f.aliases then notes[#notes + 1] = "also: " .. f.aliases end
    if f.help ~= "has no effect" then
      lines[#lines + 1] = ("  %s%s%s"):format(f.name, f.standard and " = " .. f.standard or " (required)",
        #notes > 0 and "   " .. table.concat(notes, "; ") or "")
    end
  end
  return lines
end

-- All that is known of an entry.
function registry.describe(entry)
  local lines = {}
  if entry.kind == "layer" then
    lines[1] = ("%s{…}   a layer of Keras %s, %s"):format(entry.name, table.concat(entry.versions, ", "),
      registry.weights_text(entry))
  elseif entry.kind ~= "operation" then
    local an = entry.kind:find "^[aeiou]" and "an" or "a"
    lines[1] = ("cornu.%s.%s{…}   %s %s of Keras"):format(entry.module, entry.name, an, entry.kind)
  else
    lines[1] = ("%s(%s)   an operation of keras.ops, a node of functional models"):format(entry.name,
      table.concat(entry.arguments, ", "))
  end
  if entry.help then lines[#lines + 1] = entry.help end
  lines[#lines + 1] = of_kind[entry.kind]
  for _, line in ipairs(registry.field_lines(entry.fields)) do lines[#lines + 1] = line end
  if #entry.aliases > 0 then lines[#lines + 1] = "also: " .. table.concat(entry.aliases, " ") end
  return table.concat(lines, "\n")
end

return registry
