-- Runners: buffers and states of their own, runs in slices.
local lu = require "luaunit"
local cornu = require "cornu"

local L = cornu.layers
TestRunner = {}

local function digits() return cornu.load "lua/examples/digits/digits.keras" end

function TestRunner:testBuffersAreWrittenInPlace()
  local model, x = digits(), cornu.rand { 3, 8, 8, 1 }
  local runner = model:runner { batch = 3 }
  lu.assertEquals(runner:inputs()[1].shape, { 3, 8, 8, 1 })
  local input, output = runner:input(), runner:output()
  for _ = 1, 2 do
    input:copy(x)
    lu.assertEquals(runner:run(), runner)
    lu.assertTrue(output:allclose(model(x), 0, 0))
    x = x * 0.5
  end
  lu.assertTrue(runner:memory() > 3 * 64 * 4)
  lu.assertStrContains(tostring(runner), "inputs: 1")
  runner:close()
  lu.assertErrorMsgContains("closed", runner.run, runner)
  lu.assertEquals(output:shape(), { 3, 10 }) -- outlives it
end

function TestRunner:testSlices()
  local model, x = digits(), cornu.rand { 2, 8, 8, 1 }
  local runner, slices = model:runner { batch = 2 }, 0
  runner:input():copy(x)
  repeat slices = slices + 1 until runner:run_for(0)
  lu.assertTrue(slices > 1)
  lu.assertTrue(runner:output():allclose(model(x), 0, 0))
  lu.assertFalse(runner:run_for(0))
  lu.assertErrorMsgContains("under way", runner.run, runner)
  runner:cancel()
  runner:run()
end

-- A frame leaves nothing for the collector.
function TestRunner:testFramesMakeNoGarbage()
  local runner = digits():runner()
  local x, y, sum = runner:input(), runner:output(), 0
  local function frame(i)
    x:set(1, 1 + i % 8, 1, 1, i % 16)
    runner:run()
    repeat local done = runner:run_for(1e6) until done
    for k = 1, 10 do sum = sum + y:get(1, k) end
  end
  frame(1)
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  for i = 1, 100 do frame(i) end
  local after = collectgarbage "count"
  collectgarbage "restart"
  lu.assertAlmostEquals(sum, 101, 1e-3)
  if not jit then lu.assertEquals(after, before) end -- the compiler's traces are counted, too
end

function TestRunner:testCoroutine()
  local model, x, frames = digits(), cornu.rand { 1, 8, 8, 1 }, 0
  local runner = model:runner()
  runner:input():copy(x)
  local thread = coroutine.create(function() return runner:run_in(0):output(1) end)
  local ok, y
  repeat
    ok, y = coroutine.resume(thread)
    lu.assertTrue(ok)
    frames = frames + 1
  until coroutine.status(thread) == "dead"
  lu.assertTrue(frames > 1)
  lu.assertTrue(y:allclose(model(x), 0, 0))
end

function TestRunner:testBackground()
  local model, x = digits(), cornu.rand { 1, 8, 8, 1 }
  local runner = model:runner()
  lu.assertErrorMsgContains("background", runner.poll, runner)
  runner:input():copy(x)
  runner:start()
  while not runner:poll() do end
  lu.assertTrue(runner:output():allclose(model(x), 0, 0))
  lu.assertEquals(runner:start():wait(), runner)
end

function TestRunner:testAgents()
  local model = cornu.Sequential { cornu.Input { batch_shape = { 1, 1, 2 } },
                                   L.LSTM { 3, stateful = true }, L.Dense { 2 } }
  local all, one = model:runner { batch = 4 }, model:runner()
  lu.assertEquals(#all:states(), 2)
  local name = all:states()[1].name
  for step = 1, 3 do
    local x = cornu.rand { 4, 1, 2 }
    all:input():copy(x)
    if step == 3 then
      lu.assertNotEquals(all:state(name)[2]:abs():sum():item(), 0)
      all:reset(2)
      one:reset()
      lu.assertEquals(all:state(name)[2]:abs():sum():item(), 0)
    end
    all:run()
    one:input():copy(x[{ { 2, 2 } }])
    one:run()
    lu.assertTrue(all:output()[{ { 2, 2 } }]:allclose(one:output(), 0, 1e-6))
    lu.assertTrue(all:state(2)[2]:allclose(one:state(2)[1], 0, 1e-6))
  end
  lu.assertErrorMsgContains("the runner has 4", all.reset, all, 5)
end

function TestRunner:testOutputsAndCarry()
  local x, h = cornu.Input { shape = { 2 }, name = "x" }, cornu.Input { shape = { 2 }, name = "h" }
  local sum = L.Add { name = "sum" } { x, h }
  local model = cornu.Model { inputs = { x, h }, outputs = L.Dense { 1, name = "d" }(sum) }
  local runner = model:runner { outputs = { "d", "sum" }, carry = { sum = "h" } }
  runner:input("x"):copy(cornu.tensor { { 1, 2 } })
  for n = 1, 3 do
    runner:run()
    lu.assertEquals(runner:output("sum"):totable(), { { n, 2 * n } })
  end
  lu.assertEquals(runner:input("h"):totable(), { { 3, 6 } })
  lu.assertErrorMsgContains('no output "nope"', runner.carry, runner, "nope", "h")
  lu.assertErrorMsgContains("only the same", runner.carry, runner, "d", "h")
  lu.assertErrorMsgContains("nope", model.runner, model, { outputs = "nope" })
  lu.assertErrorMsgContains("batch", model.runner, model, { batch = 0 })
end

-- A handler of the script is not called by another thread.
function TestRunner:testHandlers()
  local layer = { class_name = "Double", config = { name = "double", batch_input_shape = { cornu.null, 2 } } }
  local text = cornu.json.encode { class_name = "Sequential", config = { name = "m", layers = { layer } } }
  local model = cornu.load(text, { custom_objects = { Double = { eager = true, call = function(x) return x * 2 end } } })
  local runner = model:runner()
  runner:input():copy(cornu.tensor { { 1, 2 } })
  runner:run()
  lu.assertEquals(runner:output():totable(), { { 2, 4 } })
  lu.assertErrorMsgContains("whole runs", runner.run_for, runner, 0)
end
