-- 20 steps of each optimizer from the same weights and batches as real Keras (scripts/make_optimizers.py).
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local core = require "cornu.core"

TestOptimizerParity = {}

local function squares(out, given)
  local d = out[1] - given[1]
  return { (d * d):mean() }
end

local shapes = { { 7, 4 }, { 20, 6 }, { 6 }, { 6, 3 }, { 3 } }

local function take(flat, at, shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return flat:slice(1, at, at + n - 1):reshape(shape), at + n
end

local function network(json, begin, frozen)
  local m = cornu.load(json)
  for _, layer in ipairs(m:layers()) do
    if layer.class_name == "Embedding" then layer.trainable = not frozen end
  end
  local weights, at = {}, 1
  for i, shape in ipairs(shapes) do weights[i], at = take(begin, at, shape) end
  m:set_weights(weights)
  return m
end

-- The largest difference from `want`, whose elements lie one behind the other.
local function distance(tensors, want)
  local at, most, piece = 1, 0, nil
  for _, t in ipairs(tensors) do
    piece, at = take(want, at, t:shape())
    most = math.max(most, (t:float() - piece):abs():max():item())
  end
  lu.assertEquals(at - 1, #want)
  return most
end

local function check(kind)
  local fixture = cornu.json.decode(support.read("tests/training/optimizers." .. kind .. ".json"))
  local cases, json = fixture.cases, cornu.json.encode(fixture.model)
  local arrays = cornu.load_npz("tests/training/optimizers." .. kind .. ".npz")
  lu.assertTrue(#cases > 5)
  for i, case in ipairs(cases) do
    local m = network(json, arrays.begin, case.frozen)
    local t = core.new_trainer(m, case.optimizer, squares, 0)
    for step = 1, #arrays.x do t:batch(true, { arrays.x[step] }, { arrays.y[step] }) end
    local state = {}
    for k, item in ipairs(t:state()) do state[k] = item.value end
    local label = kind .. ": " .. case.label
    local far = distance(m:weights(), arrays.weights[i])
    lu.assertEquals(#state, case.state, label)
    local state_far = distance(state, arrays[("state.%d"):format(i - 1)])
    if os.getenv "CORNU_PARITY" then print(("%-32s %.2e %.2e"):format(label, far, state_far)) end
    lu.assertTrue(far < 1e-4, ("%s: weights differ by %g"):format(label, far))
    lu.assertTrue(state_far < 1e-3, ("%s: states differ by %g"):format(label, state_far))
  end
end

function TestOptimizerParity:testKeras3() check "keras3" end
function TestOptimizerParity:testTfKeras() check "tf_keras" end
function TestOptimizerParity:testTfKerasBefore211() check "tf_legacy" end
function TestOptimizerParity:testKeras2() check "keras2" end
function TestOptimizerParity:testKeras1() check "keras1" end
