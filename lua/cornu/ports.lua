-- What goes to the inputs and comes to the outputs of a model: tensors, lists or tables by name, in the model's order.
local core = require "cornu.core"

local ports = {}

-- As in Keras, numbers go where there is one of them for each sample.
local function fit_rank(t, shape)
  local n = #shape
  if t:rank() == n - 1 and shape[n] == 1 then return t:expand_dims(-1) end
  if n > 0 and t:rank() == n + 1 and t:size(-1) == 1 then return t:squeeze(-1) end
  return t
end

-- The tensors of x in the order of `list`, model.inputs; nil where one is missing or no tensor.
function ports.tensors(list, x)
  if core.type(x) == "tensor" then return { list[1] and fit_rank(x, list[1].shape) or x } end
  if type(x) ~= "table" then return nil end
  local tensors = {}
  for i, port in ipairs(list) do
    local t = x[i]
    if t == nil then t = x[port.key or port.name] end
    if t == nil then t = x[port.name] end
    if core.type(t) ~= "tensor" then return nil end
    tensors[i] = fit_rank(t, port.shape)
  end
  return tensors
end

-- A table with a method batches, or a function that gives a batch at each call.
function ports.is_dataset(x)
  return type(x) == "function" or (type(x) == "table" and core.type(x) == nil and type(x.batches) == "function")
end

-- The number of rows that all tensors share, or nil.
function ports.rows(list)
  local rows
  for _, t in ipairs(list) do
    if t:rank() == 0 or (rows and #t ~= rows) then return nil end
    rows = #t
  end
  return rows
end

return ports
