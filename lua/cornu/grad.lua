-- Gradients of Lua functions of tensors, and of models.
local core = require "cornu.core"

local unpack = table.unpack or unpack

-- One number: f's value, or its only element.
local function scalar(v, what)
  if core.type(v) == "tensor" then
    if v:rank() == 0 then return v end
    error(("%s is a tensor of shape %s: gradients are those of one number, such as y:sum() or y:mean()"):format(what,
          "(" .. table.concat(v:shape(), ", ") .. ")"), 0)
  end
  return v -- the library says what it is
end

local function differentiate(f, ...)
  local results, to_inputs = core.gradients(nil, function(x)
    return { scalar(f(unpack(x)), "the function's value") }
  end, false, 0, { ... }, {})
  for i, g in ipairs(to_inputs) do
    if not g then to_inputs[i] = nil end
  end
  return results[1], to_inputs, select("#", ...)
end

local model_options = { "seed", "targets", "training" }

return function(cornu)
  local options = require "cornu.options"

  function cornu.value_and_grad(f)
    if type(f) ~= "function" then core.fail(("value_and_grad: a function expected, got a %s"):format(type(f))) end
    return function(...)
      local value, grads, n = differentiate(f, ...)
      return value, unpack(grads, 1, n)
    end
  end

  function cornu.grad(f)
    if type(f) ~= "function" then core.fail(("grad: a function expected, got a %s"):format(type(f))) end
    return function(...)
      local _, grads, n = differentiate(f, ...)
      return unpack(grads, 1, n)
    end
  end

  function core.model_methods.gradients(model, x, loss, opts)
    local o = options.check(opts, model_options, "model:gradients")
    if type(loss) ~= "function" then
      core.fail(("model:gradients: the loss is a %s, a function expected"):format(type(loss)))
    end
    local inputs = core.type(x) == "tensor" and { x } or x
    local given = o.targets == nil and {} or core.type(o.targets) == "tensor" and { o.targets } or o.targets
    local function objective(outputs, targets)
      local y, t = outputs, targets
      if #y == 1 then y = y[1] end
      if #t == 1 then t = t[1] elseif #t == 0 then t = nil end
      return { scalar(loss(y, t), "the loss") }
    end
    local results, to_inputs, weights, names =
      core.gradients(model, objective, o.training and true or false, o.seed or 0, inputs, given)
    local by_name = {}
    for i, name in ipairs(names) do by_name[name] = weights[i] end
    return { loss = results[1], inputs = to_inputs, weights = weights, names = names, by_name = by_name }
  end
end
