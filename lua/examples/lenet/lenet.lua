#!/usr/bin/env cornu
-- BigDL's example: a network that Keras 1.2.2 defined (channels first), trained on pictures of digits.
-- usage: cornu lenet.lua [FOLDER [EPOCHS]]: a folder with MNIST's files, plain or .gz; else digits that were drawn for tests
local cornu = require "cornu"

local here = arg[0]:match "^(.*)/[^/]*$" or "."
local folder, epochs = arg[1] or here .. "/../../../tests/digits", tonumber(arg[2] or 12)

local function file(name)
  for _, path in ipairs { folder .. "/" .. name, folder .. "/" .. name .. ".gz" } do
    local f = io.open(path)
    if f then
      f:close()
      return path
    end
  end
  error(("%s has no %s"):format(folder, name), 0)
end

local function digits(kind)
  return cornu.data.idx(file(kind .. "-images-idx3-ubyte"), file(kind .. "-labels-idx1-ubyte"),
    { data_format = "channels_first" })
end

local train, test = digits "train", digits "t10k"
print(("%d digits to train on, %d to test"):format(train.rows, test.rows))

local model = cornu.load_keras(here .. "/lenet.json")
print(model:summary())
model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
model:fit(train, nil, { batch_size = 32, epochs = epochs, validation_data = test })

local result = model:evaluate(test, nil, { verbose = 0 })
print(("Test accuracy: %.2f %%"):format(100 * result.accuracy))
