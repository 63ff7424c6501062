-- Datasets: rows, orders, what is told of rows that do not fit; Keras's helpers.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestData = {}

-- What a pass gives, joined again: x, y as tables, and the number of batches.
local function pass(ds, opts)
  local xs, ys, n = {}, {}, 0
  for x, y in ds:batches(opts) do
    n = n + 1
    for _, v in ipairs(x:totable()) do xs[#xs + 1] = v end
    for _, v in ipairs(y and y:totable() or {}) do ys[#ys + 1] = v end
  end
  return xs, ys, n
end

function TestData:testSlices()
  local x = cornu.arange(10)
  local ds = cornu.data.tensors(x, x * 2)
  lu.assertEquals(ds.rows, 10)
  local xs, ys, n = pass(ds, { batch_size = 4 })
  lu.assertEquals({ xs, n }, { x:totable(), 3 })
  lu.assertEquals(ys, (x * 2):totable())
  lu.assertEquals({ select(3, pass(ds, { batch_size = 4, drop_remainder = true })) }, { 2 })
  x[3] = 99 -- a view: no copy was made
  lu.assertEquals(pass(ds)[3], 99)
end

function TestData:testShuffle()
  local x = cornu.arange(1000)
  local ds = cornu.data.tensors(x, x * 2)
  local first, twice = pass(ds, { shuffle = true, seed = 1, epoch = 1 })
  for i, v in ipairs(first) do lu.assertEquals(twice[i], 2 * v) end
  lu.assertEquals(pass(ds, { shuffle = true, seed = 1, epoch = 1, batch_size = 7 }), first)
  lu.assertNotEquals(pass(ds, { shuffle = true, seed = 1, epoch = 2 }), first)
  lu.assertNotEquals(pass(ds, { shuffle = true, seed = 2, epoch = 1 }), first)
  table.sort(first)
  lu.assertEquals(first, x:totable())
  local part = pass(ds:skip(10):take(5), { shuffle = true })
  table.sort(part)
  lu.assertEquals(part, { 10, 11, 12, 13, 14 })
  local small = pass(cornu.data.tensors(cornu.arange(10)), { shuffle = true, seed = 7, epoch = 0 })
  lu.assertEquals(small, { 3, 8, 9, 4, 6, 7, 2, 5, 1, 0 }) -- the same on every machine and Lua
end

function TestData:testForms()
  local a, b = cornu.arange(6), cornu.arange(12):reshape(6, 2)
  for x, y, w in cornu.data.tensors({ a, b }, { left = a, right = b }, a):batches{ batch_size = 4, shuffle = true } do
    lu.assertTrue(x[1]:allclose(y.left))
    lu.assertTrue((x[1] * 2):allclose(y.right:slice(2, 1, 1):reshape(-1)))
    lu.assertTrue(w:allclose(x[1]))
  end
  local x = cornu.data.tensors({ { 1, 2 }, { 3, 4 } }, { 5, 6 }):batches()()
  same(x, { { 1, 2 }, { 3, 4 } })
  fails("y.b has 3 rows, x has 6", cornu.data.tensors, a, { b = cornu.zeros(3) })
  fails("x has no rows", cornu.data.tensors, cornu.tensor(3))
  fails("y is a number", cornu.data.tensors, a, 3)
  fails("there is no x", cornu.data.tensors)
  local ds = cornu.data.tensors(a)
  fails("batch_size is 0", ds.batches, ds, { batch_size = 0 })
  fails('did you mean "shuffle"', ds.batches, ds, { shufle = true })
end

function TestData:testSplit()
  local ds = cornu.data.tensors(cornu.arange(10))
  local train, validation = ds:split(0.25)
  lu.assertEquals({ train.rows, validation.rows }, { 7, 3 })
  lu.assertEquals(pass(validation), { 7, 8, 9 })
  lu.assertEquals(pass(train:skip(5)), { 5, 6 })
  fails("too few", ds.split, ds, 0.999)
  fails("between 0 and 1", ds.split, ds, 1)
end

function TestData:testGenerator()
  local passes = {}
  local ds = cornu.data.generator(function(opts)
    passes[#passes + 1] = opts.epoch
    local i = 0
    return function()
      i = i + 1
      if i <= 5 then return cornu.full({ 2 }, i), cornu.full({ 2 }, -i) end
    end
  end)
  local xs, ys, n = pass(ds, { epoch = 3 })
  lu.assertEquals({ xs, n }, { { 1, 1, 2, 2, 3, 3, 4, 4, 5, 5 }, 5 })
  lu.assertEquals(ys, { -1, -1, -2, -2, -3, -3, -4, -4, -5, -5 })
  lu.assertEquals(pass(ds:skip(1):take(3):skip(1)), { 3, 3, 4, 4 })
  lu.assertEquals(pass(ds:take(9):skip(9)), {})
  lu.assertEquals(passes, { 3, 1, 1 })
  local left = 3
  local counted = cornu.data.generator(function()
    left = left - 1
    if left >= 0 then return cornu.full({ 1 }, left) end
  end)
  lu.assertEquals(pass(counted:map(function(x) return x * 10 end)), { 20, 10, 0 })
  fails("a function expected", cornu.data.generator, {})
  fails("does not tell how many", counted.split, counted, 0.5)
  local nothing = ds:map(function() end)
  fails("the function returned nothing", nothing:batches())
end

-- All rows once, x and y of the same row together, whatever the order.
local function check_files(ds, x)
  for epoch = 1, 2 do
    for _, shuffle in ipairs{ false, true } do
      local xs, ys = pass(ds, { batch_size = 7, shuffle = shuffle, epoch = epoch })
      for i, row in ipairs(xs) do lu.assertEquals(row[2], 2 * ys[i]) end
      if shuffle then lu.assertNotEquals(ys, x:slice(2, 1, 1):reshape(-1):totable()) end
      table.sort(ys)
      lu.assertEquals(ys, x:slice(2, 1, 1):reshape(-1):totable())
    end
  end
end

function TestData:testFiles()
  local x = cornu.stack({ cornu.arange(50), cornu.arange(50) * 2 }, 2)
  local y = cornu.arange(50):cast "int32"
  local stored, packed = support.file(nil, ".npz"), support.file(nil, ".npz")
  local x_path, y_path = support.file(nil, ".npy"), support.file(nil, ".npy")
  cornu.save_npz(stored, { x = x, y = y })
  cornu.save_npz(packed, { x = x, y = y }, { compress = true })
  cornu.save_npy(x_path, x)
  cornu.save_npy(y_path, y)
  check_files(cornu.data.npz(stored, { x = "x", y = "y" }), x)
  check_files(cornu.data.npz(packed, { x = "x", y = "y" }), x)
  check_files(cornu.data.npy(x_path, y_path), x)
  local both = cornu.data.npz(packed, { x = { "x", "y" }, w = { w = "y" } }):skip(40):batches()
  local list, none, weights = both()
  lu.assertEquals({ #list[1], list[2]:totable()[1], none, weights.w:totable()[1] }, { 10, 40, nil, 40 })
  local names = cornu.data.arrays(stored)
  table.sort(names, function(a, b) return a.name < b.name end)
  lu.assertEquals({ names[1].name, names[1].shape, names[2].dtype }, { "x", { 50, 2 }, "int32" })
  fails("no such array", cornu.data.npz, stored, { x = "z" })
  fails("a .npy file holds one array", cornu.data.npz, x_path, { x = "z" })
  fails("name one", cornu.data.npy, stored)
  cornu.save_npy(y_path, y:slice(1, 1, 49))
  fails("y has 49 rows, x has 50", cornu.data.npy, x_path, y_path)
  support.clean()
end

function TestData:testHdf5()
  local ds = cornu.data.hdf5("tests/formats/packed.h5", { x = "gzip", y = { "plain", "shuffle" } })
  lu.assertEquals(ds.rows, 7)
  for x, y in ds:batches{ batch_size = 3, shuffle = true } do
    lu.assertTrue(x:allclose(y[1], 0, 0) and x:allclose(y[2], 0, 0))
  end
  fails('"nothing"', cornu.data.hdf5, "tests/formats/packed.h5", { x = "nothing" })
  fails("trusted = true", cornu.data.hdf5, "tests/formats/kinds.h5", { x = "packed" })
  lu.assertEquals(cornu.data.hdf5("tests/formats/kinds.h5", { x = "packed", trusted = true }).rows, 50)
end

function TestData:testBackground()
  local path = support.file(nil, ".npz")
  local x = cornu.arange(3000):reshape(1000, 3)
  cornu.save_npz(path, { x = x })
  local ds = cornu.data.npz(path, { x = "x" }):prefetch(3)
  local direct = ds:prefetch(0)
  for _, opts in ipairs{ { batch_size = 64 }, { batch_size = 100, shuffle = true, seed = 4 } } do
    lu.assertEquals(pass(ds, opts), pass(direct, opts))
  end
  for i = 1, 30 do -- loops that break off, and iterators that nobody calls
    for part in ds:batches{ batch_size = 10 } do
      if #part == 10 then break end
    end
    ds:batches{ batch_size = i }
    if i % 10 == 0 then collectgarbage() end
  end
  local iterator = ds:batches{ batch_size = 400, drop_remainder = true }
  ds, direct = nil, nil
  collectgarbage()
  lu.assertEquals(#iterator(), 400)
  lu.assertEquals(#iterator(), 400)
  lu.assertNil(iterator())
  support.clean()
end

-- A folder with the pictures {["a/1.png"] = grey value}.
local function folder_of(pictures)
  local folder = support.file()
  for name, value in pairs(pictures) do
    os.execute(("mkdir -p '%s/%s'"):format(folder, name:match "^(.*)/" or "."))
    if value then cornu.image.save(folder .. "/" .. name, cornu.full({ 4, 6, 3 }, value, "uint8")) end
  end
  return folder
end

local function remove(folder) os.execute(("rm -r '%s'"):format(folder)) end

function TestData:testImages()
  local folder = folder_of{ ["b/1.png"] = 10, ["b/in/2.PNG"] = 20, ["a/3.png"] = 30, ["a/4.png"] = 40,
                            [".no/5.png"] = 50, ["6.png"] = 60 }
  local ds = cornu.data.images(folder, { size = { 2, 3 }, shuffle = false })
  lu.assertEquals({ ds.rows, ds.class_names }, { 4, { "a", "b" } })
  lu.assertStrContains(ds.file_paths[4], "b/in/2.PNG")
  local x, y = ds:batches{ shuffle = true }() -- shuffle = false stays
  lu.assertEquals({ x:shape(), x:dtype(), y:dtype() }, { { 4, 2, 3, 3 }, "float32", "int32" })
  same(x[{ {}, 1, 1, 1 }], { 30, 40, 10, 20 })
  same(y, { 0, 0, 1, 1 })
  for x1, y1 in cornu.data.images(folder, { size = 3, batch_size = 3, mode = "unit", label_mode = "binary",
                                            channels = 1 }):batches() do
    lu.assertEquals(x1:shape(), { #x1, 3, 3, 1 })
    for i = 1, #x1 do lu.assertEquals(x1[i]:min():item() * 255 < 25, y1[i]:item() == 1) end
  end
  local classes = cornu.data.images(folder, { classes = { "b" }, label_mode = "categorical", shuffle = false,
                                              augment = function(t) return -t end })
  x, y = classes:batches()()
  same(x[{ {}, 1, 1, 1 }], { -10, -20 })
  same(y, { { 1 }, { 1 } })
  local noise = cornu.Sequential{ cornu.Input{ shape = { 4, 6, 3 } }, cornu.layers.GaussianNoise{ 5 } }
  local noisy = cornu.data.images(folder, { size = { 4, 6 }, shuffle = false, augment = noise })
  local once, twice = noisy:batches()()[1], noisy:batches()()[1]
  lu.assertTrue((once - 30):abs():max():item() > 1 and (once - 30):abs():mean():item() < 10)
  lu.assertFalse(once:allclose(twice))
  lu.assertEquals(cornu.data.images(folder, { label_mode = false }).rows, 6)
  fails('has no folder "c"', cornu.data.images, folder, { classes = { "c" } })
  fails("needs subset", cornu.data.images, folder, { validation_split = 0.5 })
  fails("holds no PNG", cornu.data.images, folder .. "/a", {})
  fails("nowhere", cornu.data.images, "/nowhere")
  remove(folder)
end

-- tests/pictures: sizes, proportions, interpolations and modes as Keras's image_dataset_from_directory.
function TestData:testPicturesAsKeras()
  local folder = "tests/pictures"
  local file = assert(io.open(folder .. "/pictures.json"))
  local want = cornu.load_npz(folder .. "/pictures.npz")
  for i, case in ipairs(cornu.json.decode(file:read "a")) do
    case.shuffle = false
    local x = cornu.data.images(folder, case):batches()()
    local error = (x - want[tostring(i)]):abs():max():item()
    -- grey is rounded as Keras's load_img does, one step away from TensorFlow's decoder
    lu.assertTrue(error < (case.channels == 1 and 1.001 or 1e-3), ("case %d is off by %g"):format(i, error))
  end
  file:close()
  fails("are both true", cornu.data.images, folder, { crop_to_aspect_ratio = true, pad_to_aspect_ratio = true })
  fails("needs 3 channels", cornu.data.images, folder, { mode = "caffe", channels = 1 })
end

-- Augmented pictures in a fit, with whom labels are mixed.
function TestData:testAugmentedPictures()
  local folder, L = "tests/pictures", cornu.layers
  local flips = cornu.Sequential{ cornu.Input{ shape = { 6, 8, 3 } }, L.RandomFlip "horizontal", L.RandomRotation{ 0.05 } }
  local ds = cornu.data.images(folder, { size = { 6, 8 }, mode = "unit", batch_size = 3, augment = flips, seed = 2 })
  local m = cornu.Sequential{ cornu.Input{ shape = { 6, 8, 3 } }, L.Flatten{}, L.Dense{ 2, activation = "softmax" } }
  m:compile{ optimizer = cornu.optimizers.Adam{ 0.02 }, loss = "sparse_categorical_crossentropy" }
  local losses = m:fit(ds, { epochs = 30, verbose = 0 }).history.loss
  lu.assertTrue(losses[30] < 0.7 * losses[1])
  -- images that hold their class in all pixels: what is mixed shows in both
  local x = cornu.eye(6):reshape(6, 1, 1, 6) + cornu.zeros(6, 5, 4, 6)
  for _, mix in ipairs { cornu.data.mix_up{ alpha = 1 }, cornu.data.cut_mix{ factor = { 1, 1 } } } do
    local made = 0
    for new_x, new_y in cornu.data.tensors(x, cornu.eye(6)):map(mix):batches{ batch_size = 4 } do
      lu.assertTrue(new_x:mean({ 2, 3 }):allclose(new_y, 1e-5, 1e-5))
      lu.assertTrue((new_y:sum(2) - 1):abs():max():item() < 1e-5)
      made = made + cornu.cast(new_y:gt(0.01), "float32"):sum():item()
    end
    lu.assertTrue(made > 6 and made <= 12)
    fails("one-hot", mix, x, cornu.arange(6))
  end
end

-- The files that keras.utils.image_dataset_from_directory(seed=7, validation_split=0.3) chooses of these.
function TestData:testSubsetsAsKeras()
  local pictures = {}
  for i = 0, 9 do pictures[("%s/%d.png"):format(i < 5 and "a" or "b", i)] = i end
  local folder = folder_of(pictures)
  local function negative(x) return -x end
  local function made(subset)
    return cornu.data.images(folder, { seed = 7, validation_split = 0.3, subset = subset, augment = negative })
  end
  local function numbers(ds)
    local out = {}
    for i, path in ipairs(ds.file_paths) do out[i] = tonumber(path:match "(%d)%.png$") end
    return out
  end
  lu.assertEquals(numbers(made "training"), { 8, 5, 0, 2, 1, 9, 7 })
  lu.assertEquals(numbers(made "validation"), { 3, 6, 4 })
  local training, validation = made "both"
  lu.assertEquals(numbers(training), { 8, 5, 0, 2, 1, 9, 7 })
  lu.assertEquals(numbers(validation), { 3, 6, 4 })
  lu.assertEquals(training:batches()():max():item(), 0)
  lu.assertTrue(validation:batches()():min():item() > 0)
  remove(folder)
end

function TestData:testDamagedImages()
  local folder = folder_of{ ["a/1.png"] = 1, ["a/2.png"] = 2, ["b/3.png"] = 3, ["b/4.png"] = false }
  local f = io.open(folder .. "/b/4.png", "w")
  f:write "no picture"
  f:close()
  fails("b/4.png: neither PNG nor JPEG", pass, cornu.data.images(folder, { size = 4 }))
  local ds = cornu.data.images(folder, { size = 4, skip_errors = true, batch_size = 1 })
  for _, n in ipairs{ 0, 2 } do
    local xs, ys = pass(ds:prefetch(n):map(function(x, y) return x:max{ 2, 3, 4 }, y end))
    table.sort(xs)
    table.sort(ys)
    lu.assertEquals({ xs, ys }, { { 1, 2, 3 }, { 0, 0, 1 } })
  end
  remove(folder)
end

local function big_endian(n) return string.char(0, 0, math.floor(n / 256), n % 256) end

function TestData:testIdx()
  local function idx(...) return support.file(table.concat{ ... }) end
  local images = idx("\0\0\8\3", big_endian(2), big_endian(1), big_endian(3), string.char(0, 51, 102, 153, 204, 255))
  local labels = idx("\0\0\8\1", big_endian(2), "\7\9")
  same(cornu.load_idx(images), { { { 0, 51, 102 } }, { { 153, 204, 255 } } }, "uint8")
  local x, y = cornu.data.idx(images, labels, { data_format = "channels_first" }):batches()()
  same(x, { { { { 0, 0.2, 0.4 } } }, { { { 0.6, 0.8, 1 } } } }, "float32")
  same(y, { 7, 9 })
  same(cornu.load_idx(idx("\0\0\11\1", big_endian(2), "\1\2\255\254")), { 258, -2 }, "int16")
  fails("ends too early", cornu.load_idx, idx("\0\0\8\1", big_endian(2), "\1"))
  fails("goes on behind", cornu.load_idx, idx("\0\0\8\1", big_endian(1), "\1\1"))
  fails("not an idx file", cornu.load_idx, idx "something else")
  fails("larger than the limit", cornu.load_idx, idx("\0\0\8\2", ("\255"):rep(8)))
  fails("more than the file can hold", cornu.load_idx, idx("\0\0\8\1", "\127\255\255\255ab"))
  local digits = cornu.load_idx "tests/digits/t10k-labels-idx1-ubyte.gz" -- packed
  lu.assertEquals({ digits:shape(), digits:max():item() }, { { 2000 }, 9 })
  support.clean()
end

function TestData:testCsv()
  local path = support.file 'a,b,"label"\n1,2,0\n3,4.5,1\n'
  local ds = cornu.data.csv(path, { target = "label" })
  local x, y = ds:batches()()
  same(x, { { 1, 2 }, { 3, 4.5 } })
  same(y, { 0, 1 })
  lu.assertEquals(ds.column_names, { "a", "b", "label" })
  x, y = cornu.data.csv(support.file "1;2;3\r\n4;5;6\r\n", { separator = ";", target = { 1, 2 } }):batches()()
  same(x, { { 3 }, { 6 } })
  same(y, { { 1, 2 }, { 4, 5 } })
  same(cornu.data.csv(path, { columns = { "b" } }):batches()(), { { 2 }, { 4.5 } })
  fails('has no column "c"', cornu.data.csv, path, { target = "c" })
  fails("line 2: column 2 is no number: x", cornu.data.csv, support.file "1,2\n3,x\n")
  fails("line 2: 1 columns", cornu.data.csv, support.file "1,2\n3\n")
  support.clean()
end

-- What Keras 3 gives for the same.
function TestData:testSequences()
  same(cornu.to_categorical{ 1, 0, 2 }, { { 0, 1, 0 }, { 1, 0, 0 }, { 0, 0, 1 } }, "float32")
  same(cornu.to_categorical({ { 1 }, { 0 } }, 3), { { 0, 1, 0 }, { 1, 0, 0 } })
  fails("label 3 of 3 classes", cornu.to_categorical, { 0, 3 }, 3)
  local list = { { 1 }, { 2, 3 }, { 4, 5, 6 } }
  same(cornu.pad_sequences(list), { { 0, 0, 1 }, { 0, 2, 3 }, { 4, 5, 6 } }, "int32")
  same(cornu.pad_sequences(list, { maxlen = 2, padding = "post", truncating = "post", value = -1 }),
    { { 1, -1 }, { 2, 3 }, { 4, 5 } })
  list = { { { 1, 2 } }, {}, { { 3, 4 }, { 5, 6 }, { 7, 8 } } }
  same(cornu.pad_sequences(list, { maxlen = 2, dtype = "float32", value = 0.5 }),
    { { { 0.5, 0.5 }, { 1, 2 } }, { { 0.5, 0.5 }, { 0.5, 0.5 } }, { { 5, 6 }, { 7, 8 } } }, "float32")
end

function TestData:testTimeseries()
  local a = cornu.arange(20)
  local function windows(...)
    local out = {}
    for x, y in cornu.timeseries(...):batches() do
      out[#out + 1] = x:totable()
      out[#out + 1] = y and y:totable()
    end
    return out
  end
  lu.assertEquals(windows(a, a * 2, { sequence_length = 4, sequence_stride = 3, sampling_rate = 2, batch_size = 3 }),
    { { { 0, 2, 4, 6 }, { 3, 5, 7, 9 }, { 6, 8, 10, 12 } }, { 0, 6, 12 },
      { { 9, 11, 13, 15 }, { 12, 14, 16, 18 } }, { 18, 24 } })
  -- Keras: start_index=4, end_index=15
  lu.assertEquals(windows(a, a * 2, { sequence_length = 3, sequence_stride = 2, start_index = 5, end_index = 15 }),
    { { { 4, 5, 6 }, { 6, 7, 8 }, { 8, 9, 10 }, { 10, 11, 12 }, { 12, 13, 14 } }, { 8, 12, 16, 20, 24 } })
  lu.assertEquals(windows(a:reshape(10, 2), nil, { sequence_length = 2, sequence_stride = 3 }),
    { { { { 0, 1 }, { 2, 3 } }, { { 6, 7 }, { 8, 9 } }, { { 12, 13 }, { 14, 15 } } } })
  lu.assertEquals(#windows(a, a:slice(1, 1, 6), { sequence_length = 3 })[2], 6)
  fails("fewer than a window", cornu.timeseries, a, nil, { sequence_length = 30 })
end
