local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestFiles = {}

function TestFiles:tearDown() support.clean() end

function TestFiles:test_npy()
  local path = support.file(nil, ".npy")
  for _, dtype in ipairs { "float32", "float64", "float16", "int8", "int64", "uint8", "bool" } do
    local t = cornu.tensor({ { 0, 1 }, { 1, 1 } }, dtype)
    cornu.save_npy(path, t)
    same(cornu.load_npy(path), t:totable(), dtype)
  end
  cornu.save_npy(path, cornu.arange(6):reshape(2, 3):t())
  same(cornu.load_npy(path), { { 0, 3 }, { 1, 4 }, { 2, 5 } })
  cornu.save_npy(path, cornu.tensor(5))
  lu.assertEquals(cornu.load_npy(path):shape(), {})
end

function TestFiles:test_npz()
  local path = support.file(nil, ".npz")
  local arrays = { weights = cornu.rand(3, 2), ["a/b"] = cornu.tensor({ 1, 2 }, "int32"), table = { 1, 2 } }
  for _, compress in ipairs { false, true } do
    cornu.save_npz(path, arrays, { compress = compress })
    local back = cornu.load_npz(path)
    lu.assertTrue((back.weights:allclose(arrays.weights, 0, 0)))
    same(back["a/b"], { 1, 2 }, "int32")
    same(back.table, { 1, 2 })
  end
end

-- Two steps of Adam, by Keras 2.3 and 3.15.
function TestFiles:test_optimizer()
  local old, new = cornu.load "tests/formats/compiled2.h5", cornu.load "tests/formats/compiled3.keras"
  lu.assertEquals(old:training_config().optimizer_config.class_name, "Adam")
  lu.assertEquals(new:training_config().loss, "mse")
  local names = {}
  for name in pairs(old:optimizer_weights()) do names[#names + 1] = name end
  lu.assertEquals(#names, 13)
  same(old:optimizer_weights()["Adam/iterations:0"], 2, "int64")
  same(new:optimizer_weights()["0"], 2, "int64")
  lu.assertEquals(new:optimizer_weights()["2"]:shape(), { 4, 2 })
  lu.assertEquals(cornu.load "tests/formats/three.keras":optimizer_weights(), {})
  lu.assertNil(cornu.load "tests/formats/two.json":training_config())
end

function TestFiles:test_optimizer_of_other_files()
  local file = "tests/formats/compiled3.keras"
  local config = cornu.json.encode(cornu.load(file).config)
  local apart, bare = cornu.load(config, file), cornu.load(config)
  same(apart:optimizer_weights()["0"], 2, "int64")
  lu.assertEquals(bare:optimizer_weights(), {})
  same(bare:load_weights(file):optimizer_weights()["0"], 2, "int64")
end

-- A file that libhdf5 alone reads is opened again as it was: trusted, or not.
function TestFiles:test_optimizer_of_a_trusted_file()
  local path, expected = "tests/formats/compiled2_shared.h5", cornu.load "tests/formats/compiled2.h5":optimizer_weights()
  local function check(model)
    local found = model:optimizer_weights()
    for name, t in pairs(expected) do assert(found[name]:allclose(t, 0, 0), name) end
  end
  fails("load it with trusted = true", cornu.load, path)
  check(cornu.load(path, { trusted = true }))
  local bare = cornu.load(cornu.json.encode(cornu.load(path, { trusted = true }).config))
  fails("load it with trusted = true", bare.load_weights, bare, path)
  check(bare:load_weights(path, { trusted = true }))
end

function TestFiles:test_json_in_place_of_a_path()
  local json = "\n " .. support.read "tests/formats/two.json"
  local model = cornu.load(json, "tests/formats/two.h5")
  lu.assertEquals(model.path, "")
  lu.assertEquals(cornu.check_modeltype(json), "Sequential")
  same(model(cornu.ones(1, 3)), cornu.load("tests/formats/two.h5")(cornu.ones(1, 3)):totable())
  fails("the JSON text > ", cornu.load, json:sub(1, 90))
  fails("the JSON text > the JSON {", cornu.load, '{"weight_map": {"/layers": "a.weights.h5"}}')
end

function TestFiles:test_errors()
  fails("no-such-file.npz", cornu.load_npz, "no-such-file.npz")
  fails("no-such-file.npy", cornu.load_npy, "no-such-file.npy")
  lu.assertFalse((pcall(cornu.load_npy, support.file "not an array")))
  lu.assertFalse((pcall(cornu.load_npz, support.file "not an archive")))
  fails("string expected", cornu.load_npy, {})
  fails('has no option "compres"', cornu.save_npz, "x", {}, { compres = true })
  fails("an array needs a name", cornu.save_npz, "x", { cornu.zeros(1) })
  fails("no-such-folder", cornu.save_npy, "no-such-folder/x.npy", cornu.zeros(1))
end
