-- Methods of tensors that are best said in Lua.
local core = require "cornu.core"
local options = require "cornu.options"

return function(cornu)
  local methods = core.tensor_methods

  -- for i, row in t:each() do … end: numbers of a vector, views of other tensors
  function methods.each(t)
    local n, i = #t, 0
    return function()
      i = i + 1
      if i <= n then return i, t[i] end
    end
  end

  -- A new tensor of the same shape and dtype: f of every element.
  function methods.map(t, f)
    local shape, flat = t:shape(), t:reshape(-1):totable()
    for i = 1, #flat do
      flat[i] = f(flat[i])
      if flat[i] == nil then core.fail "map: the function returned nothing" end
    end
    return cornu.tensor(flat, t:dtype()):reshape(shape)
  end

  -- NaN counts as the smallest.
  local function top_of_row(row, k, labels)
    local order, value = {}, {}
    for i, v in ipairs(row) do
      order[i] = i
      if type(v) == "boolean" then v = v and 1 or 0 end
      value[i] = v == v and v or -math.huge
    end
    table.sort(order, function(a, b)
      if value[a] ~= value[b] then return value[a] > value[b] end
      return a < b
    end)
    local out = {}
    for i = 1, math.min(k, #order) do
      out[i] = { index = order[i], value = row[order[i]], label = labels and labels[order[i]] }
    end
    return out
  end

  -- The k largest along the last axis, largest first: a list of {index =, value =, label =}; a list of such lists, one
  -- a row, when there is more than one row.
  function methods.topk(t, k, labels)
    local shape = t:shape()
    if #shape == 0 then core.fail "topk: a scalar has no elements to order" end
    if type(k) ~= "number" or k < 1 then core.fail "topk: how many? A number from 1 on expected" end
    if labels ~= nil and type(labels) ~= "table" then core.fail "topk: the labels are a list of names" end
    local rows, out = 1, {}
    for i = 1, #shape - 1 do rows = rows * shape[i] end
    for i, row in ipairs(t:reshape(rows, shape[#shape]):totable()) do out[i] = top_of_row(row, k, labels) end
    if rows == 1 then return out[1] end
    return out
  end

  -- Whole numbers from low to high, both included.
  function cornu.randint(low, high, shape, dtype)
    if type(low) ~= "number" or type(high) ~= "number" or low > high then
      core.fail "randint: a lowest and a highest number expected"
    end
    local t = cornu.rand(shape or {}, "float64") * (high - low + 1) + low
    return cornu.floor(t):cast(dtype or "int32")
  end

  -- {name = tensor} as one .npz file; {compress = true} makes it smaller and slower.
  function cornu.save_npz(path, arrays, opts)
    opts = options.check(opts, { "compress" }, "save_npz")
    if type(arrays) ~= "table" then core.fail "save_npz: a table {name = tensor} expected" end
    local names, list = {}, {}
    for name in pairs(arrays) do
      if type(name) ~= "string" then core.fail("save_npz: an array needs a name, not the key " .. tostring(name)) end
      names[#names + 1] = name
    end
    table.sort(names)
    for i, name in ipairs(names) do list[i] = arrays[name] end
    return core.save_npz(path, names, list, opts.compress)
  end
end
