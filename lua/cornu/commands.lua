-- The commands of the program: cornu info, predict, bench, convert, layers.
local cornu = require "cornu"
local core = require "cornu.core"
local host = require "cornu.host"
local profile = require "cornu.profile_report"
local registry = require "cornu.registry"

local commands = {}

-- ---- options ----

-- spec: { name = "value" | "flag" | "list", … } with "-x" aliases in `short`. -> options, positionals
local function parse(args, spec, short, usage)
  local options, rest, i = {}, {}, 1
  while i <= #args do
    local word = args[i]
    local name, value = word:match "^%-%-([%w-]+)=(.*)$"
    name = name or word:match "^%-%-([%w-]+)$" or (short or {})[word]
    if name == "help" or word == "-h" then
      io.write(usage)
      return nil, 0
    elseif word:sub(1, 1) == "-" and word ~= "-" then
      local kind = name and spec[name]
      if not kind then
        io.stderr:write(("cornu: no option %s\n%s"):format(word, usage))
        return nil, 2
      end
      if kind == "flag" then
        options[name] = true
      else
        if not value then
          i = i + 1
          value = args[i]
        end
        if not value then
          io.stderr:write(("cornu: %s needs a value\n%s"):format(word, usage))
          return nil, 2
        end
        if kind == "list" then
          options[name] = options[name] or {}
          table.insert(options[name], value)
        elseif kind == "number" then
          options[name] = tonumber(value)
          if not options[name] then
            io.stderr:write(("cornu: %s needs a number, not %s\n"):format(word, value))
            return nil, 2
          end
        else
          options[name] = value
        end
      end
    else
      rest[#rest + 1] = word
    end
    i = i + 1
  end
  return options, rest
end

local function bad_usage(usage)
  io.stderr:write("cornu: wrong usage\n", usage)
  return 2
end

local function fail(...) error(string.format(...), 0) end

local function array(t) return setmetatable(t, cornu.json.array) end

local function shape_text(shape)
  local parts = {}
  for i, d in ipairs(shape) do parts[i] = d < 0 and "?" or tostring(d) end
  return "(" .. table.concat(parts, ", ") .. (#parts == 1 and ",)" or ")")
end

-- ---- info ----

local info_usage = [[
usage: cornu info MODEL [WEIGHTS] [--json]

Type, Keras version, inputs, outputs, layers and parameters of a model file.
]]

local function ports_json(ports)
  local out = array {}
  for i, p in ipairs(ports) do
    out[i] = { name = p.name, dtype = p.dtype, shape = array {} }
    for k, d in ipairs(p.shape) do out[i].shape[k] = d < 0 and cornu.null or d end
  end
  return out
end

local function info_json(model)
  local layers = array {}
  for i, layer in ipairs(model:layers()) do
    layers[i] = { name = layer.name, class_name = layer.class_name, parameters = layer:count_params() }
  end
  return {
    name = model.name, type = model.type, keras_version = model.keras_version, backend = model.backend,
    inputs = ports_json(model.inputs), outputs = ports_json(model.outputs), layers = layers,
    parameters = model:count_params(), trainable_parameters = model:count_params(true),
  }
end

function commands.info(args)
  local options, rest = parse(args, { json = "flag" }, nil, info_usage)
  if not options then return rest end
  if #rest < 1 or #rest > 2 then return bad_usage(info_usage) end
  local model = cornu.load(rest[1], rest[2])
  if options.json then
    print(cornu.json.encode(info_json(model)))
    return 0
  end
  print(("file      %s"):format(rest[1]))
  print(("type      %s"):format(model.type))
  print(("Keras     %s%s"):format(model.keras_version ~= "" and model.keras_version or "not told",
    model.backend ~= "" and " (" .. model.backend .. ")" or ""))
  for _, p in ipairs(model.inputs) do print(("input     %s %s %s"):format(p.name, p.dtype, shape_text(p.shape))) end
  for _, p in ipairs(model.outputs) do print(("output    %s %s %s"):format(p.name, p.dtype, shape_text(p.shape))) end
  print()
  print((model:summary(host.width "stdout")))
  return 0
end

-- ---- predict ----

local predict_usage = [[
usage: cornu predict MODEL [-w WEIGHTS] -i INPUT… [-o OUT] [options]

  -w FILE        weights for a config alone
  -i FILE        .npz, .npy, .png or .jpg; several for models with several inputs (arrays of an .npz go by input name, else
                 by order), or several images for a batch
  -o FILE        write .npz or .npy instead of printing
  --top N        print the N largest outputs of each row
  --labels FILE  names for --top, one a line
  --preprocess M how pixels (0 … 255) become inputs: unit 0 … 1 (default), tf -1 … 1, caffe, torch, none
  --invert       dark on light becomes light on dark
  --batch-size N rows at a time (32)
  --threads N
]]

local function extension(path) return (path:match "%.([%w]+)$" or ""):lower() end
local image_types = { png = true, jpg = true, jpeg = true }

local function load_images(paths, port, options)
  local h, w, c = port.shape[2], port.shape[3], port.shape[4]
  if #port.shape ~= 4 then fail("input \"%s\" has shape %s: images need four dimensions", port.name, shape_text(port.shape)) end
  local first = port.shape[2]
  local channels_first = (first == 1 or first == 3) and c ~= 1 and c ~= 3
  if channels_first then c, h, w = port.shape[2], port.shape[3], port.shape[4] end
  local images = {}
  for i, path in ipairs(paths) do
    images[i] = cornu.image.to_tensor(cornu.image.load(path, { channels = c }),
      { size = h > 0 and w > 0 and { h, w } or nil, mode = options.preprocess or "unit", invert = options.invert })
  end
  local batch = #images == 1 and images[1] or cornu.concat(images, 1)
  return channels_first and batch:permute(1, 4, 2, 3) or batch
end

local function load_npz(path, model)
  local arrays, inputs, names = cornu.load_npz(path), {}, {}
  for name in pairs(arrays) do names[#names + 1] = name end
  table.sort(names)
  local by_name = true
  for _, p in ipairs(model.inputs) do by_name = by_name and arrays[p.name] ~= nil end
  if not by_name and #names ~= #model.inputs then
    fail("%s holds the arrays %s; the model takes %d inputs", path, table.concat(names, ", "), #model.inputs)
  end
  for i, p in ipairs(model.inputs) do inputs[i] = arrays[by_name and p.name or names[i]] end
  return inputs
end

local function load_inputs(paths, model, options)
  if #paths == 1 and extension(paths[1]) == "npz" then return load_npz(paths[1], model) end
  local images = true
  for _, path in ipairs(paths) do images = images and image_types[extension(path)] end
  if images and #model.inputs == 1 then return { load_images(paths, model.inputs[1], options) } end
  if #paths ~= #model.inputs then fail("the model takes %d inputs, not %d", #model.inputs, #paths) end
  local inputs = {}
  for i, path in ipairs(paths) do
    local kind = extension(path)
    if image_types[kind] then inputs[i] = load_images({ path }, model.inputs[i], options)
    elseif kind == "npy" then inputs[i] = cornu.load_npy(path)
    else fail("%s: inputs are .npz, .npy, .png, .jpg", path) end
  end
  return inputs
end

local function as_list(outputs, model)
  if type(outputs) ~= "table" then return { outputs } end
  if #outputs > 0 then return outputs end
  local list = {}
  for i, p in ipairs(model.outputs) do list[i] = outputs[p.key or p.name] end
  return list
end

local function save(path, outputs, model)
  local kind = extension(path)
  if kind == "npy" then
    if #outputs > 1 then fail("%s: the model has %d outputs, an .npy holds one: use .npz", path, #outputs) end
    return cornu.save_npy(path, outputs[1])
  elseif kind ~= "npz" then
    fail("%s: outputs are written as .npz or .npy", path)
  end
  local named = {}
  for i, p in ipairs(model.outputs) do
    local name = p.key or p.name
    named[named[name] and name .. "_" .. i or name] = outputs[i]
  end
  cornu.save_npz(path, named)
end

local function read_labels(path)
  local labels = {}
  for line in io.lines(path) do labels[#labels + 1] = line end
  return labels
end

local function print_top(output, n, labels, names)
  local rows = output:reshape(output:shape()[1], -1)
  for i = 1, rows:shape()[1] do
    if rows:shape()[1] > 1 then print(names[i] or ("row %d"):format(i)) end
    for _, best in ipairs(rows[i]:topk(math.min(n, rows:shape()[2]))) do
      print(("%8.4f  %s"):format(best.value, labels and labels[best.index] or best.index))
    end
  end
end

function commands.predict(args)
  local options, rest = parse(args, { weights = "value", input = "list", output = "value", top = "number", labels = "value",
    preprocess = "value", invert = "flag", ["batch-size"] = "number", threads = "number" },
    { ["-w"] = "weights", ["-i"] = "input", ["-o"] = "output" }, predict_usage)
  if not options then return rest end
  if #rest < 1 or not options.input then return bad_usage(predict_usage) end
  for i = 2, #rest do table.insert(options.input, rest[i]) end -- -i a.png b.png
  if options.threads then cornu.set_threads(options.threads) end
  local model = cornu.load(rest[1], options.weights)
  local inputs = load_inputs(options.input, model, options)
  local outputs = as_list(model:predict(#inputs == 1 and inputs[1] or inputs, { batch_size = options["batch-size"] }), model)
  if options.output then save(options.output, outputs, model) end
  if options.top then
    local labels = options.labels and read_labels(options.labels)
    for _, output in ipairs(outputs) do print_top(output, options.top, labels, options.input) end
  elseif not options.output then
    for i, output in ipairs(outputs) do
      if #outputs > 1 then print(model.outputs[i].name) end
      print(output)
    end
  end
  return 0
end

-- ---- bench ----

local bench_usage = [[
usage: cornu bench MODEL [--weights FILE] [--batch N] [--threads T] [--seconds S] [--json]
                   [--layers] [--sort time] [--svg FILE]

Times runs on random inputs: median, 10 % and 90 % quantile, load time (open the file to ready), the first run after it,
peak memory of the process, GFLOP/s. Unknown dimensions other than the batch are set by --dim (default 64).

--layers tells instead, for each step of the optimised plan, in the order of running (or --sort time): operation, layer,
shape of the output, kernel, fastest and median time in µs, share, speed, and bytes of inputs, weights and outputs by the
time; then the same by operation. --svg FILE draws it as a picture for a browser.
]]

local function peak_rss()
  local f = io.open "/proc/self/status"
  if not f then return 0 end
  local kb = f:read("a"):match "VmHWM:%s+(%d+)"
  f:close()
  return kb and tonumber(kb) / 1024 or 0
end

local function random_inputs(model, batch, dim)
  local inputs = {}
  for i, p in ipairs(model.inputs) do
    local shape = {}
    for k, d in ipairs(p.shape) do shape[k] = d >= 0 and d or k == 1 and batch or dim end
    inputs[i] = p.dtype == "float32" and cornu.rand(shape) or cornu.zeros(shape, p.dtype)
  end
  return inputs
end

local function time_runs(model, x, seconds)
  local times, start = {}, cornu.clock()
  repeat
    local a = cornu.clock()
    model(x)
    local b = cornu.clock()
    times[#times + 1] = b - a
  until b - start >= seconds and #times >= 3
  table.sort(times)
  return times
end

local function plan_of(model, inputs)
  local shapes = {}
  for i, x in ipairs(inputs) do shapes[i] = x:shape() end
  return model:plan { shapes = shapes }
end

-- Multiply-adds of one run, counted twice.
local function flops_of(model, inputs)
  local plan = plan_of(model, inputs)
  local flops = plan:flops()
  plan:close()
  return flops
end

-- Runs for the time given, at least 3.
local function profile_for(plan, inputs, seconds)
  local start = cornu.clock()
  plan:profile(1, inputs)
  local once = cornu.clock() - start
  return plan:profile(math.max(3, math.min(1000, seconds // (once / 2))), inputs) -- it runs once more to get warm
end

local function write_file(path, text)
  local f, why = io.open(path, "w")
  if not f then fail("%s", why) end
  f:write(text)
  if not f:close() then fail("%s: cannot be written", path) end
end

local function bench_layers(name, model, inputs, options)
  local plan = plan_of(model, inputs)
  local list = profile_for(plan, inputs, options.seconds or 3)
  local title = ("%s, batch %d, %d thread%s, %s kernels, %d runs"):format(name, options.batch or 1, cornu.get_threads(),
    cornu.get_threads() == 1 and "" or "s", cornu.isa(), list.runs)
  if options.svg then write_file(options.svg, profile.svg(list, title)) end
  if options.json then
    print(cornu.json.encode { model = name, batch = options.batch or 1, threads = cornu.get_threads(), isa = cornu.isa(),
      runs = list.runs, seconds = list.seconds, steps = profile.json(list) })
    return 0
  end
  if options.svg and not options.layers then return 0 end
  print(title)
  local colour = host.isatty "stdout" and not os.getenv "NO_COLOR" and os.getenv "TERM" ~= "dumb"
  io.write(profile.text(list, { sort = options.sort, width = host.width "stdout", colour = colour }))
  return 0
end

function commands.bench(args)
  local options, rest = parse(args, { weights = "value", batch = "number", threads = "number", seconds = "number",
    dim = "number", json = "flag", layers = "flag", sort = "value", svg = "value" }, { ["-w"] = "weights" }, bench_usage)
  if not options then return rest end
  if #rest ~= 1 or (options.sort and options.sort ~= "time") then return bad_usage(bench_usage) end
  if options.threads then cornu.set_threads(options.threads) end
  local batch = options.batch or 1
  local t0 = cornu.clock()
  local model = cornu.load(rest[1], options.weights)
  local t1 = cornu.clock()
  local inputs = random_inputs(model, batch, options.dim or 64)
  if options.layers or options.svg or options.sort then return bench_layers(rest[1], model, inputs, options) end
  local x = #inputs == 1 and inputs[1] or inputs
  local t2 = cornu.clock()
  model(x)
  local t3 = cornu.clock()
  local times = time_runs(model, x, options.seconds or 3)
  local function quantile(q) return times[math.max(1, math.ceil(#times * q))] * 1000 end
  local median = quantile(0.5)
  local result = {
    model = rest[1], batch = batch, threads = cornu.get_threads(), isa = cornu.isa(), runs = #times, median_ms = median,
    p10_ms = quantile(0.1), p90_ms = quantile(0.9), load_ms = (t1 - t0) * 1000, first_ms = (t3 - t2) * 1000,
    rss_mb = peak_rss(), gflops = flops_of(model, inputs) / (median / 1000) / 1e9,
  }
  if options.json then
    print(cornu.json.encode(result))
    return 0
  end
  print(("%s, batch %d, %d thread%s, %s kernels, %d runs"):format(rest[1], batch, result.threads, result.threads == 1 and "" or "s",
    result.isa, #times))
  print(("median %.4g ms   10 %% %.4g ms   90 %% %.4g ms   %.4g GFLOP/s"):format(median, result.p10_ms, result.p90_ms, result.gflops))
  print(("load %.4g ms   first run %.4g ms   peak memory %.1f MB"):format(result.load_ms, result.first_ms, result.rss_mb))
  return 0
end

-- ---- convert ----

local convert_usage = [[
usage: cornu convert SOURCE [WEIGHTS] TARGET [--keras 2|3] [--no-optimizer]

Reads a model and saves it by the ending of TARGET: .cornu (a flat file, which the small library reads, too), .keras, .h5,
or .json without weights. --keras: for which Keras .h5 and .json are written. Layers of classes that Cornu does not know
need a script: cornu.load with custom_objects, then model:save.
]]

function commands.convert(args)
  local options, rest = parse(args, { keras = "number", ["no-optimizer"] = "flag" }, nil, convert_usage)
  if not options then return rest end
  if #rest < 2 or #rest > 3 then return bad_usage(convert_usage) end
  local model = cornu.load(rest[1], rest[3] and rest[2])
  model:save(rest[#rest], { keras = options.keras, include_optimizer = not options["no-optimizer"] })
  return 0
end

-- ---- layers ----

local layers_usage = [[
usage: cornu layers [NAME…] [--json]

The layers of every Keras, and the operations of keras.ops as nodes of models, that Cornu computes: class, other names,
versions of Keras (2 counts tf.keras), arguments with defaults, whether training changes weights, what it computes. NAME:
all about that class, or the classes whose names hold that word. Every layer also takes Keras's common arguments: name,
trainable, dtype, input_shape, batch_size, and initializers, regularizers and constraints of its weights.
]]

local function entry_json(entry)
  local fields = array {}
  for i, f in ipairs(entry.fields) do
    fields[i] = { name = f.name, type = f.type, default = f.standard, required = f.standard == nil, help = f.help,
      aliases = array(registry.words(f.aliases)), choices = f.choices and array(registry.words(f.choices)) }
  end
  return { kind = entry.kind, name = entry.name, aliases = array(entry.aliases), versions = array(entry.versions),
    weights = entry.weights or "none", arguments = array(entry.arguments), fields = fields, help = entry.help }
end

local function print_entry(entry)
  local facts = {}
  if entry.kind == "layer" then
    facts[1] = "Keras " .. table.concat(entry.versions, " ") .. ", " .. registry.weights_text(entry)
  end
  if #entry.aliases > 0 then facts[#facts + 1] = "also " .. table.concat(entry.aliases, " ") end
  print(registry.signature(entry))
  if #facts > 0 then print("    " .. table.concat(facts, "; ")) end
  if entry.help then print("    " .. entry.help:match "^[^\n]*") end
end

-- The entries that the words name; nil and the first word that names none.
local function named_entries(all, names)
  local found, seen = {}, {}
  for _, name in ipairs(names) do
    local before, part = #found, {}
    for _, entry in ipairs(all) do
      if registry.answers(entry, name) then part[#part + 1] = entry end
    end
    for _, entry in ipairs(#part == 0 and all or {}) do
      local text = entry.name .. " " .. table.concat(entry.aliases, " ")
      if text:lower():find(name:lower(), 1, true) then part[#part + 1] = entry end
    end
    for _, entry in ipairs(part) do
      if not seen[entry] then found[#found + 1] = entry end
      seen[entry] = true
    end
    if #part == 0 and #found == before then return nil, name end
  end
  return found
end

function commands.layers(args)
  local options, names = parse(args, { json = "flag" }, nil, layers_usage)
  if not options then return names end
  local layers, operations = registry.layers(), registry.operations()
  local all, missing = table.move(operations, 1, #operations, #layers + 1, table.move(layers, 1, #layers, 1, {})), nil
  local n_layers, n_operations = #layers, #operations
  if #names > 0 then all, missing = named_entries(all, names) end
  local why = missing and registry.refusal(missing)
  if why then fail("%s is not supported: %s", missing, why) end
  if not all then fail('no layer or operation "%s": cornu layers lists them', missing) end
  if options.json then
    local list = array {}
    for i, entry in ipairs(all) do list[i] = entry_json(entry) end
    print(cornu.json.encode(list))
  elseif #names > 0 and #all <= 2 then
    for i, entry in ipairs(all) do print((i > 1 and "\n" or "") .. registry.describe(entry)) end
  else
    for _, entry in ipairs(all) do print_entry(entry) end
    if #names == 0 then
      print(("\n%d layers, %d operations of keras.ops\n\nnot supported:"):format(n_layers, n_operations))
      for _, group in ipairs(core.refused_classes()) do print(("  %s: %s"):format(group.names, group.why)) end
    end
  end
  return 0
end

return commands
