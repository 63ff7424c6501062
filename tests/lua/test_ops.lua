-- Arithmetic and operations: numbers, broadcasting, axes from 1.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestOps = {}

function TestOps:test_arithmetic()
  local a, b = cornu.tensor { 6, 8 }, cornu.tensor { 4, 3 }
  same(a + b, { 10, 11 })
  same(a - b, { 2, 5 })
  same(a * b, { 24, 24 })
  same(a / b, { 1.5, 8 / 3 })
  same(a % b, { 2, 2 })
  same(a ^ 2, { 36, 64 })
  same(-a, { -6, -8 })
  same(a:floordiv(b), { 1, 2 })
  same(10 - a, { 4, 2 })
  same(12 / a, { 2, 1.5 })
  same(a + { 1, 2 }, { 7, 10 })
  same(cornu.tensor { { 1 }, { 2 } } + cornu.tensor { 10, 20 }, { { 11, 21 }, { 12, 22 } })
  fails("a tensor and a string", function() return a + "x" end)
  fails("a tensor and a nil", function() return a + nil end)
  fails("(2,)", function() return a + cornu.zeros(3) end)
end

function TestOps:test_numbers_are_weak()
  lu.assertEquals((cornu.tensor({ 1 }, "int32") + 1):dtype(), "int32")
  lu.assertEquals((cornu.tensor({ 1 }, "uint8") * 2):dtype(), "uint8")
  lu.assertEquals((cornu.tensor({ 1 }, "float16") + 0.5):dtype(), "float16")
  lu.assertEquals((cornu.tensor({ 1 }, "float64") + 1):dtype(), "float64")
  lu.assertEquals((cornu.tensor({ 1 }, "int32") + 0.5):dtype(), "float32")
  same(cornu.tensor({ 1 }, "int32") / 2, { 0.5 }, "float32")
end

function TestOps:test_comparisons()
  local a = cornu.tensor { 1, 2, 3 }
  same(a:lt(2), { true, false, false }, "bool")
  same(a:le(2), { true, true, false })
  same(a:gt(2), { false, false, true })
  same(a:ge(cornu.tensor { 3, 2, 1 }), { false, true, true })
  same(a:eq(2), { false, true, false })
  same(a:ne(2), { true, false, true })
  lu.assertFalse(a == cornu.tensor { 1, 2, 3 }) -- identity
  lu.assertTrue(a == a)
end

function TestOps:test_reductions()
  local t = cornu.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  same(t:sum(), 21)
  same(t:sum(1), { 5, 7, 9 })
  same(t:sum(2), { 6, 15 })
  same(t:sum(-1), { 6, 15 })
  same(t:sum(1, true), { { 5, 7, 9 } })
  same(t:sum { axes = 2, keepdims = true }, { { 6 }, { 15 } })
  same(t:sum({ 1, 2 }), 21)
  same(t:mean(2), { 2, 5 })
  same(t:max(1), { 4, 5, 6 })
  same(cornu.min(t, 2), { 1, 4 })
  fails("axis 0: axes count from 1", t.sum, t, 0)
  fails("3", t.sum, t, 3)
  fails("too many arguments", t.sum, t, 1, true, 1)
  fails('"axs"', t.sum, t, { axs = 1 })
end

function TestOps:test_positions_count_from_1()
  local t = cornu.tensor { { 1, 9, 3 }, { 7, 5, 6 } }
  same(t:argmax(2), { 2, 1 }, "int64")
  same(t:argmin(1), { 1, 2, 1 }, "int64")
  same(cornu.gather(t, cornu.tensor({ 3, 1 }, "int32"), 2), { { 3, 1 }, { 6, 7 } })
  same(t:take(cornu.tensor({ 2 }, "int64"), 1), { { 7, 5, 6 } })
  same(cornu.one_hot(cornu.tensor({ 1, 3 }, "int32"), 3), { { 1, 0, 0 }, { 0, 0, 1 } })
end

function TestOps:test_elementwise()
  same(cornu.exp(cornu.tensor { 0, 1 }), { 1, 2.7182818 })
  same(cornu.tensor({ -1, 4 }):abs():sqrt(), { 1, 2 })
  same(cornu.maximum(cornu.tensor { 1, 5 }, 3), { 3, 5 })
  same(cornu.where(cornu.tensor { true, false }, 1, cornu.tensor { 5, 6 }), { 1, 6 })
  same(cornu.tensor({ -2, 0.5, 2 }):clip(-1, 1), { -1, 0.5, 1 })
  same(cornu.tensor({ -1, 2 }):relu(), { 0, 2 })
  same(cornu.sqrt(16), 4)
  fails("needs 1 tensor", cornu.exp)
  fails("needs 2 tensors", cornu.maximum, cornu.zeros(1))
  fails("tensor, number or table expected, got string", cornu.exp, "x")
end

function TestOps:test_softmax()
  local s = cornu.tensor({ { 0, math.log(3) }, { 0, 0 } }):softmax(-1)
  same(s, { { 0.25, 0.75 }, { 0.5, 0.5 } })
end

function TestOps:test_matmul()
  local a, b = cornu.tensor { { 1, 2 }, { 3, 4 } }, cornu.tensor { { 5, 6 }, { 7, 8 } }
  same(a:matmul(b), { { 19, 22 }, { 43, 50 } })
  same(a:dot(b), { { 19, 22 }, { 43, 50 } })
  same(cornu.matmul(a, b:t()), { { 17, 23 }, { 39, 53 } })
  fails("matmul", a.matmul, a, cornu.zeros(3, 3))
end

function TestOps:test_joining()
  local a, b = cornu.tensor { { 1, 2 } }, cornu.tensor { { 3, 4 } }
  same(cornu.concat({ a, b }, 1), { { 1, 2 }, { 3, 4 } })
  same(cornu.concat({ a, b }, 2), { { 1, 2, 3, 4 } })
  same(cornu.concat(a, b, -1), { { 1, 2, 3, 4 } })
  same(cornu.concat { a, b, a }, { { 1, 2 }, { 3, 4 }, { 1, 2 } })
  same(cornu.stack({ a[1], b[1] }, 1), { { 1, 2 }, { 3, 4 } })
  same(cornu.stack({ a[1], b[1] }, 2), { { 1, 3 }, { 2, 4 } })
  local many = {}
  for i = 1, 100 do many[i] = cornu.full({ 1 }, i) end
  same(cornu.concat(many, 1):sum(), 5050)
  local parts = cornu.arange(6):split(1, 3)
  lu.assertEquals(#parts, 3)
  same(parts[3], { 4, 5 })
end

function TestOps:test_all_operations_are_methods()
  local t = cornu.zeros(1)
  for name in pairs(cornu.ops) do
    lu.assertIsFunction(t[name], name)
    lu.assertNotNil(cornu[name], name)
  end
end

function TestOps:test_fourier()
  local re, im = cornu.tensor({ 1, 2, 4, 8 }):rfft()
  same(re, { 15, -3, -5 })
  same(im, { 0, 6, 0 })
  same(re:irfft(im), { 1, 2, 4, 8 })
  re, im = cornu.tensor({ 1, 0, 0 }, "float64"):rfft { length = 2 }
  same(re, { 1, 1 }, "float64")
  local x, y = cornu.randn(2, 3, 7), cornu.randn(2, 3, 7) -- not a power of two: through a convolution
  local a, b = x:fft(y)
  lu.assertTrue(x:sum(-1):allclose(a[{ {}, {}, 1 }], 1e-5, 1e-5))
  a, b = a:fft(b, { inverse = true })
  lu.assertTrue(a:allclose(x, 1e-5, 1e-6) and b:allclose(y, 1e-5, 1e-6))
  fails("one dtype and shape", function() return x:fft(cornu.zeros(3)) end)
  fails("needs float32 or float64", function() return cornu.tensor({ 1 }, "int32"):rfft() end)
end

function TestOps:test_resize()
  local x = cornu.tensor({ 1, 2, 3, 4 }, "uint8"):reshape(1, 2, 2, 1)
  same(x:resize { size = { 1, 4 }, method = "nearest" }:reshape(4), { 3, 3, 4, 4 }, "uint8")
  fails("needs float32", function() return x:resize { size = { 1, 4 } } end)
  x = x:float()
  same(x:resize { size = { 1, 3 } }:reshape(3), { 2, 2.5, 3 })
  same(x:resize { size = { 1, 1 }, method = "area" }:reshape(1), { 2.5 })
  -- a triangle of twice the width: weights 1/8, 3/8, 3/8, 1/8 but for the edges
  local line = cornu.tensor({ 0, 7, 0, 0, 0, 0, 0, 0 }):reshape(1, 1, 8, 1)
  same(line:resize { size = { 1, 4 }, antialias = true }:reshape(4), { 3, 0.875, 0, 0 })
end

function TestOps:test_randint()
  cornu.manual_seed(0)
  local t = cornu.randint(2, 4, { 200 })
  lu.assertEquals(t:dtype(), "int32")
  lu.assertEquals({ t:min():item(), t:max():item() }, { 2, 4 })
end
