-- t[…], t[…] = v and views.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestIndex = {}

function TestIndex:test_get_and_set()
  local t = cornu.linspace(1, 6, 6):reshape { 2, 3 }
  lu.assertEquals(t:get(2, 1), 4)
  lu.assertEquals(t:get(-1, -1), 6)
  lu.assertEquals(t:set(1, 2, 7.5):get(1, 2), 7.5)
  local column = t[{ {}, 2 }]
  column:set(2, -1) -- a view
  lu.assertEquals(t:totable(), { { 1, 7.5, 3 }, { 4, -1, 6 } })
  lu.assertEquals(cornu.tensor({ 1, 2 }, "int32"):set(1, 9):get(1), 9)
  lu.assertErrorMsgContains("2 dimensions, 1 positions", t.get, t, 1)
  lu.assertErrorMsgContains("dimension 2 has size 3", t.get, t, 1, 4)
  lu.assertErrorMsgContains("count from 1", t.set, t, 0, 1, 1)
  lu.assertErrorMsgContains("is no number", t.set, t, 1, 1, "x")
  lu.assertError(function() cornu.tensor({ 1 }, "int32"):set(1, 1.5) end)
  lu.assertErrorMsgContains("whole number", t.get, t, 1.5, 1)
end

function TestIndex:setUp()
  self.t = cornu.arange(1, 13):reshape(3, 4) -- 1 2 3 4 | 5 6 7 8 | 9 10 11 12
  self.v = cornu.tensor { 10, 20, 30 }
end

function TestIndex:test_numbers()
  lu.assertEquals({ self.v[1], self.v[3], self.v[-1], self.v[-3], self.v[2.0] }, { 10, 30, 30, 10, 20 })
  same(self.t[2], { 5, 6, 7, 8 })
  same(self.t[-1], { 9, 10, 11, 12 })
  lu.assertEquals(self.t[2][3], 7)
  lu.assertEquals(cornu.tensor({ true, false })[2], false)
end

function TestIndex:test_out_of_range()
  fails("index 4 is out of range: dimension 1 has size 3", function() return self.v[4] end)
  fails("index -4 is out of range", function() return self.v[-4] end)
  fails("positions count from 1", function() return self.v[0] end)
  fails("index 5 is out of range: dimension 2 has size 4", function() return self.t[{ 1, 5 }] end)
  fails("not a whole number", function() return self.v[1.5] end)
  fails("a scalar has no positions", function() return cornu.tensor(1)[1] end)
  fails("a boolean is no index", function() return self.v[true] end)
  fails("is out of range", function() self.v[4] = 1 end)
end

function TestIndex:test_ranges()
  same(self.t[{ { 2, 3 } }], { { 5, 6, 7, 8 }, { 9, 10, 11, 12 } })
  same(self.t[{ {}, { 1, 2 } }], { { 1, 2 }, { 5, 6 }, { 9, 10 } })
  same(self.t[{ 2, { -2, -1 } }], { 7, 8 })
  same(self.t[{ {}, 3 }], { 3, 7, 11 })
  same(self.t[{ {}, { 1, -1, 2 } }], { { 1, 3 }, { 5, 7 }, { 9, 11 } })
  same(self.v[{ { -1, 1, -1 } }], { 30, 20, 10 })
  same(self.v[{ { 3, 2, -1 } }], { 30, 20 })
  lu.assertEquals(self.t[{ 2, 3 }], 7)
  same(self.t[{}], self.t:totable())
  lu.assertEquals(self.v[{ { 3, 2 } }]:shape(), { 0 })
  lu.assertEquals(self.v[{ { 1, 0 } }]:shape(), { 0 })
  lu.assertEquals(self.v[{ { 4, 3 } }]:shape(), { 0 })
  fails("out of range", function() return self.v[{ { 1, 4 } }] end)
  fails("out of range", function() return self.v[{ { -4, 2 } }] end)
  fails("out of range", function() return self.v[{ { 9, 5 } }] end)
  fails("a range is {}", function() return self.v[{ { 1, "x" } }] end)
  fails("step of a range is 0", function() return self.v[{ { 1, 2, 0 } }] end)
  fails("2 indices for a tensor of 1 dimension", function() return self.v[{ 1, 1 }] end)
  fails("index 1 is a table", function() return self.v[{ { 1 } }] end)
  fails("index 1 is a string", function() return self.v[{ "a" }] end)
end

function TestIndex:test_views_share_memory()
  local row = self.t[2]
  row[1] = 50
  lu.assertEquals(self.t[{ 2, 1 }], 50)
  self.t[{ {}, 4 }] = 0
  lu.assertEquals(row[4], 0)
  local deep = self.t[{ { 1, 2 } }]:transpose()[2]
  deep[2] = -6
  lu.assertEquals(self.t[{ 2, 2 }], -6)
end

function TestIndex:test_writes()
  self.v[2] = 21
  self.v[-1] = 31
  same(self.v, { 10, 21, 31 })
  self.t[1] = 7
  same(self.t[1], { 7, 7, 7, 7 })
  self.t[{ {}, { 1, 2 } }] = cornu.tensor { -1, -2 }
  same(self.t[{ 3, { 1, 3 } }], { -1, -2, 11 })
  self.t[2] = { 1, 2, 3, 4 }
  same(self.t[2], { 1, 2, 3, 4 })
  self.t[{ 1, 1 }] = true
  lu.assertEquals(self.t[{ 1, 1 }], 1)
  local whole = cornu.zeros(2, "int32")
  fails("1.5 is not a whole number; dtype int32", function() whole[1] = 1.5 end)
  fails("a string cannot be written", function() self.v[1] = "x" end)
  fails("a nil cannot be written", function() self.v[1] = nil end)
  fails("(5,)", function() self.t[1] = cornu.zeros(5) end)
  fails("no index", function() self.v.name = 1 end)
end

function TestIndex:test_masks()
  same(self.v[self.v:gt(15)], { 20, 30 })
  same(self.t[cornu.tensor { true, false, true }], { { 1, 2, 3, 4 }, { 9, 10, 11, 12 } })
  lu.assertEquals(self.v[self.v:gt(99)]:shape(), { 0 })
  self.v[self.v:lt(25)] = 0
  same(self.v, { 0, 0, 30 })
  self.t[self.t:gt(10)] = cornu.tensor { -1, -2, -3, -4 }
  same(self.t[3], { 9, 10, -3, -4 })
  fails("a mask of shape (2,) does not fit the first dimensions of (3,)", function() return self.v[cornu.tensor { true,
    false }] end)
end

function TestIndex:test_positions()
  same(self.v[cornu.tensor({ 3, 1, -1 }, "int32")], { 30, 10, 30 })
  same(self.t[cornu.tensor({ 2 }, "int64")], { { 5, 6, 7, 8 } })
  fails("index 4 is out of range", function() return self.v[cornu.tensor({ 4 }, "int32")] end)
  fails("a tensor of float32 is no index", function() return self.v[cornu.tensor { 1 }] end)
end

function TestIndex:test_shapes()
  lu.assertEquals(self.t:reshape(2, -1):shape(), { 2, 6 })
  lu.assertEquals(self.t:reshape { 4, 3 }:shape(), { 4, 3 })
  lu.assertEquals(self.t:reshape(-2, 2, 2):shape(), { 3, 2, 2 })
  lu.assertEquals(self.t:flatten():shape(), { 12 })
  lu.assertEquals(cornu.zeros(2, 3, 4):flatten(2):shape(), { 2, 12 })
  lu.assertEquals(cornu.zeros(0, 3):flatten():shape(), { 0 })
  lu.assertEquals(self.v:expand_dims(1):shape(), { 1, 3 })
  lu.assertEquals(self.v:expand_dims(-1):shape(), { 3, 1 })
  lu.assertEquals(cornu.zeros(1, 2, 1):squeeze():shape(), { 2 })
  lu.assertEquals(cornu.zeros(1, 2, 1):squeeze(-1):shape(), { 1, 2 })
  lu.assertEquals(cornu.zeros(1, 2, 1):squeeze({ 1, 3 }):shape(), { 2 })
  lu.assertEquals(self.v:broadcast_to(2, 3):shape(), { 2, 3 })
  fails("dimension 1 has size 3, not 1", self.v.squeeze, self.v, 1)
  fails("12", self.t.reshape, self.t, 5)
  fails("axis 0", self.v.expand_dims, self.v, 0)
end

function TestIndex:test_transpose()
  same(self.t:t(), { { 1, 5, 9 }, { 2, 6, 10 }, { 3, 7, 11 }, { 4, 8, 12 } })
  local u = cornu.arange(24):reshape(2, 3, 4)
  lu.assertEquals(u:transpose():shape(), { 4, 3, 2 })
  lu.assertEquals(u:permute(1, 3, 2):shape(), { 2, 4, 3 })
  lu.assertEquals(u:transpose({ -1, 1, 2 }):shape(), { 4, 2, 3 })
  same(u:permute(3, 1, 2)[4], { { 3, 7, 11 }, { 15, 19, 23 } })
  fails("2 axes for a tensor of 3 dimensions", u.permute, u, 1, 2)
  lu.assertFalse(u:permute(1, 3, 2):is_contiguous())
  lu.assertTrue(u:permute(1, 3, 2):contiguous():is_contiguous())
  lu.assertTrue(u:contiguous() == u)
end

function TestIndex:test_slice()
  same(self.t:slice(2, 2, 3), { { 2, 3 }, { 6, 7 }, { 10, 11 } })
  same(self.t:slice(-1, -1, 1, -2), { { 4, 2 }, { 8, 6 }, { 12, 10 } })
  same(self.t:slice { 1, { 1, 2 } }, { 1, 2 })
  fails("the tensor has 2 dimensions", self.t.slice, self.t, 3, 1, 1)
end

function TestIndex:test_copy_and_fill()
  same(self.v:clone():fill(4), { 4, 4, 4 })
  same(cornu.zeros(2, 3):copy(self.v), { { 10, 20, 30 }, { 10, 20, 30 } })
  local clone = self.v:clone()
  clone[1] = 0
  lu.assertEquals(self.v[1], 10)
  lu.assertErrorMsgContains("read-only", function() self.v:broadcast_to(2, 3)[1] = 1 end)
end
