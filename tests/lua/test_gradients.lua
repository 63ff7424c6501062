-- Gradients of models against real Keras (tests/training/gradients.*, which scripts/make_gradients.py makes), and of functions.
-- GRADIENTS=1 in the environment prints the largest relative error of each layer.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local L = cornu.layers

TestGradients = {}

-- Relative to the largest element of what is expected.
local MOST = 5e-5
local largest = {}

local function numbered(arrays, prefix)
  local list = {}
  while arrays[prefix .. #list] do list[#list + 1] = arrays[prefix .. #list] end
  return list
end

local function check(name, what, layer, got, want)
  lu.assertEquals(got:shape(), want:shape(), name .. ": " .. what)
  if #want:reshape{ -1 } == 0 then return end
  local scale = want:abs():max():item()
  local off = (got - want):abs():max():item() / (scale > 1e-6 and scale or 1)
  largest[layer] = math.max(largest[layer] or 0, off)
  lu.assertTrue(off <= MOST, ("%s: %s is off by %g of its largest element"):format(name, what, off))
end

local function check_case(name, text, arrays)
  local model = cornu.load(cornu.json.encode(text.model))
  for _, layer in ipairs(model.layers) do
    local values = numbered(arrays, name .. "/w/" .. layer.name .. "/")
    if #values > 0 then layer:set_weights(values) end
  end
  local shares = numbered(arrays, name .. "/r")
  local function loss(outputs, r)
    if #shares == 1 then return (outputs * r):sum() end
    local sum = (outputs[1] * r[1]):sum()
    for i = 2, #r do sum = sum + (outputs[i] * r[i]):sum() end
    return sum
  end
  local g = model:gradients(numbered(arrays, name .. "/x"), loss, { targets = shares, training = text.training })
  local want = arrays[name .. "/loss"]
  lu.assertTrue(math.abs(g.loss:item() - want:item()) <= 1e-4 * (1 + math.abs(want:item())), name .. ": the loss")
  for i, dx in ipairs(g.inputs) do
    local expected = arrays[name .. "/dx" .. i - 1]
    lu.assertEquals(not dx, not expected, name)
    if dx then check(name, "input " .. i, text.layer, dx, expected) end
  end
  local weights = numbered(arrays, name .. "/dw")
  lu.assertEquals(#g.weights, #weights, name)
  for i, dw in ipairs(g.weights) do check(name, g.names[i], text.layer, dw, weights[i]) end
end

local texts = cornu.json.decode(support.read "tests/training/gradients.json")
local arrays = cornu.load_npz "tests/training/gradients.npz"
local names = {}
for name in pairs(texts) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  TestGradients["testKeras_" .. name] = function() check_case(name, texts[name], arrays) end
end

function TestGradients:testZ_largest()
  local layers = {}
  for layer in pairs(largest) do layers[#layers + 1] = layer end
  table.sort(layers)
  if not os.getenv "GRADIENTS" then return end
  for _, layer in ipairs(layers) do print(("%-28s %.1e"):format(layer, largest[layer])) end
end

-- ---- Functions ----

function TestGradients:testFunction()
  local x, y = cornu.tensor{ 1, 2, 3 }, cornu.tensor{ 4, 5, 6 }
  local function f(a, b) return (a * a * b):sum() end
  local dx, dy = cornu.grad(f)(x, y)
  lu.assertEquals(dx:totable(), { 8, 20, 36 })
  lu.assertEquals(dy:totable(), { 1, 4, 9 })
  local value, again = cornu.value_and_grad(f)(x, y)
  lu.assertEquals({ value:item(), again:totable() }, { 78, { 8, 20, 36 } })
  local factor = 2
  local scaled = cornu.grad(function(a) return (a * factor):sum() end)
  lu.assertEquals(scaled(x):totable(), { 2, 2, 2 })
  factor = 3 -- what the function refers to is what it is now
  lu.assertEquals(scaled(x):totable(), { 3, 3, 3 })
  local _, none = cornu.grad(function(a, i) return a:gather(i):sum() end)(x, cornu.tensor({ 1, 1 }, "int32"))
  lu.assertNil(none)
end

function TestGradients:testRefusals()
  local x = cornu.tensor{ 1, 2 }
  local function fails(text, f, ...) lu.assertErrorMsgContains(text, f, ...) end
  fails("one number", cornu.grad(function(a) return a * 2 end), x)
  fails("must give one number as a tensor", cornu.grad(function() return 3 end), x)
  fails("nextafter", cornu.grad(function(a) return a:nextafter(a):sum() end), x)
  fails("a function expected", cornu.grad, 3)
  fails("today", cornu.grad(function() error "not today" end), x)
  local m = cornu.Sequential{ cornu.Input{ shape = { 2 } }, L.Dense{ 1 } }
  fails("a function expected", m.gradients, m, cornu.ones(1, 2), 3)
  fails("trainig", m.gradients, m, cornu.ones(1, 2), function(y) return y:sum() end, { trainig = true })
  fails("takes 1 inputs", m.gradients, m, { x, x }, function(y) return y:sum() end)
end

-- A model that f calls joins the trace; a loss may call another model, too.
function TestGradients:testModelInFunction()
  local m = cornu.Sequential{ cornu.Input{ shape = { 3 } }, L.Dense{ 4, "tanh" }, L.BatchNormalization{}, L.Dense{ 2 } }
  local x = cornu.rand(2, 3)
  local dx = cornu.grad(function(a) return m(a):square():sum() end)(x)
  local g = m:gradients(x, function(y) return (y * y):sum() end)
  lu.assertTrue(dx:allclose(g.inputs[1], 1e-6, 1e-6))
  local judge = cornu.Sequential{ cornu.Input{ shape = { 2 } }, L.Dense{ 1, "sigmoid" } }
  local through = m:gradients(x, function(y) return judge(y):sum() end)
  local step, values = 1e-2, x:totable()
  values[1][2] = values[1][2] + step
  local above = judge(m(cornu.tensor(values))):sum():item()
  values[1][2] = values[1][2] - 2 * step
  local slope = (above - judge(m(cornu.tensor(values))):sum():item()) / (2 * step)
  lu.assertAlmostEquals(through.inputs[1][{ 1, 2 }], slope, 1e-3 * (1 + math.abs(slope)))
  lu.assertEquals(#through.weights, 6) -- the judge stays as it is
end

-- Sums over all images and places do not add up the errors of float32.
function TestGradients:testLongSums()
  cornu.manual_seed(3)
  local x, sums = cornu.rand{ 128, 40, 40, 1 }, {}
  for i, dtype in ipairs { "float32", "float64" } do
    local m = cornu.Sequential{ cornu.Input{ shape = { 40, 40, 1 }, dtype = dtype },
      L.DepthwiseConv2D{ 3, dtype = dtype, use_bias = false, depthwise_initializer = "ones" } }
    sums[i] = m:gradients(x:cast(dtype), function(y) return y:sum() end).weights[1]:cast "float64"
  end
  lu.assertTrue(sums[1]:allclose(sums[2], 5e-7, 0))
end
