-- What tests/kills.sh runs. save DIR N: N times all kinds of files, with another number in all weights each time;
-- check DIR: each file is whole, its weights are one number, and nothing else lies there; full DIR KIND: a save fails;
-- same A B: two files hold the same arrays.
local cornu = require "cornu"
local host = require "cornu.host"
local L = cornu.layers
local what, dir, third = arg[1], arg[2], arg[3]
local kinds = { "keras", "h5", "weights.h5", "npz", "json" }

local function new_model()
  local layers = { cornu.Input{ shape = { 64 }, name = "input" } }
  for i = 1, 40 do layers[#layers + 1] = L.Dense{ 64, name = "dense" .. i } end
  return cornu.Sequential(layers)
end

local function fill(model, number)
  for _, layer in ipairs(model.layers) do
    layer:set_weights{ cornu.full({ 64, 64 }, number), cornu.full({ 64 }, number) }
  end
end

local function save(model, kind)
  local path = dir .. "/m." .. kind
  if kind == "weights.h5" or kind == "npz" then model:save_weights(path) else model:save(path) end
end

local function only_number(tensors, where)
  local number
  for _, t in pairs(tensors) do
    local low, high = t:min():item(), t:max():item()
    number = number or low
    assert(low == number and high == number, where .. " is of two saves")
  end
end

if what == "save" then
  local model = new_model()
  for i = 1, tonumber(third) do
    fill(model, i % 1000)
    for _, kind in ipairs(kinds) do save(model, kind) end
  end
elseif what == "check" then
  local model = new_model()
  for _, kind in ipairs(kinds) do
    local path = dir .. "/m." .. kind
    if kind == "weights.h5" then model:load_weights(path) end
    local loaded = (kind == "keras" or kind == "h5" or kind == "json") and cornu.load(path) or model
    local tensors = kind == "npz" and cornu.load_npz(path) or loaded:weights()
    if kind ~= "json" then only_number(tensors, path) end
  end
  for _, name in ipairs(host.list(dir)) do
    assert(name:match "^m%." and not name:match "tmp" or name == "log" or name == "full", "left behind: " .. name)
  end
elseif what == "same" then
  local a, b = cornu.load_npz(dir), cornu.load_npz(third)
  for name, t in pairs(a) do assert(t:allclose(b[name], 0, 0), name .. " differs") end
else
  local model = new_model()
  fill(model, 7)
  local ok, message = pcall(save, model, third)
  assert(not ok, "a save into a full disk went well")
  assert(message:find("m." .. third, 1, true), message)
  print(message)
end
