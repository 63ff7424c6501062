local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestStrings = {}

function TestStrings:tearDown() support.clean() end

local function words() return cornu.tensor { { "hello", "wörld" }, { "", "日本\0語" } } end

function TestStrings:test_make_and_read()
  local t = words()
  lu.assertEquals(t:dtype(), "string")
  lu.assertEquals(t:shape(), { 2, 2 })
  lu.assertEquals(t:totable(), { { "hello", "wörld" }, { "", "日本\0語" } })
  lu.assertEquals(t[1][2], "wörld")
  lu.assertEquals(t[{ -1, -1 }], "日本\0語")
  lu.assertEquals(cornu.tensor("a"):item(), "a")
  same(cornu.full({ 2 }, "q"), { "q", "q" }, "string")
  same(cornu.zeros(1, "string"), { "" }, "string")
end

function TestStrings:test_views_and_copies()
  local t = words()
  local column, other = t:transpose()[2], t:clone()
  t[1][2] = "new"
  t[2] = { "x", "y" }
  lu.assertEquals(column:totable(), { "new", "y" })
  lu.assertEquals(other:totable(), { { "hello", "wörld" }, { "", "日本\0語" } })
  local picked, positions = other[cornu.tensor { true, false }], other[cornu.tensor({ 2 }, "int64")]
  other, t, column = nil, nil, nil
  collectgarbage()
  lu.assertEquals(picked:totable(), { { "hello", "wörld" } })
  lu.assertEquals(positions:totable(), { { "", "日本\0語" } })
end

function TestStrings:test_compare()
  local t = words()
  lu.assertEquals({ t:allclose(t:clone()) }, { true, 0 })
  lu.assertEquals({ t:allclose(t:transpose()) }, { false, math.huge })
  same(cornu.equal(t, "wörld"), { { false, true }, { false, false } }, "bool")
  same(cornu.not_equal(t, t:transpose()), { { false, true }, { true, false } }, "bool")
  lu.assertEquals(cornu.concat({ t, t }, { axis = 1 })[3]:totable(), { "hello", "wörld" })
end

function TestStrings:test_print()
  lu.assertEquals(tostring(cornu.tensor { "a\n\"\1", "é" }), '["a\\n\\"\\x01" "é"        ]\nstring (2,)')
  lu.assertEquals(tostring(cornu.tensor "\xff"), '"\\xff"\nstring ()')
  lu.assertStrContains(tostring(cornu.tensor(("x"):rep(60))), '"' .. ("x"):rep(40) .. '…"')
end

function TestStrings:test_refusals()
  local t = words()
  fails("add works on numbers, not on strings", function() return t + 1 end)
  fails("softmax works on numbers, not on strings", cornu.softmax, t)
  fails("string does not convert to float32", t.cast, t, "float32")
  fails("float32 does not convert to string", cornu.zeros(1).cast, cornu.zeros(1), "string")
  fails("string and float32 do not go together", cornu.concat, { cornu.tensor { "a" }, cornu.zeros(1) })
  fails("string does not compare with float32", cornu.equal, t, cornu.zeros(1))
  fails("element [2] (1) is no string", cornu.tensor, { "a", 1 })
  fails("element [2] (string) is no number", cornu.tensor, { 1, "a" })
  fails("use t:totable()", t.tobytes, t)
end

function TestStrings:test_files()
  local t, path = cornu.tensor { { "hello", "wörld" }, { "", "日本語" } }, support.file(nil, ".npz")
  cornu.save_npz(path, { wide = t, bytes = cornu.tensor { "\xff\xfe", "a" }, none = cornu.zeros(0, "string") })
  local back = cornu.load_npz(path)
  lu.assertEquals(back.wide:totable(), t:totable())
  lu.assertEquals(back.bytes:totable(), { "\xff\xfe", "a" })
  lu.assertEquals(back.none:shape(), { 0 })
  cornu.save_npy(path, t:transpose())
  lu.assertEquals(cornu.load_npy(path):totable(), { { "hello", "" }, { "wörld", "日本語" } })
end

local function npy(dtype, shape, data)
  local head = ("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }"):format(dtype, shape:find "F" and "True" or "False",
                                                                             (shape:gsub("F", "")))
  return "\x93NUMPY\1\0" .. string.char(#head % 256, math.floor(#head / 256)) .. head .. data
end

function TestStrings:test_numpy_kinds()
  local function read(...) return cornu.load_npy(support.file(npy(...), ".npy")):totable() end
  lu.assertEquals(read(">U2", "(2,)", "\0\0\0a\0\0\0\xe9\0\1\xf6\0\0\0\0\0"), { "aé", "😀" })
  lu.assertEquals(read("|S3", "(2,)", "ab\0\0\0\0"), { "ab", "" })
  lu.assertEquals(read("|S1", "(2, 2)F", "acbd"), { { "a", "b" }, { "c", "d" } })
  fails("0xd800, which is no character", read, "<U1", "(1,)", "\0\xd8\0\0")
  fails("0x110000, which is no character", read, "<U1", "(1,)", "\0\0\x11\0")
  fails("the file ends before", read, "<U4", "(1,)", "abcd")
  fails("larger than the limit", read, "<U99999999", "(99999999999,)", "")
end
