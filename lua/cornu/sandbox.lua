-- What scripts in a sandbox see. `own` holds functions of src/lua/sandbox.c, `env` is where the module's own files run: they
-- get none of the scripts' tables, so that nothing which a script changes is used here.
return function(own, env)
  local charge, enter, leave = own.charge, own.enter, own.leave
  local assert, error, getmetatable, next, pcall, rawlen = assert, error, getmetatable, next, pcall, rawlen
  local select, setmetatable, tostring, type = select, setmetatable, own.tostring(tostring), type
  local unpack, floor = table.unpack or unpack, math.floor

  local function copy(t, names)
    local out = {}
    for name, v in next, t or {} do out[name] = v end
    if names then
      out = {}
      for name in names:gmatch "%S+" do out[name] = t[name] end
    end
    return out
  end

  -- ---- strings: patterns count their steps, results are no longer than memory may be ----

  local rep, takes_separator = string.rep, string.rep("a", 2, "b") == "aba"
  local text = copy(string, "byte char format len lower pack packsize reverse sub unpack upper")
  for _, name in next, { "find", "gmatch", "gsub", "match" } do text[name] = own[name] end

  function text.rep(s, n, separator)
    if type(s) == "number" then s = s .. "" end
    if not takes_separator then separator = nil end
    if type(s) ~= "string" or type(n) ~= "number" then return rep(s, n, separator) end
    local size = #s + (type(separator) == "string" and #separator or 0)
    if size == 0 then return "" end
    if n * size > 2 ^ 30 then error("resulting string too large", 2) end
    charge(n / 16)
    return rep(s, n, separator)
  end

  local string_meta = getmetatable ""
  string_meta.__index, string_meta.__metatable = text, false
  env.string = text

  -- ---- tables: those with a metatable go through functions of Lua, which are counted ----

  local concat, insert, remove, sort = table.concat, table.insert, table.remove, table.sort
  local tables = copy(table, "pack maxn")

  local function whole(v, standard, name)
    if v == nil then return standard end
    if type(v) ~= "number" or v ~= floor(v) or v < -2 ^ 53 or v > 2 ^ 53 then
      error("a whole number expected in '" .. name .. "'", 3)
    end
    return v
  end

  local function check_table(t, name)
    if type(t) ~= "table" then error("table expected in '" .. name .. "', got " .. type(t), 3) end
  end

  -- t itself, or, when it has a metatable, its elements from i to j.
  local function plain(t, i, j)
    charge(j - i + 1)
    if getmetatable(t) == nil then return t end
    local out = {}
    for k = i, j do out[k] = t[k] end
    return out
  end

  function tables.concat(t, separator, i, j)
    check_table(t, "concat")
    i = whole(i, 1, "concat")
    j = whole(j, nil, "concat") or #t
    return concat(plain(t, i, j), separator, i, j)
  end

  function tables.unpack(t, i, j)
    check_table(t, "unpack")
    i = whole(i, 1, "unpack")
    j = whole(j, nil, "unpack") or #t
    if j - i >= 1e6 then error("too many results to unpack", 2) end
    return unpack(plain(t, i, j), i, j)
  end

  function tables.insert(t, ...)
    check_table(t, "insert")
    local n = #t
    if getmetatable(t) == nil then
      if select("#", ...) > 1 then charge((n - whole((...), n, "insert")) / 4) end
      return insert(t, ...)
    end
    local at, v = ...
    if select("#", ...) < 2 then at, v = n + 1, at end
    at = whole(at, n + 1, "insert")
    if at < 1 or at > n + 1 then error("position out of bounds in 'insert'", 2) end
    for k = n, at, -1 do t[k + 1] = t[k] end
    t[at] = v
  end

  function tables.remove(t, at)
    check_table(t, "remove")
    local n = #t
    at = whole(at, n, "remove")
    if getmetatable(t) == nil then
      charge((n - at) / 4)
      return remove(t, at)
    end
    if n + 1 == at or n == 0 then return nil end
    if at < 1 or at > n then error("position out of bounds in 'remove'", 2) end
    local v = t[at]
    for k = at, n - 1 do t[k] = t[k + 1] end
    t[n] = nil
    return v
  end

  function tables.move(from, i, j, at, to)
    check_table(from, "move")
    to = to or from
    check_table(to, "move")
    i, j, at = whole(i, 1, "move"), whole(j, 0, "move"), whole(at, 1, "move")
    if at > j or at <= i or to ~= from then
      for k = 0, j - i do to[at + k] = from[i + k] end
    else
      for k = j - i, 0, -1 do to[at + k] = from[i + k] end
    end
    return to
  end

  -- The comparisons are calls of Lua: each counts, in whatever order a script puts things.
  function tables.sort(t, before)
    check_table(t, "sort")
    local n = #t
    local list = plain(t, 1, n)
    if before ~= nil and type(before) ~= "function" then error("function expected in 'sort'", 2) end
    sort(list, before and function(a, b) return (before(a, b)) end or function(a, b) return a < b end)
    if list ~= t then for k = 1, n do t[k] = list[k] end end
  end

  -- ---- metatables: a script reaches its own alone, and has no finalizers, within which nothing is counted ----

  local scripts_own = setmetatable({}, { __mode = "k" })
  local basic = copy(env, "_VERSION assert error ipairs next pairs pcall rawequal rawget rawlen rawset select tonumber type")
  basic.tostring = tostring
  local set, get, rawget = setmetatable, getmetatable, rawget

  function basic.setmetatable(t, meta)
    if type(t) ~= "table" then error("table expected in 'setmetatable', got " .. type(t), 2) end
    if type(meta) == "table" then
      if rawget(meta, "__gc") ~= nil then error("there are no finalizers in a sandbox: __gc cannot be set", 2) end
      scripts_own[meta] = true
    end
    return set(t, meta)
  end

  function basic.getmetatable(v)
    local meta = get(v)
    if type(meta) == "table" and not scripts_own[meta] then return false end
    return meta
  end

  -- LuaJIT calls what comes next without a look where one of these meets itself as a metamethod.
  if env.bit then function basic.pcall(f, ...) return pcall(f, ...) end end
  if env.bit and pairs(setmetatable({}, { __pairs = function() return 1 end })) == 1 then
    local function following(t, i)
      local v = t[i + 1]
      if v ~= nil then return i + 1, v end
    end
    function basic.pairs(t) return next, t, nil end
    function basic.ipairs(t) return following, t, 0 end
  end

  -- ---- calls: a handler runs when the error is over, in the open ----

  local function failed(_, ...) return false, ... end
  local function handled(handler, ok, ...)
    if ok then return true, ... end
    return failed(pcall(handler, ...))
  end

  function basic.xpcall(f, handler, ...) return handled(handler, pcall(f, ...)) end

  function basic.print(...)
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    own.log(concat(words, "\t"))
  end

  function basic.collectgarbage(what) -- asking is free; the rest goes on by itself
    if what == "count" then return env.collectgarbage "count" end
    return 0
  end

  local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
  local routines = copy(coroutine, "create isyieldable running status yield")

  local function back(before, ...)
    leave(before)
    return ...
  end
  function routines.resume(co, ...)
    if type(co) ~= "thread" then error("coroutine expected in 'resume'", 2) end
    local before = enter(co)
    if not before then return false, "C stack overflow" end
    return back(before, resume(co, ...))
  end
  local function results(ok, ...)
    if ok then return ... end
    error((...), 0)
  end
  function routines.wrap(f)
    local co = create(f)
    return function(...) return results(routines.resume(co, ...)) end
  end

  -- ---- chunks: text alone ----

  local largest = 2 ^ 20 -- bytes

  local function chunk_text(chunk)
    if type(chunk) == "string" then return chunk end
    if type(chunk) ~= "function" then error("a text or a function expected in 'load'", 3) end
    local pieces, n = {}, 0
    for piece in chunk do
      if type(piece) ~= "string" then error("reader function must return a string", 3) end
      if piece == "" then break end
      n = n + #piece
      pieces[#pieces + 1] = piece
      if n > largest then break end
    end
    return concat(pieces)
  end

  function basic.load(chunk, name, mode, globals)
    local source = chunk_text(chunk)
    if #source > largest then return nil, "a script of more than 1 MiB" end
    if mode ~= nil and not text.find(tostring(mode), "t", 1, true) then
      return nil, "attempt to load a text chunk (mode is '" .. tostring(mode) .. "')"
    end
    return own.compile(source, type(name) == "string" and name or "=(load)", globals)
  end

  function basic.loadfile(name, mode, globals)
    local ok, path = pcall(own.path, name, false)
    if not ok then return nil, path end
    return basic.load(own.read(path), "@" .. name, mode, globals)
  end

  function basic.dofile(name)
    local f, message = basic.loadfile(name)
    if not f then error(message, 2) end
    return f()
  end

  local loaded = {}
  function basic.require(name)
    if type(name) ~= "string" then error("the name of a module expected", 2) end
    if loaded[name] ~= nil then return loaded[name] end
    if not text.find(name, "^[%w_.-]+$") then error("no module has the name \"" .. name .. "\"", 2) end
    local f, message = basic.loadfile((text.gsub(name, "%.", "/")) .. ".lua")
    if not f then error("module \"" .. name .. "\": " .. message, 2) end
    loaded[name] = true -- while it loads
    local ok, v = pcall(f, name)
    loaded[name] = ok and (v == nil or v) or nil
    if not ok then error(v, 0) end
    if v ~= nil then loaded[name] = v end
    return loaded[name]
  end

  -- ---- numbers and time ----

  local numbers, random = copy(math), own.random
  function numbers.random(low, high)
    local r = random()
    if low == nil then return r end
    if high == nil then low, high = 1, low end
    if type(low) ~= "number" or type(high) ~= "number" or low > high then error("interval is empty in 'random'", 2) end
    return floor(low + r * (high - low + 1))
  end
  function numbers.randomseed(seed) random(tonumber(seed) or 0) end

  -- ---- Cornu ----

  local silent = { write = function(self) return self end, flush = function() end }
  env.io, env.print = { stderr = silent, stdout = silent, write = function() end }, basic.print
  local cornu, core = env.require "cornu", env.require "cornu.core"
  local shown = copy(cornu, [[Input Model Sequential arange clock empty eye frombytes full get_threads initializers isa json
    layers linspace manual_seed memory null ones rand randint randn regularizers constraints tensor type
    version zeros]])
  for name, f in next, core.ops do if cornu[name] ~= nil then shown[name] = cornu[name] or f end end
  for name, v in next, shown do if type(v) == "table" and get(v) == nil then shown[name] = copy(v) end end

  local function readable(name) return own.path(name, false) end
  local function writable(name) return own.path(name, true) end

  -- The options that a script may give, without what a metatable could change later on.
  local function options(given, names, what)
    if given == nil then return nil end
    if type(given) ~= "table" then error(what .. ": a table of options expected", 3) end
    local out = {}
    for name, v in next, given do
      if not text.find(" " .. names .. " ", " " .. tostring(name) .. " ", 1, true) then
        error(what .. ": no option \"" .. tostring(name) .. "\" in a sandbox", 3)
      end
      out[name] = v
    end
    return out
  end

  local sources = env.require "cornu.sources"
  local load_names = "backend by_name data_format exact seed skip_mismatch"
  local no_path = text.rep("\n", 2 ^ 13) -- a text that begins so is longer than any path
  function shown.load(path, weights, opts)
    if type(weights) == "table" and not sources.is(weights) then weights, opts = nil, weights end
    if not sources.is(path) then
      if type(path) ~= "string" then error("load: the path of a model expected", 2) end
      path = text.find(path, "^%s*{") and no_path .. path or readable(path)
    end
    if weights and not sources.is(weights) then weights = readable(weights) end
    return cornu.load(path, weights, options(opts, load_names, "load"))
  end
  for _, name in next, { "load_npy", "load_npz" } do
    local f = cornu[name]
    shown[name] = function(path) return f(readable(path)) end
  end
  function shown.save_npy(path, t) return cornu.save_npy(writable(path), t) end
  function shown.save_npz(path, arrays, opts) return cornu.save_npz(writable(path), arrays, opts) end

  core.tensor_methods.ptr = nil
  local model, kept = core.model_methods, [[ layer rename slice outputs_of summary count_params training_config plan
    reset_states clone predict rewire to_json close load_weights save save_weights runner ]]
  for name in next, copy(model) do
    if not text.find(kept, "%s" .. name .. "%s") then model[name] = nil end
  end
  for _, name in next, { "save", "save_weights" } do
    local f = model[name]
    model[name] = function(m, path, opts) return f(m, writable(path), options(opts, "keras include_optimizer", name)) end
  end
  local load_weights = model.load_weights
  function model.load_weights(m, path, opts)
    return load_weights(m, sources.is(path) and path or readable(path), options(opts, load_names, "load_weights"))
  end

  for _, name in next, { "cancel", "poll", "run_for", "run_in", "start", "wait" } do -- they have threads of their own
    core.runner_methods[name] = nil
  end
  local predict, predict_names = model.predict, "batch_size progress"
  function model.predict(m, x, opts) return predict(m, x, options(opts, predict_names, "predict")) end

  basic.string, basic.table, basic.math, basic.coroutine = copy(text), tables, numbers, routines
  basic.os, basic.cornu = copy(env.os, "clock difftime time"), shown
  basic.utf8, basic.bit, basic.bit32 = copy(env.utf8), copy(env.bit), copy(env.bit32)
  if not env.rawlen then basic.rawlen = nil end
  if not table.unpack then basic.unpack = tables.unpack end
  return basic
end
