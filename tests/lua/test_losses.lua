-- Losses and metrics against what real Keras makes of the same data (scripts/make_losses.py).
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"

TestLosses = {}

local function fixture()
  local cases = cornu.json.decode(support.read("tests/training/losses.json"))
  return cases, cornu.load_npz "tests/training/losses.npz"
end

local function label(i, case) return ("%d: %s %s"):format(i, case.class_name, cornu.json.encode(case.config)) end

local function check(name, got, want)
  if type(got) == "number" then got = cornu.tensor(got) end
  lu.assertEquals(got:shape(), want:shape(), name)
  lu.assertTrue(got:allclose(want, 2e-5, 2e-6), ("%s\n%s\nexpected\n%s"):format(name, tostring(got), tostring(want)))
end

function TestLosses:testLosses()
  local cases, arrays = fixture()
  local n = 0
  for i, case in ipairs(cases) do
    if case.kind == "loss" then
      local loss = cornu.losses[case.class_name](case.config)
      check(label(i, case), loss(arrays[case["true"]], arrays[case.pred], arrays[case.weight], arrays[case.mask]),
        arrays[case.out])
      n = n + 1
    end
  end
  lu.assertTrue(n > 80)
end

local function half(t, second)
  if not t then return nil end
  local middle = math.floor(#t / 2)
  return t:slice(1, second and middle + 1 or 1, second and #t or middle)
end

function TestLosses:testMetrics()
  local cases, arrays = fixture()
  local n = 0
  for i, case in ipairs(cases) do
    if case.kind == "metric" then
      local metric = cornu.metrics[case.class_name](case.config)
      local weight, mask = arrays[case.weight], arrays[case.mask]
      for k = 1, 2 do
        metric:update_state(half(arrays[case["true"]], k == 2), half(arrays[case.pred], k == 2), half(weight, k == 2),
          half(mask, k == 2))
      end
      check(label(i, case), metric:result(), arrays[case.out])
      n = n + 1
    end
  end
  lu.assertTrue(n > 100)
end
