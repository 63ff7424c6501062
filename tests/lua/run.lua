-- Runs the tests of the Lua API. usage: build/cornu tests/lua/run.lua [-v …]; or lua5.4, luajit with the module's paths
local folder = arg[0]:match "^(.*/)" or "./"
local version = _VERSION:match "%d%.%d"
package.path = folder .. "?.lua;" .. package.path
for _, root in ipairs { "/usr/local", "/usr" } do
  package.path = package.path .. (";%s/share/lua/%s/?.lua"):format(root, version)
end

local lu = require "luaunit"
local files = {
  "adapt",
  "bad_input",
  "call",
  "cells",
  "compose",
  "curves",
  "custom",
  "data",
  "lenet",
  "dtype",
  "files",
  "fit",
  "gradients",
  "help",
  "image",
  "index",
  "json",
  "layers",
  "layers_train",
  "life",
  "losses",
  "memory",
  "misuse",
  "model",
  "operations",
  "ops",
  "optimizer_parity",
  "optimizers",
  "parts",
  "reload",
  "runner",
  "save",
  "signatures",
  "stateful",
  "strings",
  "tensor",
  "train",
}
for _, name in ipairs(files) do
  require("test_" .. name)
end
os.exit(lu.LuaUnit.run((table.unpack or unpack)(arg)), true)
