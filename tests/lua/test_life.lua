-- Life of objects: closing, collection, coroutines.
local lu = require "luaunit"
local cornu = require "cornu"
local fails = require("support").fails

TestLife = {}

function TestLife:test_closed_tensors()
  local t = cornu.zeros(3)
  t:close()
  t:close()
  lu.assertEquals(tostring(t), "tensor (closed)")
  fails("the tensor is closed", t.shape, t)
  fails("the tensor is closed", function() return t[1] end)
  fails("the tensor is closed", function() return t + 1 end)
  fails("the tensor is closed", function() return 1 + t end)
  fails("the tensor is closed", function() return #t end)
  fails("the tensor is closed", cornu.exp, t)
  fails("the tensor is closed", cornu.concat, { t, t })
  fails("closed", function() cornu.zeros(3)[1] = t end)
  lu.assertIsFunction(t.shape)
end

function TestLife:test_views_outlive_their_parent()
  local row = cornu.tensor({ { 1, 2 }, { 3, 4 } })[2]
  collectgarbage()
  collectgarbage()
  lu.assertEquals(row:totable(), { 3, 4 })
end

function TestLife:test_the_collector_knows_of_tensors()
  collectgarbage()
  collectgarbage()
  local _, base = cornu.memory()
  local most = 0
  for _ = 1, 600 do -- 600 MiB in all
    local t = cornu.zeros(256, 1024)
    local _, live = cornu.memory()
    most = math.max(most, live - base)
    t = nil
  end
  lu.assertTrue(most < 160 * 2 ^ 20, ("%d MiB alive"):format(most / 2 ^ 20))
  collectgarbage()
  collectgarbage()
  local _, after = cornu.memory()
  lu.assertEquals(after, base)
end

function TestLife:test_memory_falls_at_close()
  local _, before = cornu.memory()
  local t = cornu.zeros(1000)
  local _, with = cornu.memory()
  lu.assertEquals(with - before, 4000)
  t:close()
  local _, after = cornu.memory()
  lu.assertTrue(after <= before)
end

function TestLife:test_to_be_closed()
  if _VERSION ~= "Lua 5.4" then return end
  local run = load [[local cornu, keep = ...; do local t <close> = cornu.zeros(2); keep = t end; return keep]]
  local t = run(cornu)
  lu.assertEquals(tostring(t), "tensor (closed)")
end

function TestLife:test_type()
  lu.assertEquals(cornu.type(cornu.zeros(1)), "tensor")
  lu.assertNil(cornu.type(io.stdout))
  lu.assertNil(cornu.type {})
  lu.assertNil(cornu.type(cornu.null))
  lu.assertIsNumber(cornu.clock())
  lu.assertIsString(cornu.isa())
  lu.assertIsString(cornu.version)
end

function TestLife:test_threads()
  local before = cornu.get_threads()
  cornu.set_threads(2)
  lu.assertEquals(cornu.get_threads(), 2)
  cornu.set_threads(before)
  fails("threads", cornu.set_threads, 0)
  fails("number expected", cornu.set_threads, "x")
end
