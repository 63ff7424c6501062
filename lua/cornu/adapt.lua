-- layer:adapt(data): what preprocessing layers learn of data before training, by the rules of Keras's layers.
local core = require "cornu.core"
local options = require "cornu.options"
local ports = require "cornu.ports"

-- Learn in the library, from data of these dtypes.
local adapters = { Discretization = "float32", IntegerLookup = "int64", StringLookup = "string",
  TextVectorization = "string" }

-- The axes, from 1 on, over which means are taken: those of config.axis (from 0 on) keep statistics of their own.
local function reduced_axes(axis, rank)
  local own, axes = {}, {}
  if axis == nil then axis = -1 end
  for _, a in ipairs(axis == core.null and {} or type(axis) == "table" and axis or { axis }) do
    own[a < 0 and a + rank + 1 or a + 1] = true
  end
  for i = 1, rank do
    if not own[i] then axes[#axes + 1] = i end
  end
  return axes
end

-- Statistics of what was seen so far and of a batch, as those of both.
local function merged(seen, x, axes)
  local n = x:size()
  x = x:cast "float64"
  local mean = x:mean(axes)
  local variance = (x - x:mean(axes, true)):square():mean(axes)
  if not seen then return { n = n, mean = mean, variance = variance } end
  local part = n / (seen.n + n)
  local both = seen.mean * (1 - part) + mean * part
  return { n = seen.n + n, mean = both, variance = (seen.variance + (seen.mean - both):square()) * (1 - part) +
    (variance + (mean - both):square()) * part }
end

local function each(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

-- A function that gives batches, up to `steps` of them; whether they are of a stream, not one array.
local function batches(data, steps, dtype)
  local stream = ports.is_dataset(data) or (type(data) == "table" and core.type(data[1]) == "tensor")
  if not stream then return each { core.type(data) == "tensor" and data or core.tensor(data, dtype) }, false end
  local seen = 0
  local next_batch = type(data) == "function" and data or data.batches and data:batches{ shuffle = false } or each(data)
  return function()
    seen = seen + 1
    if not steps or seen <= steps then return next_batch() end
  end, true
end

local function check_batch(x, name)
  if core.type(x) ~= "tensor" then core.fail(name .. ": tensors expected") end
  return x
end

local function adapt_normalization(layer, name, next_batch)
  local mean = layer.config.mean
  if mean ~= nil and mean ~= core.null then core.fail(name .. " was given its mean and variance") end
  local seen
  for x in next_batch do
    check_batch(x, name)
    if not seen then layer(x:slice(1, 1, 1)) end -- which tells the shape, if nothing has
    seen = merged(seen, x, reduced_axes(layer.config.axis, x:rank()))
  end
  if not seen then core.fail(name .. ": there is no data") end
  layer:set_weights { mean = seen.mean:cast "float32", variance = seen.variance:cast "float32" }
end

-- To lookups a vector that is all of the data is as many documents, a batch of a stream is one.
local function adapt_others(layer, name, next_batch, stream)
  local adapter = core.adapter(layer)
  for x in next_batch do
    check_batch(x, name)
    if not stream and x:rank() == 1 and layer.class_name ~= "Discretization" then x = x:expand_dims(-1) end
    adapter:see(x)
  end
  adapter:finish()
end

local methods = core.layer_methods

function methods.adapt(layer, data, opts)
  local class = layer.class_name:gsub("^.*>", "")
  local name = ('adapt: layer "%s" (%s)'):format(layer.name, layer.class_name)
  opts = options.check(opts, { "steps" }, "adapt")
  if class ~= "Normalization" and not adapters[class] then core.fail(name .. " learns nothing before training") end
  if data == nil then core.fail(name .. ": there is no data") end
  local next_batch, stream = batches(data, opts.steps, adapters[class])
  if class == "Normalization" then adapt_normalization(layer, name, next_batch)
  else adapt_others(layer, name, next_batch, stream) end
  return layer
end

function methods.get_vocabulary(layer, special)
  return core.vocabulary(layer, special):totable()
end

function methods.vocabulary_size(layer) return #core.vocabulary(layer) end

local function list(x) return core.type(x) == "tensor" and x:totable() or x end

function methods.set_vocabulary(layer, words, idf_weights)
  core.set_vocabulary(layer, list(words), list(idf_weights))
  return layer
end
