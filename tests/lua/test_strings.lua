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

-- A model of one layer, as Keras 3 writes it.
local function model(class, config, dtype, shape)
  config.name = "layer"
  local function history(name) return { class_name = "__keras_tensor__", config = { shape = { false }, dtype = "float32",
    keras_history = { name, 0, 0 } } } end
  local input = { class_name = "InputLayer", module = "keras.layers", name = "in", inbound_nodes = cornu.json.list {},
                  config = { name = "in", dtype = dtype, batch_shape = shape or { cornu.null, 3 } } }
  local layer = { class_name = class, module = "keras.layers", name = "layer", config = config,
                  inbound_nodes = { { args = { history "in" }, kwargs = {} } } }
  local text = cornu.json.encode { class_name = "Functional", module = "keras", config = { name = "m",
    layers = { input, layer }, input_layers = { { "in", 0, 0 } }, output_layers = { { "layer", 0, 0 } } } }
  return cornu.load(support.file(text, ".json"))
end

function TestStrings:test_models()
  local m = model("StringLookup", { vocabulary = { "a", "b" } }, "string")
  lu.assertEquals(m.inputs[1].dtype, "string")
  same(m { { "a", "zz", "b" } }, { { 1, 0, 2 } }, "int64")
  fails("float32 does not convert to string", m, cornu.zeros(1, 3))
  fails("is no string", m, { { 1, 2, 3 } })
  local back = model("StringLookup", { vocabulary = { "a", "b" }, invert = true }, "int64")
  local words = back(cornu.tensor({ { 1, 9, 2 } }, "int64"))
  back = nil
  collectgarbage()
  same(words, { { "a", "[UNK]", "b" } }, "string")
end

function TestStrings:test_sizes_that_the_data_decides()
  local m = model("TextVectorization", { vocabulary = { "a", "b" } }, "string", { cornu.null, 1 })
  lu.assertEquals(m.outputs[1].shape, { -1, -1 })
  same(m { { "a b, c A" }, { "b" } }, { { 2, 3, 1, 2 }, { 3, 0, 0, 0 } }, "int64")
  same(m { { "B!" } }, { { 3 } }, "int64")
  lu.assertEquals(m(cornu.tensor { { "" } }):shape(), { 1, 0 })
  same(m { "a", "b a" }, { { 2, 0 }, { 3, 2 } }, "int64") -- Keras adds a last dimension of 1, too
  fails("set output_sequence_length", m.plan, m, { { 1, 1 } })
end

function TestStrings:test_refused_layers()
  local words = { "a", "b" }
  fails("files that a model names are never opened", model, "StringLookup", { vocabulary = "/etc/passwd" }, "string")
  fails("has word 1 and 3 the same", model, "StringLookup", { vocabulary = { "a", "b", "a" } }, "string")
  fails('"oov_method" is not "farmhash"', model, "IntegerLookup", { vocabulary = { 1 }, salt = 3 }, "int64")
  fails('"vocabulary" holds 1, expected strings', model, "StringLookup", { vocabulary = { 1 } }, "string")
  fails('"max_tokens", 2', model, "StringLookup", { vocabulary = words, max_tokens = 2 }, "string")
  fails("the input is int64, the words are string", model, "StringLookup", { vocabulary = words }, "int64")
  fails("only .keras keep it", model("StringLookup", { max_tokens = 5 }, "string"), { { "a", "b", "c" } })
  fails("has no vocabulary", model, "StringLookup", { output_mode = "count" }, "string")
  fails("functions of Python are not supported", model, "TextVectorization",
        { vocabulary = words, standardize = { class_name = "function", config = "f" } }, "string", { cornu.null, 1 })
  fails('"ragged" is true', model, "TextVectorization", { vocabulary = words, ragged = true }, "string")
  fails('"ngrams" is 99', model, "TextVectorization", { vocabulary = words, ngrams = 99 }, "string")
  fails('expected one of: int one_hot', model, "HashedCrossing", { num_bins = 5, output_mode = "count" }, "string")
  fails('Dense', model, "Dense", { units = 2 }, "string")
  local strict = model("StringLookup", { vocabulary = words, num_oov_indices = 0 }, "string")
  same(strict { { "b", "a", "b" } }, { { 1, 0, 1 } }, "int64")
  fails('"zz" is not in the vocabulary', strict, { { "a", "zz", "b" } })
end
