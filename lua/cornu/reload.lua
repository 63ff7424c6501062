-- cornu.watch, cornu.reload: models and scripts that change while the host runs.
local core = require "cornu.core"
local options = require "cornu.options"

local load_options = { "backend", "by_name", "custom_objects", "data_format", "exact", "seed", "skip_mismatch", "trusted",
  "weights" }

return function(cornu)
  local watch = { __help = "watch" }
  watch.__index = watch

  local function check_paths(paths)
    if type(paths) == "string" then paths = { paths } end
    if type(paths) ~= "table" then core.fail "watch: a path or a list of paths expected" end
    for i, path in ipairs(paths) do
      if type(path) ~= "string" then core.fail(("watch: path %d is a %s"):format(i, type(path))) end
    end
    if paths.every ~= nil and type(paths.every) ~= "number" then core.fail "watch: every is a number of seconds" end
    return paths
  end

  function cornu.watch(paths, fn)
    paths = check_paths(paths)
    if fn ~= nil and type(fn) ~= "function" then core.fail "watch: a function of the path that changed expected" end
    local w = setmetatable({ paths = {}, times = {}, sizes = {}, fn = fn, every = paths.every or 0, due = 0 }, watch)
    for i, path in ipairs(paths) do
      w.paths[i] = path
      w.times[i], w.sizes[i] = core.file_state(path)
    end
    return w
  end

  -- A file that is missing just now is on its way.
  local function has_changed(w, i)
    local time, size = core.file_state(w.paths[i])
    if not time or (time == w.times[i] and size == w.sizes[i]) then return false end
    w.times[i], w.sizes[i] = time, size
    return true
  end

  function watch:poll()
    local changed, problems
    if self.every > 0 then
      local now = core.clock()
      if now < self.due then return nil end
      self.due = now + self.every
    end
    for i = 1, #self.paths do
      if has_changed(self, i) then
        local path = self.paths[i]
        changed = changed or {}
        changed[#changed + 1] = path
        if self.fn then
          local ok, message = pcall(self.fn, path)
          if not ok then
            problems = problems or {}
            problems[path] = message
          end
        end
      end
    end
    return changed, problems
  end

  -- ---- models ----

  -- Layers that read more than weights from a file.
  local function has_tables(model)
    for _, layer in ipairs(model:layers()) do
      if layer.class_name:match "Lookup$" or layer.class_name == "TextVectorization" then return true end
    end
    return false
  end

  local function layers_text(model)
    local c = model.config
    c.config.name = nil
    return cornu.json.encode { c.class_name, c.config }
  end

  local function same_structure(a, b)
    local x, y = a:weights(), b:weights()
    if #x ~= #y or #a ~= #b or has_tables(a) then return false end
    for i, w in ipairs(x) do
      if w:dtype() ~= y[i]:dtype() or table.concat(w:shape(), " ") ~= table.concat(y[i]:shape(), " ") then return false end
    end
    return layers_text(a) == layers_text(b)
  end

  local function reload_model(model, path, opts)
    if type(path) == "table" then path, opts = nil, path end
    opts = options.check(opts, load_options, "reload")
    path = path or model.path
    if path == "" then core.fail "reload: the model comes from no file: give its path" end
    local given = {}
    for name, v in pairs(opts) do if name ~= "weights" then given[name] = v end end
    local fresh = core.load(path, opts.weights, given)
    if not same_structure(model, fresh) then return fresh, false end
    model:set_weights(fresh:weights())
    fresh:close()
    return model, true
  end

  -- ---- modules ----

  -- The old table goes on with the fields of the new one, for all who hold it.
  local function take_over(old, new)
    if type(old) ~= "table" or type(new) ~= "table" or old == new then return new end
    for name in pairs(old) do if new[name] == nil then old[name] = nil end end
    for name, v in pairs(new) do old[name] = v end
    return setmetatable(old, getmetatable(new))
  end

  local function reload_module(name)
    local loaded = package.loaded
    local old = loaded[name]
    loaded[name] = nil
    local ok, new = pcall(require, name)
    if not ok then
      loaded[name] = old
      error(new, 0)
    end
    loaded[name] = take_over(old, new)
    return loaded[name]
  end

  function cornu.reload(what, path, opts)
    if type(what) == "string" then return reload_module(what) end
    if core.type(what) ~= "model" then core.fail "reload: a model, or the name of a module of Lua, expected" end
    return reload_model(what, path, opts)
  end
end
