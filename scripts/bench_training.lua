-- Samples per second of training, as `peers_bench.py train` measures Keras: one line of JSON for each model and number of
-- threads.
-- usage: build/cornu scripts/bench_training.lua FOLDER [seconds [threads [model …]]]: FOLDER holds the models of peers_bench.py
local cornu = require "cornu"
local core = require "cornu.core"

local folder, seconds, threads = arg[1], tonumber(arg[2] or 5), arg[3] or "1,2"
local setups = {
  mlp = { batch = 128, x = { 24 }, y = { 4 }, loss = "mse" },
  mnist_cnn = { batch = 128, x = { 28, 28, 1 }, classes = 10, loss = "sparse_categorical_crossentropy" },
  imdb_lstm = { batch = 32, x = { 80 }, words = 20000, classes = 2, y = { 1 }, loss = "binary_crossentropy" },
  resnet50 = { batch = 8, x = { 224, 224, 3 }, classes = 1000, loss = "sparse_categorical_crossentropy" },
}

local function with_batch(n, shape)
  local all = { n }
  for _, size in ipairs(shape) do all[#all + 1] = size end
  return all
end

local function make(s)
  local x = cornu.rand(with_batch(s.batch, s.x))
  if s.words then x = (x * s.words):floor():int() end
  local y = cornu.rand(with_batch(s.batch, s.y or {}))
  if s.classes then y = (y * s.classes):floor() end
  return x, s.y and y or y:int()
end

local function run(name)
  local s = setups[name]
  local x, y = make(s)
  local model, loss = cornu.load(folder .. "/" .. name .. ".keras"), cornu.losses.get(s.loss)
  local trainer = core.new_trainer(model, "adam", function(out, given) return { loss(given[1], out[1]) } end, 0)
  for _ = 1, 2 do trainer:batch(true, { x }, { y }) end
  local times, start = {}, cornu.clock()
  repeat
    local t = cornu.clock()
    trainer:batch(true, { x }, { y })
    times[#times + 1] = cornu.clock() - t
  until cornu.clock() - start > seconds and #times > 2
  table.sort(times)
  return s.batch / times[math.ceil(#times / 2)], s.batch / times[1], #times
end

local names = { select(4, (table.unpack or unpack)(arg)) }
if #names == 0 then names = { "mlp", "mnist_cnn", "imdb_lstm", "resnet50" } end
for _, name in ipairs(names) do
  for n in threads:gmatch "%d+" do
    cornu.set_threads(tonumber(n))
    local median, best, count = run(name)
    print(cornu.json.encode { model = name, threads = tonumber(n), batch = setups[name].batch, samples_s = median, best = best,
                              n = count })
  end
end
