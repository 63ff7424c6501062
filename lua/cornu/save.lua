-- Saving models: files by their endings, JSON.
local core = require "cornu.core"
local checkpoint = require "cornu.checkpoint"
local options = require "cornu.options"

local save_options = { "include_optimizer", "keras", "overwrite" }
local weight_options = { "keras", "overwrite" }
local json_options = { "indent", "keras" }

local function check_model(model, what)
  if core.type(model) ~= "model" then core.fail(("%s: call it as model:%s(…)"):format(what, what)) end
end

local function check_path(path, what)
  if type(path) ~= "string" then
    core.fail(("%s: the path of a file expected, got %s"):format(what, core.type(path) or type(path)))
  end
end

-- overwrite = false: a file that is there is an error.
local function check_free(path, opts, what)
  local file = opts.overwrite == false and io.open(path, "rb")
  if not file then return end
  file:close()
  core.fail(("%s: %s is there already, and overwrite = false"):format(what, path))
end

return function(cornu)
  local methods = core.model_methods

  function methods.save(model, path, opts)
    check_model(model, "save")
    check_path(path, "save")
    opts = options.check(opts, save_options, "save")
    check_free(path, opts, "save")
    local archive, flat, parts = path:match "%.keras$" ~= nil, path:match "%.cornu$" ~= nil, {}
    if opts.include_optimizer ~= false and not path:match "%.json$" then
      parts = checkpoint.parts(model, archive and 3 or opts.keras or core.model_keras(model), archive,
        archive or flat)
    end
    parts.keras = opts.keras
    core.save_model(model, path, false, parts)
    return model
  end

  function methods.save_weights(model, path, opts)
    check_model(model, "save_weights")
    check_path(path, "save_weights")
    opts = options.check(opts, weight_options, "save_weights")
    check_free(path, opts, "save_weights")
    core.save_model(model, path, true, { keras = opts.keras })
    return model
  end

  function methods.to_json(model, opts)
    check_model(model, "to_json")
    opts = options.check(opts, json_options, "to_json")
    return core.model_json(model, opts.keras, opts.indent)
  end

  -- One file, or JSON and weights.
  function cornu.save(model, path, weights, opts)
    if core.type(model) ~= "model" then core.fail "save: the model comes first: save(model, path)" end
    if type(weights) == "table" then weights, opts = nil, weights end
    if weights == nil then return methods.save(model, path, opts) end
    check_path(path, "save")
    check_path(weights, "save")
    opts = options.check(opts, weight_options, "save")
    local keras = opts.keras or (weights:match "%.weights%.h5$" and 3 or nil)
    check_free(weights, opts, "save")
    methods.save(model, path, { keras = keras, overwrite = opts.overwrite })
    methods.save_weights(model, weights, { keras = keras })
    return model
  end
end
