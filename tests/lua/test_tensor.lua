-- Making tensors, reading them, and what is refused.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestTensor = {}

function TestTensor:test_from_tables()
  same(cornu.tensor { 1, 2, 3 }, { 1, 2, 3 }, "float32")
  same(cornu.tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } }, { { 1, 2 }, { 3, 4 }, { 5, 6 } })
  lu.assertEquals(cornu.tensor({ { { 1 }, { 2 } } }):shape(), { 1, 2, 1 })
  same(cornu.tensor({ 1, -2 }, "int64"), { 1, -2 }, "int64")
  same(cornu.tensor { true, false }, { true, false }, "bool")
  same(cornu.tensor({ 0, 2, -1 }, "bool"), { false, true, true }, "bool")
  same(cornu.tensor({ true, false }, "float32"), { 1, 0 }, "float32")
  same(cornu.tensor({ 1.5, 0.1 }, "float16"), { 1.5, 0.0999755859375 }, "float16")
  same(cornu.tensor({ 1.5, 3.140625 }, "bfloat16"), { 1.5, 3.140625 }, "bfloat16")
  lu.assertEquals(cornu.tensor({}):shape(), { 0 })
  lu.assertEquals(cornu.tensor({ {}, {} }):shape(), { 2, 0 })
end

function TestTensor:test_scalars()
  local t = cornu.tensor(2.5)
  lu.assertEquals(t:rank(), 0)
  lu.assertEquals(t:shape(), {})
  lu.assertEquals(t:item(), 2.5)
  lu.assertEquals(t:totable(), 2.5)
  lu.assertEquals(cornu.tensor(true):item(), true)
  lu.assertEquals(cornu.tensor(7, "uint8"):item(), 7)
end

function TestTensor:test_copies_of_tensors()
  local a = cornu.tensor { 1, 2 }
  local b = cornu.tensor(a)
  b[1] = 9
  lu.assertEquals(a[1], 1)
  same(cornu.tensor(a, "int32"), { 1, 2 }, "int32")
end

function TestTensor:test_ragged_tables_name_the_place()
  fails("element [2] has 1 elements, where the first of its kind has 2", cornu.tensor, { { 1, 2 }, { 3 } })
  fails("element [1][2] has 3 elements", cornu.tensor, { { { 1, 2 }, { 3, 4, 5 } } })
  fails("element [2] (2) is not a table", function() return cornu.tensor { { 1 }, 2 } end)
  fails("element [2] (table) is a table, where the first element is a number", cornu.tensor, { 1, { 2 } })
  fails('element [1][2] (string) is no number', cornu.tensor, { { 1, "2" } })
  fails("element [2] (cornu.tensor) is a tensor: cornu.stack", cornu.tensor, { 1, cornu.zeros(1) })
  fails("element [2] (1) is a number, where the first element is a boolean", cornu.tensor, { true, 1 })
end

function TestTensor:test_values_that_do_not_fit()
  fails("300) is out of the dtype's range; dtype uint8", cornu.tensor, { 1, 300 }, "uint8")
  fails("(-1) is out of the dtype's range", cornu.tensor, { -1 }, "uint64")
  fails("1.5) is not a whole number; dtype int32", cornu.tensor, { 1.5 }, "int32")
  fails('no dtype "float99" (there are: float32', cornu.tensor, { 1 }, "float99")
  fails("bad argument #1 to", cornu.tensor, print)
  fails("bad argument #1 to", cornu.tensor)
  local deep = {}
  for _ = 1, 9 do deep = { deep } end
  fails("nested more than 8 deep", cornu.tensor, deep)
end

function TestTensor:test_filled()
  same(cornu.zeros(2, 2), { { 0, 0 }, { 0, 0 } }, "float32")
  same(cornu.zeros({ 2 }, "int8"), { 0, 0 }, "int8")
  same(cornu.ones(1, 3, "int32"), { { 1, 1, 1 } }, "int32")
  same(cornu.ones({}), 1)
  same(cornu.full({ 2 }, 7.5), { 7.5, 7.5 })
  same(cornu.full({ 2 }, true), { true, true }, "bool")
  lu.assertEquals(cornu.empty(0, 3):shape(), { 0, 3 })
  fails("1.5 is not a whole number; dtype int32", cornu.full, { 1 }, 1.5, "int32")
  fails("size 2 is -1", cornu.zeros, 2, -1)
  fails("size 1 is string", cornu.zeros, { "a" })
  fails("9 dimensions", cornu.zeros, { 1, 1, 1, 1, 1, 1, 1, 1, 1 })
  fails("sizes", cornu.zeros, print)
end

function TestTensor:test_ranges()
  same(cornu.arange(4), { 0, 1, 2, 3 }, "float32")
  same(cornu.arange(1, 4), { 1, 2, 3 })
  same(cornu.arange(5, 0, -2), { 5, 3, 1 })
  same(cornu.arange(0, 1, 0.25), { 0, 0.25, 0.5, 0.75 })
  same(cornu.arange(3, "int64"), { 0, 1, 2 }, "int64")
  same(cornu.arange(1, 3, nil, "int32"), { 1, 2 }, "int32")
  lu.assertEquals(cornu.arange(3, 1):shape(), { 0 })
  same(cornu.linspace(0, 1, 5), { 0, 0.25, 0.5, 0.75, 1 })
  same(cornu.linspace(3, 9, 1), { 3 })
  same(cornu.eye(2), { { 1, 0 }, { 0, 1 } })
  same(cornu.eye(2, 3, "int32"), { { 1, 0, 0 }, { 0, 1, 0 } }, "int32")
  fails("step is 0", cornu.arange, 0, 1, 0)
end

function TestTensor:test_random_numbers_repeat()
  cornu.manual_seed(3)
  local a, b = cornu.rand(3, 3), cornu.randn { 4 }
  cornu.manual_seed(3)
  lu.assertTrue(a:allclose(cornu.rand(3, 3), 0, 0))
  lu.assertTrue(b:allclose(cornu.randn(4), 0, 0))
  lu.assertFalse((cornu.rand(3, 3):allclose(a)))
  for _, v in cornu.rand(100):each() do lu.assertTrue(v >= 0 and v < 1) end
  lu.assertEquals(cornu.rand(2, "float64"):dtype(), "float64")
  lu.assertEquals(cornu.randn(2, "float16"):dtype(), "float16")
end

function TestTensor:test_sizes()
  local t = cornu.zeros(2, 3, 4)
  lu.assertEquals({ #t, t:rank(), t:size(), t:size(1), t:size(-1) }, { 2, 3, 24, 2, 4 })
  fails("no dimension 4", t.size, t, 4)
  fails("axis 0", t.size, t, 0)
  fails("a scalar has no length", function() return #cornu.tensor(1) end)
end

function TestTensor:test_bytes()
  local t = cornu.tensor({ { 1, 2 }, { 3, 258 } }, "uint16")
  lu.assertEquals(#t:tobytes(), 8)
  same(cornu.frombytes(t:tobytes(), "uint16", 2, 2), { { 1, 2 }, { 3, 258 } }, "uint16")
  same(cornu.frombytes("\1\2\3", "uint8"), { 1, 2, 3 })
  lu.assertEquals(cornu.frombytes("\1\2\3\4", "uint8", { 2, -1 }):shape(), { 2, 2 })
  same(cornu.frombytes("\0\7", "bool"), { false, true })
  same(cornu.frombytes(t:transpose():tobytes(), "uint16", 2, 2), { { 1, 3 }, { 2, 258 } })
  fails("3 bytes do not make", cornu.frombytes, "abc", "float32")
  fails("4 bytes do not make (3,)", cornu.frombytes, "abcd", "uint8", 3)
  lu.assertEquals(cornu.zeros(0):tobytes(), "")
end

function TestTensor:test_casts()
  local t = cornu.tensor { 1.7, -1.7, 0 }
  same(t:int(), { 1, -1, 0 }, "int32")
  same(t:long(), { 1, -1, 0 }, "int64")
  same(t:bool(), { true, true, false }, "bool")
  same(t:cast "float64", { 1.7000000476837, -1.7000000476837, 0 }, "float64")
  lu.assertIs(t:float(), t)
  fails("bad argument #1 to 'cast'", function() local u = t:cast() end)
end

function TestTensor:test_big_integers()
  local big = 2 ^ 53 - 1
  same(cornu.tensor({ big }, "int64"), { big }, "int64")
  if math.type then
    lu.assertEquals(cornu.tensor({ math.maxinteger, math.mininteger }, "int64"):totable(), { math.maxinteger,
      math.mininteger })
    lu.assertEquals(math.type(cornu.tensor({ 1 }, "int32")[1]), "integer")
    lu.assertEquals(math.type(cornu.tensor({ 1 })[1]), "float")
  end
end

function TestTensor:test_allclose()
  local a, b = cornu.tensor { 1, 2 }, cornu.tensor { 1, 2.5 }
  local close, worst = a:allclose(b)
  lu.assertEquals({ close, worst }, { false, 0.5 })
  lu.assertTrue((a:allclose(b, 0, 0.5)))
  lu.assertTrue((a:allclose(b, 0.2, 0)))
  lu.assertTrue((a:allclose { 1, 2 }))
  lu.assertTrue((cornu.full({ 2 }, 3):allclose(3)))
end

function TestTensor:test_text()
  lu.assertStrContains(tostring(cornu.tensor { 1, 2 }), "float32")
  lu.assertEquals(tostring(cornu.zeros(2)), cornu.zeros(2):tostring())
  local before = cornu.printoptions()
  local short = tostring(cornu.arange(50))
  cornu.printoptions { threshold = 10, edge_items = 2 }
  lu.assertStrContains(tostring(cornu.arange(50)), "...")
  cornu.printoptions { threshold = 0, edge_items = 0 }
  lu.assertEquals(tostring(cornu.arange(50)), short)
  lu.assertEquals(cornu.printoptions(), before)
  fails('no option "treshold"', cornu.printoptions, { treshold = 1 })
end

function TestTensor:test_each_and_map()
  local sum = 0
  for i, v in cornu.tensor({ 4, 5 }):each() do sum = sum + i * v end
  lu.assertEquals(sum, 14)
  for i, row in cornu.tensor({ { 1, 2 }, { 3, 4 } }):each() do lu.assertEquals(row[2], 2 * i) end
  same(cornu.tensor({ { 1, 2 } }):map(function(v) return v * v + 1 end), { { 2, 5 } })
end

function TestTensor:test_topk()
  local top = cornu.tensor({ { 0.1, 0.7, 0.2 } }):topk(2, { "a", "b", "c" })
  lu.assertEquals({ top[1].index, top[1].label, top[2].index, top[2].label, #top }, { 2, "b", 3, "c", 2 })
  lu.assertAlmostEquals(top[1].value, 0.7, 1e-6)
  local rows = cornu.tensor({ { 1, 2 }, { 4, 3 } }):topk(1)
  lu.assertEquals({ rows[1][1].index, rows[2][1].index }, { 2, 1 })
  lu.assertEquals(cornu.tensor({ 0 / 0, 1 }):topk(1)[1].index, 2)
  lu.assertEquals(#cornu.tensor({ 1 }):topk(5), 1)
end

function TestTensor:test_misuse_does_not_crash()
  local shape = cornu.zeros(1).shape
  fails("cornu.tensor expected, got no value", shape)
  fails("cornu.tensor expected, got number", shape, 1)
  fails("cornu.tensor expected, got", shape, io.stdout)
  fails("cornu.tensor expected, got nil", shape, nil)
  fails("item: the tensor has 2 elements", cornu.zeros(2).item, cornu.zeros(2))
  lu.assertNil(cornu.zeros(1).nonsense)
  lu.assertEquals(getmetatable(cornu.zeros(1)), "cornu")
end

function TestTensor:test_no_globals()
  local known = {}
  for k in pairs(_G) do known[k] = true end
  package.loaded["cornu"], package.loaded["cornu.help"] = nil, nil
  require "cornu"
  package.loaded["cornu"] = cornu
  for k in pairs(_G) do lu.assertTrue(known[k], "global " .. tostring(k)) end
end

function TestTensor:test_errors_tell_the_callers_line()
  local here = debug.getinfo(1, "l").currentline
  local _, text = pcall(function() return cornu.load(1) end)
  lu.assertStrContains(text, ("test_tensor.lua:%d: load: the path of a model expected, got number"):format(here + 1))
  _, text = pcall(function() return cornu.zeros(-1) end)
  lu.assertStrContains(text, ("test_tensor.lua:%d: size 1 is -1"):format(here + 3))
  _, text = pcall(function() return cornu.zeros(2):topk() end)
  lu.assertStrContains(text, ("test_tensor.lua:%d: topk"):format(here + 5))
end
