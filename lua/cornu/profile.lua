-- plan:profile: the steps of a plan with the time that each takes.
local core = require "cornu.core"

local function as_list(x) return core.type(x) == "tensor" and { x } or x end

-- Inputs to time with: random floats, zeros of other types.
local function make_inputs(cornu, plan)
  local inputs = as_list(plan:inputs())
  for _, t in ipairs(inputs) do
    if t:dtype() == "float32" then t:copy(cornu.rand(t:shape())) end
  end
  return inputs
end

-- times[k]: the seconds of every step in run k
local function note(steps, times)
  local sum, runs = 0, #times
  for i, step in ipairs(steps) do
    local seconds = {}
    for k = 1, runs do seconds[k] = times[k][i] end
    table.sort(seconds)
    step.minimum, step.median = seconds[1], seconds[math.ceil(runs / 2)]
    sum = sum + step.minimum
  end
  for _, step in ipairs(steps) do step.share = sum > 0 and step.minimum / sum or 0 end
  steps.runs, steps.seconds = runs, sum
  return steps
end

return function(cornu)
  function core.plan_methods.profile(plan, runs, inputs)
    if core.type(plan) ~= "plan" then core.fail "profile: call it as plan:profile(runs)" end
    runs = runs or 20
    if type(runs) ~= "number" or runs < 1 then core.fail "profile: runs is a number from 1 on" end
    inputs = as_list(inputs) or make_inputs(cornu, plan)
    local outputs, times = as_list(plan:outputs()), {}
    plan:time(inputs, outputs) -- the first run warms the caches
    for k = 1, runs do times[k] = plan:time(inputs, outputs) end
    return note(plan:steps(), times)
  end
end
