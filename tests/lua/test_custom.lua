-- Custom layers and Lambda in Lua.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestCustom = {}

function TestCustom:tearDown() support.clean() end

local function load(class, handler, config)
  local path = support.sequential({ 2 }, { { class, config or { factor = 3 } } })
  return cornu.load(path, { custom_objects = { [class] = handler } })
end

function TestCustom:test_traced()
  local calls = 0
  local model = load("Scale", function(x, layer)
    calls = calls + 1
    lu.assertTrue(x:is_symbolic())
    lu.assertEquals(layer.config.factor, 3)
    lu.assertEquals(layer.class_name, "Scale")
    return cornu.relu(x * layer.config.factor) + 1
  end)
  same(model { { 1, -1 } }, { { 4, 1 } })
  local before = calls
  same(model { { 2, -1 } }, { { 7, 1 } })
  lu.assertEquals(calls, before) -- a plan exists: the handler is not needed again
  lu.assertEquals(model.outputs[1].shape, { -1, 2 })
end

function TestCustom:test_shapes_in_a_handler()
  local shape
  local model = load("Shapes", function(x)
    shape = x:shape()
    return cornu.concat({ x:slice(2, 2, 2), x:slice(2, -1, 1, -1), x[{ {}, { 1, 1 } }], x:reshape(-2, 2, 1):squeeze(3),
      x:flatten(2), x:expand_dims(2):transpose(1, 3, 2):squeeze(-1), x:cast "float64":float() }, 2)
  end)
  same(model { { 1, 2 } }, { { 2, 2, 1, 1, 1, 2, 1, 2, 1, 2, 1, 2 } })
  lu.assertEquals(shape[2], 2)
end

function TestCustom:test_eager()
  local seen
  local model = load("Eager", { eager = true, call = function(x)
    seen = x:totable()
    return x:map(function(v) return v * v end)
  end })
  same(model { { 2, 3 } }, { { 4, 9 } })
  lu.assertEquals(seen, { { 2, 3 } })
  same(model { { 5, 1 } }, { { 25, 1 } })
end

function TestCustom:test_eager_with_another_shape()
  local model = load("Sum", { eager = true, call = function(x) return x:sum(2, true) end,
    output_shape = function(_, shape) return { shape[1], 1 } end })
  same(model { { 2, 3 }, { 4, 5 } }, { { 5 }, { 9 } })
  lu.assertEquals(model.outputs[1].shape, { -1, 1 })
end

function TestCustom:test_weights()
  local model = load("Bias", {
    build = function(layer, shape) layer:add_weight("bias", { shape[2] }) end,
    call = function(x, layer) return x + layer:weights()[1] end,
  })
  lu.assertEquals(model[1]:weight_names(), { "bias" })
  model[1]:set_weights { { 10, 20 } }
  same(model { { 1, 2 } }, { { 11, 22 } })
end

function TestCustom:test_lambda_by_layer_name()
  local path = support.sequential({ 2 }, { { "Lambda", { name = "double", ["function"] = cornu.json.list { "4wEAAAA=",
    cornu.null, cornu.null },
    function_type = "lambda" } } })
  same(cornu.load(path, { custom_objects = { double = function(x) return x * 2 end } }) { { 1, 2 } }, { { 2, 4 } })
  same(cornu.load(path, { custom_objects = { Lambda = function(x) return -x end } }) { { 1, 2 } }, { { -1, -2 } })
end

function TestCustom:test_errors_in_handlers()
  local message = fails("test_custom.lua:", load, "Bad", function() error "what a pity" end)
  lu.assertStrContains(message, "what a pity")
  lu.assertStrContains(message, "layer1")
  lu.assertNotStrContains(message, "traceback")
  fails("returned nil: a tensor or a list of tensors expected", load, "Nothing", function() end)
  fails("returned number", load, "Number", function() return 1 end)
  fails("a symbolic tensor has no data", load, "Data", function(x) return x:totable() end)
  fails("has no data", load, "Write", function(x)
    x[1] = 1
    return x
  end)
  fails("raised a table", load, "Table", function() error {} end)
  local model = load("Late", { eager = true, call = function(x) error("late " .. x[{ 1, 1 }]) end })
  fails("late 1", model, { { 1, 2 } })
  fails("late 2", model, { { 2, 2 } })
end

function TestCustom:test_symbols_do_not_escape()
  local kept
  load("Keep", function(x)
    kept = x
    return x + 1
  end)
  lu.assertFalse((pcall(function() return kept + 1 end)))
  lu.assertStrContains(tostring(kept), "symbolic tensor")
end

function TestCustom:test_misuse()
  fails("custom_objects.A is a number", load, "A", 1)
  fails('custom_objects.A has no function "call"', load, "A", {})
  fails('has no field "cal"', load, "A", { cal = print })
  fails("custom_objects.A.build is a number", load, "A", { call = print, build = 1 })
  fails('option "custom_objects" is a string', cornu.load, "x", { custom_objects = "x" })
  local model
  model = load("Closer", { eager = true, call = function(x)
    model:close()
    return x
  end })
  fails("a handler cannot close", model, { { 1, 2 } })
  local unknown = support.sequential({ 2 }, { { "Unheard", {} } })
  fails("Unheard", cornu.load, unknown)
end

function TestCustom:test_inside_a_coroutine()
  local co = coroutine.wrap(function()
    local model = load("Wrapped", { eager = true, call = function(x) return x + 1 end })
    coroutine.yield(model)
    coroutine.yield(model { { 1, 2 } })
  end)
  local model = co()
  same(co(), { { 2, 3 } })
  same(model { { 2, 2 } }, { { 3, 3 } })
  local yields = load("Yields", { eager = true, call = function(x)
    coroutine.yield(1)
    return x
  end })
  lu.assertFalse((pcall(coroutine.wrap(function() return yields { { 1, 2 } } end))))
end

function TestCustom:test_a_handler_that_runs_models()
  local inner = load("Inner", function(x) return x * 2 end)
  local outer = load("Outer", { eager = true, call = function(x) return inner(x) + 1 end })
  same(outer { { 1, 2 } }, { { 3, 5 } })
end

function TestCustom:test_handlers_are_released()
  local weak = setmetatable({}, { __mode = "v" })
  do
    local held = { 2 }
    weak[1] = held
    local model = load("Held", function(x) return x * held[1] end)
    same(model { { 1, 1 } }, { { 2, 2 } })
    model:close()
  end
  for _ = 1, 3 do collectgarbage() end
  lu.assertNil(weak[1])
end
