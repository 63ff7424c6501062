-- What BigDL's users do: a definition of Keras 1.2.2, trained. Here on a part of the digits; the example takes all.
local lu = require "luaunit"
local cornu = require "cornu"

TestLenet = {}

local json = "lua/examples/lenet/lenet.json"

local function digits(kind, n)
  local folder = "tests/digits/" .. kind
  return cornu.data.idx(folder .. "-images-idx3-ubyte.gz", folder .. "-labels-idx1-ubyte.gz",
    { data_format = "channels_first" }):take(n)
end

function TestLenet:testLearnsDigits()
  cornu.manual_seed(1)
  local model = cornu.load_keras(json)
  model:compile{ optimizer = { class_name = "Adam", config = { learning_rate = 0.003 } },
                 loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
  local test = digits("t10k", 300)
  local before = model:evaluate(test, nil, { verbose = 0 })
  model:fit(digits("train", 1200), nil, { batch_size = 32, epochs = 3, verbose = 0, seed = 1 })
  local after = model:evaluate(test, nil, { verbose = 0 })
  lu.assertTrue(before.accuracy < 0.3 and after.accuracy > 0.6, ("%g, then %g"):format(before.accuracy, after.accuracy))
end

function TestLenet:testLoadKeras()
  lu.assertEquals(cornu.load_keras{ json_path = json }.inputs[1].shape, { -1, 1, 28, 28 })
  lu.assertEquals(#cornu.load_keras(nil, "lua/examples/digits/digits.h5"), #cornu.load "lua/examples/digits/digits.h5")
  lu.assertErrorMsgContains('no option "path"', cornu.load_keras, { path = json })
end
