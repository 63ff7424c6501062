-- float64 from the input to the output: plans, states, handlers, weights.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local fails = support.fails

TestDtype = {}

function TestDtype:tearDown() support.clean() end

local third = 1 / 3 -- no float32 is as near to it

local function load(layers, shape, options)
  return cornu.load(support.sequential(shape or { 2 }, layers), options)
end

function TestDtype:test_plans()
  local model = load { { "InputLayer", { batch_shape = { cornu.null, 2 }, dtype = "float64" } },
    { "Dense", { units = 1, use_bias = false, dtype = "float64" } } }
  model:layer "layer2":set_weights { cornu.tensor({ { third }, { 1 } }, "float64") }
  lu.assertEquals(model.inputs[1].dtype, "float64")
  lu.assertEquals(model:layer "layer2":weights()[1]:dtype(), "float64")
  local plan = model:plan { batch = 1 }
  local x, y = plan:inputs(), plan:outputs()
  lu.assertEquals({ x:dtype(), y:dtype() }, { "float64", "float64" })
  x:copy(cornu.tensor({ { third, third } }, "float64"))
  lu.assertEquals(plan:run(x, y):item(), third * third + third)
  lu.assertEquals(model { { third, 0 } }:item(), third * third) -- a table takes the dtype of the input
end

function TestDtype:test_states()
  local model = load({ { "SimpleRNN", { units = 1, stateful = true, activation = "linear", dtype = "float64",
    batch_input_shape = { 1, 1, 1 } } } }, { 1, 1 })
  model[1]:set_weights { cornu.ones { 1, 1 }, cornu.tensor({ { third } }, "float64"), cornu.zeros { 1 } }
  local one = cornu.ones { 1, 1, 1 }
  lu.assertEquals(model(one):item(), 1)
  lu.assertEquals(model(one):item(), 1 + third)
end

function TestDtype:test_handlers()
  for _, eager in ipairs { false, true } do
    local dtypes = {}
    local handler = function(x) table.insert(dtypes, x:dtype()) return x * third + 0.1 end
    local model = load({ { "Scale", { dtype = "float64" } } }, nil, { custom_objects = {
      Scale = eager and { call = handler, eager = true } or handler } })
    local y = model { { 1, 2 } }
    lu.assertEquals(y:dtype(), "float64")
    lu.assertEquals(y:totable(), { { third + 0.1, 2 * third + 0.1 } })
    for _, dtype in ipairs(dtypes) do lu.assertEquals(dtype, "float64") end
  end
end

-- The map of Keras 3: exact names before patterns, patterns before the default.
function TestDtype:test_maps_of_policies()
  local function dtype_of(map, default)
    local policy = { class_name = "DTypePolicyMap", config = { default_policy = default, policy_map = map } }
    return load { { "Dense", { units = 1, dtype = policy } } }.outputs[1].dtype
  end
  local half = { class_name = "DTypePolicy", config = { name = "float16" } }
  lu.assertEquals(dtype_of({}, "float64"), "float64")
  lu.assertEquals(dtype_of({ ["lay.*1"] = "float64" }, half), "float64")
  lu.assertEquals(dtype_of({ ["la+y"] = "float64" }, half), "float32")
  lu.assertEquals(dtype_of({ layer1 = half, [".*"] = "float64" }, "float64"), "float32")
  fails("several policies that fit", dtype_of, { ["l.*"] = "float64", [".*1"] = half })
end
