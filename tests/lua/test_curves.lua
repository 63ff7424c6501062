-- The losses of 200 steps beside those of real Keras (scripts/make_curves.py).
local lu = require "luaunit"
local cornu = require "cornu"
local curves = dofile "scripts/curves.lua"

TestCurves = {}

-- The curves lie on each other: far less apart than the loss moves from step to step.
local function check(name, within)
  local got, want = curves.train(cornu, name)
  local far, scale = 0, 0
  for i, v in ipairs(want) do
    far, scale = math.max(far, math.abs(got[i] - v)), math.max(scale, v)
  end
  if os.getenv "CORNU_PARITY" then print(("%-12s %.2e of %.3f"):format(name, far, scale)) end
  lu.assertTrue(far < within * scale, ("%s: losses differ by %g"):format(name, far))
end

function TestCurves:testMlp() check("mlp", 1e-3) end
function TestCurves:testCnn() check("cnn", 1e-3) end
function TestCurves:testLstm() check("lstm", 1e-3) end
function TestCurves:testTransformer() check("transformer", 1e-3) end

function TestCurves:testPlot()
  local lines = cornu.plot.lines
  local t = lines{ { 1, 2, 3 }, { y = { 3, 1 }, x = { 0, 4 }, name = "b", dash = true }, title = "t", x = "x", y = "y" }
  lu.assertEquals({ t:shape(), t:dtype() }, { { 400, 640, 3 }, "uint8" })
  lu.assertTrue(t:float():mean():item() < 254)
  local blue, orange = cornu.tensor{ 31, 119, 180 }, cornu.tensor{ 255, 127, 14 }
  for _, colour in ipairs{ blue, orange } do lu.assertTrue(t:float():eq(colour):all(-1):any():item()) end
  lu.assertErrorMsgContains('did you mean "title"', lines, { { 1, 2 }, titel = "x" })
  lu.assertErrorMsgContains("no line", lines, {})
  lu.assertErrorMsgContains("line 1[2] is no number", lines, { { 1, "a" } })
  lu.assertErrorMsgContains("no point", lines, { { -1, 0 }, log = true })
  lu.assertErrorMsgContains("has 1 x and 2 y", lines, { { x = { 1 }, y = { 1, 2 } } })
end
