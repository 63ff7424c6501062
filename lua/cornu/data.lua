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
      out[key] = f(leaf, type(key) == "number" and ("%s[%d]"):format(name, key) or ("%s.%s"):format(name, key))
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
  -- (see core.order).
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
             epoch = whole(choose("epoch", 1), 0, "batches: epoch"), seed = whole(choose("seed", 0), 0, "batches: seed"),
             shuffle = choose("shuffle", false), drop_remainder = choose("drop_remainder", false) }
  end

  -- ds:batches{batch_size = 32, shuffle = false, seed = 0, epoch = 1, drop_remainder = false} → iterator over x, y, w
  function dataset.batches(ds, opts)
    local passing = pass_options(ds, opts)
    local step = (ds.f and function_batches or row_batches)(ds, passing)
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
    return step
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
  function dataset.prefetch(ds, n) return derived(ds, { ahead = whole(n, 0, "prefetch: the number") }) end

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
    local function all(f) return each(columns[1], f, "x"), each(columns[2], f, "y"), each(columns[3], f, "w") end
    local rows = common_rows(columns, function(leaf)
      local port, stretch, ordered = leaf:port()
      if stretch > 0 then block, in_order = math.min(block or stretch, stretch), in_order or ordered end
      return port.shape[1]
    end, what)
    return of_rows({
      read = function(first, last) return all(function(leaf) return leaf:read(first, last) end) end,
      pick = function(order) return all(function(leaf) return leaf:pick(order) end) end,
      block = block, in_order = in_order,
    }, rows)
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

  -- data.npz(path, {x = name, y = name, w = name}), data.hdf5(path, {x = path within, …, trusted =}): rows are read batch
  -- by batch; a name, a list of names, or a table by name
  data.npz, data.hdf5 = of_archive "data.npz", of_archive "data.hdf5"

  -- data.npy(x [, y [, w]]): paths of .npy files
  function data.npy(x, y, w)
    return of_files({ x and core.open_rows(x), y and core.open_rows(y), w and core.open_rows(w) }, "data.npy")
  end

  -- data.arrays(path [, {trusted =}]) → {{name =, shape =, dtype =}, …}: what a .npy, .npz or HDF5 file holds
  function data.arrays(path, opts)
    return core.list_rows(path, options.check(opts, { "trusted" }, "data.arrays").trusted)
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
      math.ceil(starts / stride), { batch_size = opts.batch_size or 128, shuffle = opts.shuffle, seed = opts.seed })
  end

  return data
end
