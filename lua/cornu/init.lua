-- What `require "cornu"` gives: the C part (cornu.core) and what is best said in Lua. Sets no globals.
-- Plain Lua 5.1, so that Lua 5.1 to 5.4 and LuaJIT run it.
local core = require "cornu.core"
core.own() -- errors in this folder are told at the caller's line

local cornu = {}
for _, name in ipairs {
  "arange", "check_modeltype", "clock", "empty", "eye", "frombytes", "full", "get_threads", "isa", "json",
  "layer_types", "linspace", "load_idx", "load_npy", "load_npz", "manual_seed", "memory", "null", "ones", "op_types",
  "operation_types", "ops", "printoptions", "rand", "randn", "save_npy", "set_threads", "tensor", "type", "version", "zeros",
} do
  cornu[name] = core[name]
end
for name, f in pairs(core.ops) do
  if cornu[name] == nil then cornu[name] = f end
end

require "cornu.tensor"(cornu)
require "cornu.model"(cornu)
require "cornu.save"(cornu)
require "cornu.grad"(cornu)
require "cornu.profile"(cornu)
require "cornu.runner"
require "cornu.reload"(cornu)
local compose = require "cornu.compose"
cornu.layers, cornu.Input, cornu.Layer = compose.layers(), compose.input, compose.layer
cornu.Sequential, cornu.Model = compose.sequential, compose.model
cornu.optimizers = require "cornu.optimizers"
cornu.losses, cornu.metrics = require "cornu.losses".constructors(), require "cornu.metrics".constructors()
cornu.callbacks = require "cornu.callbacks".constructors()
require "cornu.training"(cornu)
require "cornu.adapt"
local parts = require "cornu.parts"
for _, kind in ipairs { "initializer", "regularizer", "constraint" } do cornu[kind .. "s"] = parts.constructors(kind) end
cornu.image = require "cornu.image"(cornu)
cornu.plot = require "cornu.plot"
cornu.data = require "cornu.data"(cornu)
require "cornu.sequences"(cornu)
local help
function cornu.help(x) -- a long text, that few programs ask for
  help = help or require "cornu.help"(cornu)
  return help(x)
end

return cornu
