-- Bad input of every kind, and what is said about it: the file, the layer, the key, what was expected and what came.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local fails, file = support.fails, support.file

TestBadInput = {}

local digits = "lua/examples/digits/"

-- A model file of these layers, each { class, config }; the first one takes `shape` (batch apart).
local function model_file(layers, shape)
  local list = {}
  for i, layer in ipairs(layers) do
    list[i] = { class_name = layer[1], config = layer[2] }
    list[i].config.name = list[i].config.name or "layer" .. i
  end
  list[1].config.batch_input_shape = { cornu.null }
  for i, n in ipairs(shape or { 4 }) do list[1].config.batch_input_shape[i + 1] = n end
  return file(cornu.json.encode { class_name = "Sequential", config = { name = "m", layers = list },
                                  keras_version = "2.3.1", backend = "tensorflow" }, ".json")
end

local function dense(config)
  return model_file { { "Dense", config or { units = 3 } } }
end

function TestBadInput:tearDown() support.clean() end

function TestBadInput:testFiles()
  fails("nosuch.h5: no such file", cornu.load, "nosuch.h5")
  fails("lua: a folder without config.json: not a model", cornu.load, "lua")
  fails("the file is empty", cornu.load, file("", ".h5"))
  fails("not a Keras model: neither HDF5, nor a .keras archive, nor JSON", cornu.load, file("some text", ".h5"))
  fails('plain.h5 > an HDF5 file without a Keras model (no attribute "model_config")', cornu.load,
        "tests/formats/plain.h5")
  fails("cut.h5 > truncated HDF5 file", cornu.load, "tests/formats/cut.h5")
  fails("kinds.h5 > the HDF5 file has messages that objects share, which Keras does not write: if you know where it is from, "
    .. "load it with trusted = true", cornu.load, "tests/formats/kinds.h5")
  fails("give this file as its weights", cornu.load, "tests/formats/renamed.weights.h5")
  fails("an archive of arrays (.npz), not a model", cornu.load, digits .. "expected.npz")
  fails("a Python pickle, which is never read", cornu.load, file("\128\4\149", ".h5"))
end

function TestBadInput:testJson()
  fails("JSON, line 1, column 16: not valid JSON here", cornu.load, file('{"class_name": }', ".json"))
  fails('"class_name" and "config" expected', cornu.load, file('{"a": 1}', ".json"))
  fails("a text that is not UTF-8", cornu.load, file('{"class_name": "\255"}', ".json"))
end

function TestBadInput:testWeightsOfAnotherModel()
  local path = dense()
  fails('digits.h5 > 5 layers with weights in the file, 1 in the config; the first that differ by name: "conv1" with 1 '
    .. 'arrays in the file, "layer1" (Dense) with 2 weights in the config', cornu.load, path, digits .. "digits.h5")
  fails('by_name: no layer of the file has the name of one of the model: the file has "conv1" …, the model "layer1"',
        cornu.load, path, digits .. "digits.h5", { by_name = true })
  fails("nosuch.h5: no such file", cornu.load, path, "nosuch.h5")
  fails("the file holds no weights", cornu.load, path, path)
  -- the same layer with another number of filters
  local other = model_file({ { "Conv2D", { name = "conv1", filters = 7, kernel_size = 3, use_bias = false } } },
                           { 8, 8, 1 })
  fails('layer "conv1" (Conv2D): kernel is (3, 3, 1, 16) in the file, the config needs (3, 3, 1, 7)', cornu.load, other, digits .. "digits.h5", { by_name = true })
  local model = cornu.load(other, digits .. "digits.h5", { by_name = true, skip_mismatch = true })
  lu.assertEquals(model[1]:weights()[1]:shape(), { 3, 3, 1, 7 })
end

function TestBadInput:testInputs()
  local path = dense()
  local model = cornu.load(path)
  local zeros = cornu.zeros
  fails("the model takes 1 inputs (layer1_input), got 2", model, { zeros { 1, 4 }, zeros { 1, 4 } })
  fails('no input "x": the model has layer1_input', model, { x = zeros { 1, 4 } })
  fails('input "layer1_input" (1 of 1) has shape (4,), expected (?, 4): add the batch dimension', model, zeros { 4 })
  fails('input "layer1_input" (1 of 1) has shape (1, 1, 4), expected (?, 4)', model, zeros { 1, 1, 4 })
  fails('input "layer1_input" (1 of 1) has shape (2, 5), expected (?, 4)', model, zeros { 2, 5 })
  fails(path, model, zeros { 2, 5 })
  fails('input "layer1_input": a tensor or a table of numbers expected, got string', model, "picture.png")
  fails("element [1][1] (string) is no number", model, { { "a", "b", "c", "d" } })
  fails("element [2] has 2 elements, where the first of its kind has 4", model, { { 1, 2, 3, 4 }, { 1, 2 } })
  fails("without input", model)
  fails("batch_size is a number from 1 on", model.predict, model, zeros { 1, 4 }, { batch_size = 0 })
  fails('did you mean "batch_size"?', model.predict, model, zeros { 1, 4 }, { batchsize = 1 })
end

-- As in Keras, NaN and infinities go through the arithmetic, other dtypes are converted, and no rows give no rows.
function TestBadInput:testUnusualInputs()
  local model = cornu.load(dense())
  model[1]:set_weights { cornu.ones { 4, 3 }, { 1, 2, 3 } }
  support.same(model(cornu.full({ 1, 4 }, 0 / 0)), { { 0 / 0, 0 / 0, 0 / 0 } })
  support.same(model { { 1 / 0, 0, 0, 0 } }, { { 1 / 0, 1 / 0, 1 / 0 } })
  support.same(model(cornu.tensor({ { 1, 2, 3, 4 } }, "int64")), { { 11, 12, 13 } })
  support.same(model(cornu.tensor({ { 1, 0, 1, 0 } }, "uint8")), { { 3, 4, 5 } })
  lu.assertEquals(model(cornu.zeros { 0, 4 }):shape(), { 0, 3 })
  lu.assertEquals(model:predict(cornu.zeros { 0, 4 }):shape(), { 0, 3 })
  local network = cornu.load(digits .. "digits.h5")
  lu.assertEquals(network(cornu.zeros { 0, 8, 8, 1 }):shape(), { 0, 10 })
end

function TestBadInput:testConfigs()
  local function refused(message, layers, shape) fails(message, cornu.load, model_file(layers, shape)) end
  refused('layer "layer1" (Dens): unknown layer class (nearest: Dense); give a handler: custom_objects = { Dens = '
    .. "function(x, layer) … end }", { { "Dens", { units = 3 } } })
  refused('layer "layer1" (Dense) > no option "unit" (it has: units, activation, use_bias): did you mean "units"?',
          { { "Dense", { unit = 3 } } })
  refused('layer "layer1" (Dense) > "units" is missing', { { "Dense", {} } })
  refused('"units" is -3, expected an integer from 1 to 268435456', { { "Dense", { units = -3 } } })
  refused('"units" is "x", expected an integer', { { "Dense", { units = "x" } } })
  refused('"units" is 2.5, expected an integer', { { "Dense", { units = 2.5 } } })
  refused('"use_bias" is 3', { { "Dense", { units = 3, use_bias = 3 } } })
  refused('"activation" > unknown activation "foo"', { { "Dense", { units = 3, activation = "foo" } } })
  refused('"kernel_size" is [1, 2, 3], expected an integer from 1 to 1048576, or 2 of them',
          { { "Conv2D", { filters = 1, kernel_size = { 1, 2, 3 } } } }, { 4, 4, 1 })
  refused('"strides" is [null], expected an integer from 1 to 1048576, or 1 of them',
          { { "Conv1D", { filters = 1, kernel_size = 2, strides = { cornu.null } } } }, { 4, 1 })
  refused("input 1 of the model > the shape (?, 1099511627776) has a dimension of more than 17179869184 elements",
          { { "Dense", { units = 3 } } }, { 2 ^ 40 })
  refused('layer "layer1" (Flatten) > the shape (?, 1152921504606846976) has a dimension of more than 17179869184',
          { { "Flatten", {} } }, { 2 ^ 30, 2 ^ 30 })
  refused('"data_format" is "foo", expected one of: channels_last, channels_first',
          { { "Conv2D", { filters = 1, kernel_size = 3, data_format = "foo" } } }, { 4, 4, 1 })
  refused("the window covers 9 positions, the input has 4",
          { { "Conv2D", { filters = 1, kernel_size = 9 } } }, { 4, 4, 1 })
  refused('layer "layer1" (LSTM) > the input has shape (?, 4), expected (batch, time, features)',
          { { "LSTM", { units = 2 } } })
  refused('layer "layer2" (Reshape)', { { "Dense", { units = 3 } }, { "Reshape", { target_shape = { 2, 2 } } } })
  refused("Python code is never run; give a handler in Lua", { { "Lambda", { ["function"] = "x" } } })
  refused('layer "layer1" (Dense) > "dtype" is "float46", expected a dtype or a policy',
          { { "Dense", { units = 3, dtype = "float46" } } })
  refused('"dtype" is 64, expected a dtype', { { "Dense", { units = 3, dtype = 64 } } })
  refused('"dtype" is {"class_name": "Police"', { { "Dense", { units = 3, dtype = { class_name = "Police" } } } })
  refused('"dtype" has a policy for "(a|b)*"', { { "Dense", { units = 3, dtype = { class_name = "DTypePolicyMap",
          config = { policy_map = { ["(a|b)*"] = "float64" } } } } } })
  fails("the model does not say the shape of its input", cornu.load, file(cornu.json.encode {
    class_name = "Sequential", config = { { class_name = "Dense", config = { name = "d", units = 3 } } } }, ".json"))
end

function TestBadInput:testHandlers()
  local path = model_file { { "Foo", { name = "foo" } } }
  local function with(handler) return cornu.load, path, { custom_objects = { Foo = handler } } end
  fails('layer "foo" (Foo) > ', with(function() error "boom" end))
  fails("boom", with(function() error "boom" end))
  fails('the handler of "Foo" returned nil: a tensor or a list of tensors expected', with(function() end))
  fails("the handler of", with(function() return "text" end))
  fails("custom_objects.Foo.call is a number, not a function", with { call = 3 })
end

-- Counts that a model file tells or that data tell.
function TestBadInput:testSegments()
  local function try(segments, ids)
    local function symbol(name, shape, dtype)
      return { class_name = "__keras_tensor__", config = { shape = shape, dtype = dtype, keras_history = { name, 0, 0 } } }
    end
    local function input(name, shape, dtype)
      return { class_name = "InputLayer", module = "keras.layers", name = name,
               inbound_nodes = setmetatable({}, cornu.json.array),
               config = { batch_shape = shape, dtype = dtype, name = name } }
    end
    local layer = { class_name = "SegmentMax", module = "keras.src.ops.math", name = "s",
                    config = { name = "s", num_segments = segments },
                    inbound_nodes = { { args = { symbol("x", { 3, 2 }, "float32"), symbol("ids", { 3 }, "int64") },
                                        kwargs = {} } } }
    local config = { name = "m", layers = { input("x", { 3, 2 }, "float32"), input("ids", { 3 }, "int64"), layer },
                     input_layers = { { "x", 0, 0 }, { "ids", 0, 0 } }, output_layers = { { "s", 0, 0 } } }
    local json = cornu.json.encode { class_name = "Functional", module = "keras.src.models.functional", config = config }
    return cornu.load(file(json, ".json")):predict { cornu.ones(3, 2), cornu.tensor(ids, "int64") }
  end
  lu.assertEquals(try(cornu.null, { 0, 1, 4 }):shape(), { 5, 2 })
  fails("has -2 segments", try, -2, { 0, 1, 4 })
  fails("17179869184", try, 2 ^ 40, { 0, 1, 4 })
  fails("17179869184", try, cornu.null, { 0, 1, 2 ^ 40 })
  fails('layer "s" (SegmentMax) > the largest of "segment_ids" is -3: give "num_segments"', try, cornu.null,
        { -3, -3, -4 })
end

function TestBadInput:testParts()
  local model = cornu.load(dense())
  fails('no layer "conv9" in model "m": model:summary() lists them', model.slice, model, "conv9")
  fails('no layer "conv9" in model "m"', model.layer, model, "conv9")
  fails("no layer 5: the model has 1 layers", function() return model[{ 1, 5 }] end)
  fails("kernel has shape (3, 3), expected (4, 3)", model[1].set_weights, model[1], { cornu.zeros { 3, 3 }, { 0, 0, 0 } })
  fails('layer "layer1" (Dense) has 2 weights, not 1', model[1].set_weights, model[1], { cornu.zeros { 4, 3 } })
end

function TestBadInput:testArrays()
  local t = cornu.zeros { 2 }
  fails("/nosuch/x.npz: No such file or directory", cornu.save_npz, "/nosuch/x.npz", { a = t })
  fails("is not a regular file", cornu.save_npy, "/dev/null", t)
  fails("is not a regular file", cornu.save_npz, "tests", { a = t })
  fails("the NumPy header has no proper dtype", cornu.load_npy, file("\147NUMPY\1\0\10\0{'descr': ", ".npy"))
  fails("Not a zip archive", cornu.load_npz, file("PK\3\4 nothing", ".npz"))
  fails("digits.h5 > cannot open the zip archive", cornu.load_npz, digits .. "digits.h5")
  fails("the file ends too early", cornu.image.load, file("\137PNG\r\n\26\n1234", ".png"))
  fails("Premature end of JPEG file", cornu.image.load, file("\255\216\255\224 broken", ".jpg"))
end

function TestBadInput:testOptions()
  local path = dense()
  fails('backend is "torch"; it may be "theano" or "tensorflow"', cornu.load, path, { backend = "torch" })
  fails('did you mean "custom_objects"?', cornu.load, path, { custom_object = {} })
end
