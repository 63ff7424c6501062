-- layer:adapt(data): what a Normalization learns of data before training. The rule is that of Keras's layer.
local core = require "cornu.core"
local ports = require "cornu.ports"

local others = { Discretization = "bin_boundaries", IntegerLookup = "vocabulary", StringLookup = "vocabulary",
  TextVectorization = "vocabulary" }

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

local function batches(data)
  if type(data) == "function" then return data end
  if ports.is_dataset(data) then return data:batches { shuffle = false } end
  local t = core.type(data) == "tensor" and data or core.tensor(data)
  return function()
    local x = t
    t = nil
    return x
  end
end

function core.layer_methods.adapt(layer, data)
  local name = ('adapt: layer "%s" (%s)'):format(layer.name, layer.class_name)
  if layer.class_name ~= "Normalization" then
    local key = others[layer.class_name]
    core.fail(name .. (key and (" is told by its config: make it with %s = {…}"):format(key) or
      " learns nothing before training"))
  end
  local mean = layer.config.mean
  if mean ~= nil and mean ~= core.null then core.fail(name .. " was given its mean and variance") end
  local seen
  for x in batches(data) do
    if core.type(x) ~= "tensor" then core.fail(name .. ": tensors expected") end
    if not seen then layer(x:slice(1, 1, 1)) end -- which tells the shape, if nothing has
    seen = merged(seen, x, reduced_axes(layer.config.axis, x:rank()))
  end
  if not seen then core.fail(name .. ": there is no data") end
  layer:set_weights { mean = seen.mean:cast "float32", variance = seen.variance:cast "float32" }
  return layer
end
