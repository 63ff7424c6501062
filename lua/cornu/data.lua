-- Datasets: where training takes its batches from. A dataset is a table with a method batches{batch_size =, shuffle =,
-- seed =, epoch =}, which gives an iterator over x, y, w: each a tensor, a list of tensors, a table by name, or nil.
local core = require "cornu.core"
local options = require "cornu.options"

local batch_options = { "batch_size", "drop_remainder", "epoch", "seed", "shuffle" }

return function(cornu)
  local data, dataset = {}, { __help = "data" }
  dataset.__index = dataset

  local function whole(v, least, what)
    if type(v) ~= "number" or v % 1 ~= 0 or v < least then
      core.fail(("%s is %s; a whole number from %d on expected"):format(what, tostring(v), least))
    end
    return v
  end

  -- ---- tensors, lists and tables of them ----

  local function is_leaf(v) return type(v) ~= "table" end

  -- The same form with f(leaf, its name in messages) in the place of each leaf.
  local function each(v, f, name)
    if v == nil then return nil end
    if is_leaf(v) then return f(v, name) end
    local out = {}
    for key, leaf in pairs(v) do
      out[key] = f(leaf, name and (type(key) == "number" and "%s[%d]" or "%s.%s"):format(name, key))
    end
    return out
  end

  -- Tables of numbers become tensors.
  local function to_tensors(v, name)
    if v == nil or core.type(v) == "tensor" then return v end
    if type(v) ~= "table" then
      core.fail(("data: %s is a %s; a tensor, a list of tensors or a table by name expected"):format(name, type(v)))
    end
    local tensors, others = 0, 0
    for _, leaf in pairs(v) do
      if core.type(leaf) == "tensor" then tensors = tensors + 1 else others = others + 1 end
    end
    if tensors == 0 then return cornu.tensor(v) end
    if others > 0 then core.fail(("data: %s holds tensors and other things"):format(name)) end
    return v
  end

  -- The number of rows that all leaves have; sizes(leaf) → rows. what: "data.tensors".
  local function common_rows(columns, size, what)
    local rows, owner
    for i, name in ipairs { "x", "y", "w" } do
      each(columns[i], function(leaf, at)
        local n = size(leaf, at)
        if rows and n ~= rows then
          core.fail(("%s: %s has %d rows, %s has %d"):format(what, at, n, owner, rows))
        end
        rows, owner = n, at
      end, name)
    end
    if not rows then core.fail(what .. ": there is no x") end
    return rows
  end

  -- ---- datasets of rows ----

  -- source: read(first, last) → x, y, w and pick(positions) → x, y, w; block, in_order: how it likes to be shuffled
  -- (see core.order); load(positions or nil, first, rows, size, ahead) → iterator, loader: the same in the background.
  local function of_rows(source, rows, defaults)
    local ds = { source = source, first = 1, rows = rows, maps = {} }
    for key, value in pairs(defaults or {}) do ds[key] = value end
    return setmetatable(ds, dataset)
  end

  local function derived(ds, changes)
    local out = {}
    for key, value in pairs(ds) do out[key] = value end
    for key, value in pairs(changes) do out[key] = value end
    return setmetatable(out, getmetatable(ds))
  end

  -- Positions of the source's rows in the order of a pass; nil: as they are.
  local function order_of(ds, opts)
    if not opts.shuffle then return nil end
    local source = ds.source
    return core.order(ds.first, ds.rows, opts.seed, opts.epoch, source.block, source.in_order)
  end

  local function row_batches(ds, opts)
    local order, source, at, size = order_of(ds, opts), ds.source, 0, opts.batch_size
    local rows = opts.drop_remainder and ds.rows - ds.rows % size or ds.rows
    if source.load and ds.ahead > 0 and core.background() then return source.load(order, ds.first, rows, size, ds.ahead) end
    return function()
      if at >= rows then return nil end
      local from, to = at + 1, math.min(at + size, rows)
      at = to
      if order then return source.pick(order:slice(1, from, to)) end
      return source.read(ds.first + from - 1, ds.first + to - 1)
    end
  end

  -- ---- datasets of a function ----

  -- f gives an iterator (and its state, as for `for`) at each pass, or is itself called for each batch.
  local function steps_of(ds, opts)
    local x, y, w = ds.f(opts)
    if type(x) == "function" then
      local step, state, control = x, y, w
      return function()
        local a, b, c = step(state, control)
        control = a
        return a, b, c
      end
    end
    local begun = false
    return function()
      if begun then return ds.f(opts) end
      begun = true
      return x, y, w
    end
  end

  local function function_batches(ds, opts)
    local step, skip, left = steps_of(ds, opts), ds.skipped, ds.taken
    return function()
      for _ = 1, skip do
        if step() == nil then left = 0 end
      end
      skip = 0
      if left == 0 then return nil end
      left = left - 1
      return step()
    end
  end

  -- ---- methods ----

  local function pass_options(ds, opts)
    opts = options.check(opts, batch_options, "batches")
    local function choose(name, standard)
      if opts[name] ~= nil then return opts[name] end
      if rawget(ds, name) ~= nil then return rawget(ds, name) end
      return standard
    end
    return { batch_size = whole(choose("batch_size", 32), 1, "batches: batch_size"),
             epoch = whole(choose("epoch", 1), 0, "batches: epoch"),
             seed = whole(choose("seed", 0), 0, "batches: seed"),
             -- a dataset that was made not to be shuffled stays so: fit asks for it unless told otherwise
             shuffle = rawget(ds, "shuffle") ~= false and choose("shuffle", false),
             drop_remainder = choose("drop_remainder", false) }
  end

  -- ds:batches{batch_size = 32, shuffle = false, seed = 0, epoch = 1, drop_remainder = false} → iterator over x, y, w
  function dataset.batches(ds, opts)
    local passing = pass_options(ds, opts)
    local step, loader = (ds.f and function_batches or row_batches)(ds, passing)
    for _, f in ipairs(ds.maps) do
      local before = step
      step = function()
        local x, y, w = before()
        if x == nil then return nil end
        x, y, w = f(x, y, w)
        if x == nil then core.fail "map: the function returned nothing" end
        return x, y, w
      end
    end
    return step, nil, nil, loader -- which Lua 5.4 closes when a loop breaks off
  end

  -- ds:map(f) → dataset of f(x, y, w), batch by batch
  function dataset.map(ds, f)
    if type(f) ~= "function" then core.fail "map: a function of x, y, w expected" end
    local maps = {}
    for i, g in ipairs(ds.maps) do maps[i] = g end
    maps[#maps + 1] = f
    return derived(ds, { maps = maps })
  end

  -- ds:take(n): the first n rows; of a function: the first n batches
  function dataset.take(ds, n)
    whole(n, 0, "take: the number")
    if ds.f then return derived(ds, { taken = math.min(ds.taken, n) }) end
    return derived(ds, { rows = math.min(ds.rows, n) })
  end

  -- ds:skip(n): all but the first n rows; of a function: batches
  function dataset.skip(ds, n)
    whole(n, 0, "skip: the number")
    if ds.f then return derived(ds, { skipped = ds.skipped + n, taken = math.max(0, ds.taken - n) }) end
    n = math.min(n, ds.rows)
    return derived(ds, { first = ds.first + n, rows = ds.rows - n })
  end

  -- ds:split(fraction) → the first rows, and the last ones: that fraction of all, as Keras's validation_split
  function dataset.split(ds, fraction)
    if ds.f then core.fail "split: a function does not tell how many rows it has; use take and skip" end
    if type(fraction) ~= "number" or not (fraction > 0 and fraction < 1) then
      core.fail(("split: the fraction is %s; it lies between 0 and 1"):format(tostring(fraction)))
    end
    local n = math.floor(ds.rows * (1 - fraction))
    if n == 0 or n == ds.rows then
      core.fail(("split: %d rows are too few for a part of %g"):format(ds.rows, fraction))
    end
    return ds:take(n), ds:skip(n)
  end

  -- ds:prefetch(n): n batches are read ahead in the background (0: none), where they come from files
  function dataset.prefetch(ds, n)
    return derived(ds, { ahead = math.max(whole(n, 0, "prefetch: the number"), ds.least_ahead or 0) })
  end

  -- ---- makers ----

  -- data.tensors(x [, y [, w]]): each a tensor, a list, a table by name, or nil
  function data.tensors(x, y, w)
    local columns = { to_tensors(x, "x"), to_tensors(y, "y"), to_tensors(w, "w") }
    local function all(f) return each(columns[1], f, "x"), each(columns[2], f, "y"), each(columns[3], f, "w") end
    local rows = common_rows(columns, function(t, name)
      if core.type(t) ~= "tensor" or t:rank() == 0 then core.fail(("data.tensors: %s has no rows"):format(name)) end
      return #t
    end, "data.tensors")
    return of_rows({
      read = function(first, last) return all(function(t) return t:slice(1, first, last) end) end,
      pick = function(order) return all(function(t) return t[order] end) end,
    }, rows)
  end

  -- ---- files ----

  -- Rows of files: leaves of the columns are objects of core.open_rows. What is packed together is shuffled together:
  -- blocks of the smallest stretch, which lie within the larger ones.
  local function of_files(columns, what)
    local block, in_order
    local leaves, places = {}, {}
    for i, name in ipairs { "x", "y", "w" } do
      places[i] = each(columns[i], function(leaf)
        leaves[#leaves + 1] = leaf
        return #leaves
      end, name)
    end
    local function all(f) return each(columns[1], f, "x"), each(columns[2], f, "y"), each(columns[3], f, "w") end
    local rows = common_rows(columns, function(leaf)
      local port, stretch, ordered = leaf:port()
      if stretch > 0 then block, in_order = math.min(block or stretch, stretch), in_order or ordered end
      return port.shape[1]
    end, what)
    return of_rows({
      read = function(first, last) return all(function(leaf) return leaf:read(first, last) end) end,
      pick = function(order) return all(function(leaf) return leaf:pick(order) end) end,
      load = function(order, first, n, size, ahead)
        local loader = core.new_loader(leaves, order, first, n, size, ahead)
        return function()
          local tensors = loader:next()
          if not tensors then return nil end
          local function of(place) return tensors[place] end
          return each(places[1], of), each(places[2], of), each(places[3], of)
        end, loader
      end,
      block = block, in_order = in_order,
    }, rows, { ahead = 2 })
  end

  -- A name, a list of them, or a table by name, to rows.
  local function open_columns(path, names, trusted, what)
    local function open(name, at)
      if type(name) ~= "string" then core.fail(("%s: %s is no name of an array"):format(what, at)) end
      return core.open_rows(path, name, trusted)
    end
    return each(names, open, what)
  end

  local file_options = { "trusted", "w", "x", "y" }

  local function of_archive(what)
    return function(path, opts)
      opts = options.check(opts, file_options, what)
      if type(path) ~= "string" then core.fail(what .. ": the path of a file expected") end
      local columns = {}
      for i, name in ipairs { "x", "y", "w" } do
        columns[i] = open_columns(path, opts[name], opts.trusted, what)
      end
      return of_files(columns, what)
    end
  end

  -- data.npz(path, {x = name, y = name, w = name}), data.hdf5(path, {x = path within, …, trusted =}): rows are read
  -- batch by batch; a name, a list of names, or a table by name
  data.npz, data.hdf5 = of_archive "data.npz", of_archive "data.hdf5"

  -- data.npy(x [, y [, w]]): paths of .npy files
  function data.npy(x, y, w)
    return of_files({ x and core.open_rows(x), y and core.open_rows(y), w and core.open_rows(w) }, "data.npy")
  end

  -- data.arrays(path [, {trusted =}]) → {{name =, shape =, dtype =}, …}: what a .npy, .npz or HDF5 file holds
  function data.arrays(path, opts)
    return core.list_rows(path, options.check(opts, { "trusted" }, "data.arrays").trusted)
  end

  -- data.idx(images, labels [, {mode = "unit", data_format =}]): MNIST's files, plain or gzipped. mode: see
  -- image.preprocess; data_format: "channels_first" or "channels_last" adds an axis
  function data.idx(images, labels, opts)
    opts = options.check(opts, { "data_format", "mode" }, "data.idx")
    local axis = ({ channels_first = 2, channels_last = -1 })[opts.data_format]
    if opts.data_format and not axis then core.fail 'data.idx: data_format is "channels_first" or "channels_last"' end
    return data.tensors(core.load_idx(images), labels and core.load_idx(labels)):map(function(x, y)
      x = cornu.image.preprocess(x, opts.mode)
      return axis and x:expand_dims(axis) or x, y
    end)
  end

  -- ---- text ----

  local csv_options = { "columns", "dtype", "header", "separator", "target" }

  local function fields_of(line, separator)
    local out = {}
    for field in (line:gsub("\r$", "") .. separator):gmatch("([^" .. separator .. "]*)" .. separator) do
      out[#out + 1] = field:match '^%s*"?(.-)"?%s*$'
    end
    return out
  end

  local function numbers_of(fields, path, line, count)
    if #fields ~= count then
      core.fail(("%s, line %d: %d columns, the first line has %d"):format(path, line, #fields, count))
    end
    local out = {}
    for i, field in ipairs(fields) do
      out[i] = tonumber(field)
      if not out[i] then core.fail(("%s, line %d: column %d is no number: %s"):format(path, line, i, field)) end
    end
    return out
  end

  local function read_csv(path, opts)
    local separator, file, message = opts.separator or ",", io.open(path)
    if not file then core.fail(message) end
    if not separator:match "^[^%w%%%^%]]$" then core.fail "data.csv: the separator is one character" end
    local rows, names, count, at = {}, nil, nil, 0
    for line in file:lines() do
      at = at + 1
      local fields = fields_of(line, separator)
      local first = count == nil
      count = count or #fields
      local is_header = first and (opts.header or (opts.header == nil and tonumber(fields[1]) == nil))
      if is_header then names = fields
      elseif line:find "%S" then rows[#rows + 1] = numbers_of(fields, path, at, count) end
    end
    file:close()
    if #rows == 0 then core.fail(path .. " holds no rows") end
    return rows, names, count
  end

  -- Columns by name or number.
  local function numbers_in(list, names, count, path)
    local out = {}
    for i, column in ipairs(type(list) == "table" and list or { list }) do
      local found = type(column) == "number" and column or nil
      for k, name in ipairs(names or {}) do found = found or (name == column and k or nil) end
      if not found or found < 1 or found > count then
        core.fail(('data.csv: %s has no column "%s"'):format(path, tostring(column)))
      end
      out[i] = found
    end
    return out
  end

  -- data.csv(path [, {target =, columns =, header =, separator = ",", dtype = "float32"}])
  function data.csv(path, opts)
    opts = options.check(opts, csv_options, "data.csv")
    local rows, names, count = read_csv(path, opts)
    local all, targets, is_target, rest = cornu.tensor(rows, opts.dtype), nil, {}, {}
    if opts.target ~= nil then targets = numbers_in(opts.target, names, count, path) end
    for _, i in ipairs(targets or {}) do is_target[i] = true end
    for i = 1, count do
      if not is_target[i] then rest[#rest + 1] = i end
    end
    local columns = opts.columns and numbers_in(opts.columns, names, count, path) or rest
    local function of(list) return cornu.take(all, cornu.tensor(list, "int64"), 2) end
    local y = targets and of(targets)
    if y and type(opts.target) ~= "table" then y = y:squeeze(2) end
    return derived(data.tensors(of(columns), y), { column_names = names })
  end

  -- ---- folders of pictures ----

  local kinds = { png = true, jpg = true, jpeg = true }

  local function entries(folder)
    local list = core.folder(folder)
    table.sort(list, function(a, b) return a.name < b.name end)
    return list
  end

  -- Paths of pictures in a folder and in those within, folder by folder in their order.
  local function pictures_in(folder, into)
    local within = {}
    for _, entry in ipairs(entries(folder)) do
      local path = folder .. "/" .. entry.name
      if entry.folder then within[#within + 1] = path
      elseif kinds[(entry.name:match "%.(%w+)$" or ""):lower()] then into[#into + 1] = path end
    end
    for _, path in ipairs(within) do pictures_in(path, into) end
    return into
  end

  local function class_names(folder, given)
    local names, known = {}, {}
    for _, entry in ipairs(entries(folder)) do
      if entry.folder and entry.name:sub(1, 1) ~= "." then
        names[#names + 1] = entry.name
        known[entry.name] = true
      end
    end
    for _, name in ipairs(given or {}) do
      if not known[name] then
        core.fail(('data.images: %s has no folder "%s" (it has: %s)'):format(folder, name, table.concat(names, ", ")))
      end
    end
    return given or names
  end

  -- The last part, or what is before it, after Keras's shuffle.
  local function part_of(paths, labels, opts)
    local order, out_paths, out_labels = nil, {}, {}
    if opts.shuffle ~= false then order = core.numpy_order(#paths, opts.seed or 0) end
    local first, last = 1, #paths
    if opts.validation_split then
      local n = math.floor(opts.validation_split * #paths)
      if opts.subset == "training" then last = last - n
      elseif opts.subset == "validation" then first = last - n + 1
      else core.fail 'data.images: validation_split needs subset = "training", "validation" or "both"' end
    end
    for i = first, last do
      out_paths[#out_paths + 1] = paths[order and order[i] or i]
      out_labels[#out_labels + 1] = labels[order and order[i] or i]
    end
    return out_paths, out_labels
  end

  local function label_tensor(labels, mode, classes)
    if mode == "int" then return cornu.tensor(labels, "int32") end
    if mode == "categorical" then return cornu.to_categorical(labels, #classes) end
    if #classes ~= 2 then
      core.fail(('data.images: label_mode "binary" needs 2 classes, there are %d'):format(#classes))
    end
    return cornu.tensor(labels, "float32"):reshape(-1, 1)
  end

  -- 0 … 255 to what a mode of image.preprocess makes of it: number * scale + shift.
  local function scaling(mode)
    local mean, deviation = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 }
    if mode == nil or mode == "none" then return nil, nil end
    if mode == "unit" then return { 1 / 255, 1 / 255, 1 / 255, 1 / 255 } end
    if mode == "tf" then return { 1 / 127.5, 1 / 127.5, 1 / 127.5, 1 / 127.5 }, { -1, -1, -1, -1 } end
    if mode == "caffe" then return nil, { -103.939, -116.779, -123.68 } end -- of blue, green, red
    if mode ~= "torch" then
      core.fail(('data.images: no mode "%s" (there are: none unit tf torch caffe)'):format(tostring(mode)))
    end
    local scale, shift = {}, {}
    for i = 1, 3 do scale[i], shift[i] = 1 / 255 / deviation[i], -mean[i] / deviation[i] end
    return scale, shift
  end

  local picture_options = {
    "augment", "batch_size", "channels", "classes", "crop_to_aspect_ratio", "interpolation", "label_mode", "mode",
    "pad_to_aspect_ratio", "seed", "shuffle", "size", "skip_errors", "subset", "validation_split",
  }

  local function picture_rows(paths, opts)
    local size, scale, shift = opts.size or 256, scaling(opts.mode)
    if type(size) == "number" then size = { size, size } end
    if (opts.mode == "torch" or opts.mode == "caffe") and (opts.channels or 3) ~= 3 then
      core.fail(('data.images: mode "%s" needs 3 channels'):format(opts.mode))
    end
    return core.rows_of_pictures(paths, {
      height = size[1], width = size[2], channels = opts.channels, interpolation = opts.interpolation, scale = scale,
      shift = shift, crop = opts.crop_to_aspect_ratio, pad = opts.pad_to_aspect_ratio, bgr = opts.mode == "caffe",
      skip = opts.skip_errors,
    })
  end

  -- Runs a model as in training, so that its random layers are at work.
  local function augmenter(model, seed)
    local trainer
    return function(x)
      trainer = trainer or
        core.new_trainer(model, "sgd", function(out) return { (out[1] * 0):mean(), out[1] } end, seed)
      return trainer:batch(true, { x }, {})[2]
    end
  end

  -- data.images(folder [, options]): as keras.utils.image_dataset_from_directory; see help
  function data.images(folder, opts)
    opts = options.check(opts, picture_options, "data.images")
    if opts.subset == "both" then
      local training, validation = {}, {}
      for key, value in pairs(opts) do training[key], validation[key] = value, value end
      training.subset, validation.subset, validation.augment = "training", "validation", nil
      return data.images(folder, training), data.images(folder, validation)
    end
    local mode = opts.label_mode
    if mode == nil then mode = "int" end
    if mode and mode ~= "int" and mode ~= "categorical" and mode ~= "binary" then
      core.fail(('data.images: label_mode is "int", "categorical", "binary" or false, not %s'):format(tostring(mode)))
    end
    local classes, paths, labels = mode and class_names(folder, opts.classes), {}, {}
    for i, name in ipairs(classes or {}) do
      pictures_in(folder .. "/" .. name, paths)
      for k = #labels + 1, #paths do labels[k] = i - 1 end
    end
    if not mode then pictures_in(folder, paths) end
    paths, labels = part_of(paths, labels, opts)
    if #paths == 0 then core.fail(("data.images: %s holds no PNG or JPEG files for this"):format(folder)) end
    local y = mode and core.rows_of_tensor(label_tensor(labels, mode, classes)) or nil
    local ds = derived(of_files({ picture_rows(paths, opts), y }, "data.images"), {
      class_names = classes or nil, file_paths = paths, batch_size = opts.batch_size, seed = opts.seed,
      shuffle = opts.shuffle ~= false, ahead = core.get_threads() + 1,
      least_ahead = 1, -- the loader leaves out what cannot be read
    })
    local augment = opts.augment
    if not augment then return ds end
    if core.type(augment) == "model" then augment = augmenter(augment, opts.seed or 0) end
    return ds:map(function(x, y, w)
      local new_x, new_y, new_w = augment(x, y, w)
      return new_x, new_y == nil and y or new_y, new_w == nil and w or new_w
    end)
  end

  -- data.generator(f): f(options of the pass) → iterator over x, y, w; or f is called for each batch: x, y, w, nil at
  -- the end
  function data.generator(f)
    if type(f) ~= "function" then core.fail "data.generator: a function expected" end
    return setmetatable({ f = f, maps = {}, skipped = 0, taken = math.huge }, dataset)
  end

  -- ---- windows of time series ----

  local series_options = { "batch_size", "end_index", "sampling_rate", "seed", "sequence_length", "sequence_stride",
                           "shuffle", "start_index" }

  -- timeseries(data, targets or nil, {sequence_length =, sequence_stride = 1, sampling_rate = 1, batch_size = 128,
  -- start_index = 1, end_index = #data, shuffle =, seed =}) → dataset: windows of rows, and the target at the number
  -- of each window's first row
  function cornu.timeseries(series, targets, opts)
    opts = options.check(opts, series_options, "timeseries")
    local t, y = to_tensors(series, "the series"), to_tensors(targets, "the targets")
    local function option(name, standard) return whole(opts[name] or standard, 1, "timeseries: " .. name) end
    local length, stride = option("sequence_length"), option("sequence_stride", 1)
    local rate, first, last = option("sampling_rate", 1), option("start_index", 1), option("end_index", #t)
    if first > last or last > #t then
      core.fail(("timeseries: rows %d to %d of %d"):format(first, last, #t))
    end
    if y and #y < first then core.fail(("timeseries: %d targets; row %d is the first"):format(#y, first)) end
    t = t:slice(1, first, last)
    y = y and y:slice(1, first, math.min(last, #y))
    local starts = #t - (length - 1) * rate
    if y then starts = math.min(starts, #y) end
    if starts < 1 then
      core.fail(("timeseries: %d rows are fewer than a window of %d by steps of %d takes in"):format(#t, length, rate))
    end
    local steps = cornu.arange(0, length * rate, rate, "int64")
    local function at(positions)
      positions = (positions - 1) * stride + 1
      return cornu.take(t, positions:reshape(-1, 1) + steps, 1), y and y[positions]
    end
    return of_rows({ pick = at, read = function(from, to) return at(cornu.arange(from, to + 1, "int64")) end },
      math.ceil(starts / stride), { batch_size = opts.batch_size or 128, shuffle = opts.shuffle == true, seed = opts.seed })
  end

  for name, make in pairs(require "cornu.mixing"(cornu, augmenter)) do data[name] = make end
  return data
end
