-- Collects the first inputs of a fuzz target from CASES, tests/models and tests/formats, and a dictionary of the words in their configs.
-- usage: cornu scripts/fuzz_corpus.lua TARGET CASES OUT      writes OUT/corpus/N.EXTENSION and OUT/words
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local cornu = require "cornu"
local host = require "cornu.host"
local files = require "files"
local read, write = files.read, files.write

local target, cases, out = arg[1], arg[2], arg[3]
local MOST = 48 * 1024 -- bytes: mutations of large files rarely hit what matters
local kinds = { h5 = { h5 = true, hdf5 = true }, keras = { keras = true }, flat = { cornu = true, keras = true, h5 = true },
                arrays = { npz = true, npy = true }, rows = { npz = true, npy = true, h5 = true }, idx = { gz = true },
                optimizer = { keras = true, h5 = true },
                json = { json = true, keras = true, h5 = true }, yaml = { json = true, yaml = true, yml = true } }

-- The config of a model file as JSON; nil: it has none, or does not load.
local function config_of(path, extension)
  if extension == "json" then return read(path) end
  local ok, model = pcall(cornu.load, path)
  return ok and cornu.json.encode(model.config) or nil
end

-- The same model as a flat file; nil: it does not load.
local function flat_of(path)
  local ok, model = pcall(cornu.load, path)
  if not ok then return nil end
  model:save(out .. "/seed.cornu")
  local content = read(out .. "/seed.cornu")
  os.remove(out .. "/seed.cornu")
  return content
end

local count, words = 0, {}
local function add(path, extension)
  local content
  if target == "flat" and extension ~= "cornu" then content = flat_of(path)
  elseif target == "json" then content = config_of(path, extension) else content = read(path) end
  if not content or #content > MOST then return end
  count = count + 1
  write(("%s/corpus/%05d.%s"):format(out, count, target == "json" and "json" or target == "flat" and "cornu" or extension),
    content)
  if target == "arrays" or target == "idx" then return end
  for word in content:gmatch '"([%w_]+)\\?"' do
    if #word > 1 and #word < 40 then words[word] = true end
  end
end

local function walk(folder)
  for _, entry in ipairs(host.list(folder) or {}) do
    local path, extension = folder .. "/" .. entry, entry:match "%.([^.]*)$"
    if entry:sub(-1) == "/" then walk(path:sub(1, -2))
    elseif entry ~= "case.json" and kinds[target][extension] then add(path, extension) end
  end
end

-- Trained models, as their files keep the optimizer.
local function add_trained()
  for _, optimizer in ipairs { "sgd", "adam", "rmsprop" } do
    local model = cornu.Sequential { cornu.layers.Dense { 2, input_shape = { 3 } } }
    model:compile { optimizer = optimizer, loss = "mse" }
    model:train_on_batch(cornu.ones(2, 3), cornu.ones(2, 2))
    for _, way in ipairs { { "keras" }, { "h5", 2 }, { "h5", 3 } } do
      local path = os.tmpname() .. "." .. way[1]
      model:save(path, { keras = way[2] })
      add(path, way[1])
      os.remove(path)
    end
  end
end

if target == "optimizer" then add_trained() end
if target == "idx" then walk "tests/digits" end
walk "tests/formats"
if cases ~= "tests/models" then walk(cases) end
walk "tests/models"
local list = {}
for word in pairs(words) do list[#list + 1] = '"' .. word .. '"' end
table.sort(list)
write(out .. "/words", table.concat(list, "\n") .. "\n")
print(("%d inputs for the target %s"):format(count, target))
