-- Models and pictures that are in memory, or in an archive of the program's own.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestMemory = {}

function TestMemory:tearDown() support.clean() end

-- Gives no more than 1000 bytes at once.
local function reader(bytes)
  local asked = {}
  return { size = #bytes, name = "pack/model", read = function(offset, n)
    asked[#asked + 1] = offset
    return bytes:sub(offset + 1, offset + math.min(n, 1000))
  end }, asked
end

local digits = "lua/examples/digits/digits"

function TestMemory:test_models()
  local want = cornu.load_npz "lua/examples/digits/expected.npz"
  local flat = support.file(nil, ".cornu")
  cornu.load(digits .. ".keras"):save(flat)
  for _, path in ipairs { digits .. ".keras", digits .. ".h5", flat } do
    local model = cornu.load { data = support.read(path) }
    lu.assertTrue((model(want.inputs):allclose(want.outputs, 1e-4, 1e-5)), path)
    local source, asked = reader(support.read(path))
    model = cornu.load(source, { exact = true })
    lu.assertTrue((model(want.inputs):allclose(want.outputs, 1e-4, 1e-5)), path)
    lu.assertEquals(model.path, "pack/model")
    lu.assertEquals(#asked, math.ceil(source.size / 1000))
  end
end

function TestMemory:test_weights()
  local model = cornu.load(digits .. ".h5")
  local json, weights, x = model:to_json(), { data = support.read(digits .. ".h5") }, cornu.rand(2, 8, 8, 1)
  local want = model(x)
  lu.assertTrue((cornu.load(json, weights)(x):allclose(want, 0, 0)))
  lu.assertTrue((cornu.load({ data = json }, weights, { exact = true })(x):allclose(want, 1e-5, 1e-6)))
  lu.assertTrue((cornu.load({ data = json }, weights, x):allclose(want, 0, 0)))
  lu.assertTrue((cornu.load(json):load_weights(weights)(x):allclose(want, 0, 0)))
end

-- What is read of a file later on is not there.
function TestMemory:test_optimizer()
  local source = { data = support.read "tests/formats/compiled3.keras", name = "tests/formats/compiled3.keras" }
  lu.assertEquals(cornu.load(source):optimizer_weights(), {})
end

function TestMemory:test_pictures()
  local path = support.file(nil, ".png")
  cornu.image.save(path, cornu.rand(5, 4, 3))
  local source = { data = support.read(path) }
  same(cornu.image.load(source), cornu.image.load(path):totable(), "uint8")
  lu.assertEquals(cornu.image.load((reader(source.data)), { channels = 1 }):shape(), { 5, 4, 1 })
  fails("picture: neither PNG nor JPEG", cornu.image.load, { data = "no" })
  fails("photo: ", cornu.image.load, { data = source.data:sub(1, 60), name = "photo" })
end

function TestMemory:test_mistakes()
  local bytes = support.read(digits .. ".keras")
  fails("data: ", cornu.load, { data = "" })
  fails("model.keras > ", cornu.load, { data = bytes:sub(1, -2), name = "model.keras" })
  fails("data is a number", cornu.load, { data = 5 })
  fails('no field "bytes"', cornu.load, { data = bytes, bytes = bytes })
  fails("name is a text", cornu.load, { data = bytes, name = "{" })
  fails("have one name", cornu.load, { data = bytes, name = "x" }, { data = bytes, name = "x" })
  fails("both paths, or both in memory", cornu.load, digits .. ".keras", { data = bytes })
  fails("both paths, or both in memory", cornu.load, { data = bytes }, digits .. ".h5")
  fails("size is the number of bytes", cornu.load, { read = function() end })
  fails("read is a function", cornu.load, { read = 1, size = 2 })
  fails("read(0, 9) gave a nil", cornu.load, { read = function() end, size = 9 })
  fails("read(0, 2) gave 3 bytes", cornu.load, { read = function() return "abc" end, size = 2 })
  fails("on purpose", cornu.load, { read = function() error "on purpose" end, size = 2 })
end
