-- Slices, values within models, against what real Keras gives for its layers.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local fails = support.fails
local folder = (arg[0]:match "^(.*/)" or "./") .. "../models/"

TestParts = {}

-- {model, inputs by name, arrays of its parts by path} of each Keras
local function cases()
  local list = {}
  for suite, file in pairs { keras2 = "model.h5", tfkeras2 = "model.h5", keras3 = "model.keras" } do
    local path = folder .. suite .. "/siamese/"
    local io = cornu.load_npz(path .. "io.npz")
    list[#list + 1] = { suite = suite, model = cornu.load(path .. file), x = { left = io.i0, right = io.i1 }, io = io,
      parts = cornu.load_npz(path .. "parts.npz") }
  end
  return list
end

local function near(got, want, what)
  local ok, worst = got:allclose(want, 1e-4, 1e-5)
  lu.assertTrue(ok, what .. ": differs by " .. tostring(worst))
end

function TestParts:test_outputs_of()
  for _, case in ipairs(cases()) do
    local names, list = {}, {}
    for path in pairs(case.parts) do
      near(case.model:outputs_of(path)(case.x), case.parts[path], case.suite .. " " .. path)
      names[path], list[#list + 1] = path, path
    end
    lu.assertEquals(#list, 12)
    local y = case.model:outputs_of(names)(case.x)
    for path, part in pairs(case.parts) do near(y[path], part, path) end
    y = case.model:outputs_of(list)(case.x)
    for i, path in ipairs(list) do near(y[i], case.parts[path], path) end
    near(case.model:outputs_of { "join" }:predict(case.x)[1], case.parts.join, "a list of one")
    near(case.model:outputs_of { out = "encoder[2]:2" }(case.x).out, case.parts["encoder[2]/pool"], "one of two outputs")
  end
end

function TestParts:test_slices_through_nested_models()
  for _, case in ipairs(cases()) do
    local m, p = case.model, case.parts
    near(m:slice("encoder[1]/conv2", "shared[1]")(p["encoder[1]/conv1"]), p["shared[1]"], "from within")
    near(m:slice("encoder[2]/pool", "gap")({ case.x.left, p["encoder[2]/skip"] }), case.io.o1, "one call taken apart")
    near(m:slice("join", "head/fc")({ p["shared[1]"], p["shared[2]"] }), p["head/fc"], "to within")
    near(m:slice("head/fc", "head/softmax")(p.join), case.io.o0, "within")
    local rest = m:slice({ "shared" }, { "head", "gap" })
    lu.assertEquals(#rest.inputs, 2)
    local y = rest { p["encoder[1]/pool"], p["encoder[2]/pool"] }
    near(y[1], case.io.o0, "every call of a shared layer")
    near(y[2], case.io.o1, "every call of a shared layer")
    local gap = m:slice({ m:layer("shared"):output(2), m:layer("shared"):output(1) }, "gap")
    near(gap { p["shared[2]"], p["shared[1]"] }, case.io.o1, "from symbols")
    near(m:layer "encoder/conv2"(p["encoder[2]/conv1"]), p["encoder[2]/conv2"], "a layer inside alone")
  end
end

function TestParts:test_symbols()
  local case = cases()[1]
  local m = case.model
  local shared = m:layer "shared"
  lu.assertEquals({ shared:calls(), m:layer("encoder/conv1"):calls() }, { 2, 2 })
  lu.assertTrue(shared:output(2) == shared:output(-1))
  lu.assertFalse(shared:output(1) == shared:output(2))
  local s = m:layer("encoder"):output()
  lu.assertEquals({ #s, s[2].name, s[2].dtype, s[2].shape }, { 2, "encoder", "float32", { -1, 4 } })
  lu.assertEquals(s[2].layer.name, "encoder")
  lu.assertTrue(m:layer("join"):input()[1] == shared:output())
  lu.assertTrue(m.inputs[1] == m:layer("left"):output())
  lu.assertEquals(tostring(m.inputs[1]), 'symbol "left" float32 (?, 6, 6, 3)')
  lu.assertEquals(cornu.type(m.inputs[1]), "symbol")
  lu.assertEquals(m:layer("encoder/pool"):output(2).name, "encoder/pool")
  lu.assertNil(s[1].nonsense)
  local kept = shared:output(2)
  m:close()
  collectgarbage()
  lu.assertEquals(kept.shape, { -1, 5 }) -- a symbol outlives its model
  kept:close()
  fails("the symbol is closed", function() return kept.name end)
end

-- Calls count as Keras saved them, not as they run: the first call of "shared" takes what comes last.
function TestParts:test_calls_count_in_the_order_of_the_config()
  local json = cornu.json
  local function node(name) return json.list { json.list { name, 0, 0, {} } } end
  local function layer(class, name, config, ...)
    config.name = name
    return { class_name = class, name = name, config = config, inbound_nodes = json.list { ... } }
  end
  local sum = layer("Add", "sum", {}, json.list { json.list { "shared", 0, 0, {} }, json.list { "shared", 1, 0, {} } })
  local m = cornu.load(support.file(json.encode { class_name = "Model", keras_version = "2.3.1", backend = "tensorflow",
    config = { name = "m", input_layers = json.list { json.list { "x", 0, 0 } },
      output_layers = json.list { json.list { "sum", 0, 0 } }, layers = json.list {
        layer("InputLayer", "x", { batch_input_shape = json.list { cornu.null, 1 }, dtype = "float32" }),
        layer("Activation", "shared", { activation = "linear" }, node "late", node "x"),
        layer("Activation", "late", { activation = "tanh" }, node "x"), sum } } }, ".json"))
  local shared = m:layer "shared"
  lu.assertEquals({ shared:input(1).name, shared:input(2).name }, { "late", "x" })
  lu.assertStrContains(m:summary(), "shared[1], shared[2]")
  for _, model in ipairs { m, m:clone(), m:slice(nil, "sum") } do
    support.same(model:outputs_of "shared[2]" { { 3 } }, { { 3 } })
    support.same(model:outputs_of "shared[1]" { { 0 } }, { { 0 } })
  end
  support.clean()
end

function TestParts:test_errors()
  local m = cases()[1].model
  fails('no layer "shard" in model "siamese": did you mean "shared"?', m.slice, m, "shard")
  fails('no layer "encoder/conv9"', m.outputs_of, m, { "encoder/conv9" })
  fails('no layer "shared[3]"', m.slice, m, nil, "shared[3]")
  fails('layer "shared" has 2 calls in model "siamese", no number 3', function() m:layer("shared"):output(3) end)
  fails('"a" names 2 outputs', m.outputs_of, m, { a = "encoder" })
  fails('layer "encoder" has 2 outputs, no number 3', m.outputs_of, m, { a = "encoder:3" })
  fails("an empty list", m.outputs_of, m, {})
  fails("a list and names", m.outputs_of, m, { "join", a = "gap" })
  fails("inputs of a slice have no names", m.slice, m, { a = "join" })
  local other = cases()[2].model
  fails("disconnected", m.slice, m, nil, other:layer("gap"):output())
end
