-- Every function of the API with every kind of wrong argument: errors are fine, crashes are not.
local lu = require "luaunit"
local cornu = require "cornu"
local core = require "cornu.core"

TestMisuse = {}

local skipped = { close = true, save_npy = true, save_npz = true, image_save = true, set_threads = true,
  manual_seed = true, own = true }

local function values()
  local closed = cornu.zeros(1)
  closed:close()
  local t = cornu.rand(2, 3)
  return { false, true, 0, 1, -1, 2, 1.5, 1e300, -1e300, 0 / 0, "", "float32", "x", {}, { 1 }, { 1, 2 }, { {} }, { -1, 0 },
    { x = 1 }, { axis = 1 }, { axes = "x" }, { 1, "x" }, { t, 1 }, { t, t }, print, io.stdout,
    coroutine.create(function() end), cornu.null, closed, t, t[1], cornu.zeros(0),
    cornu.tensor(1), cornu.tensor({ 1, 2 }, "int64"), cornu.tensor { true, false }, t:t() }
end

-- Calls f with up to three of the values in turn; memory that a huge size would take is refused by the engine's limits.
local function try(f, self)
  local list = values()
  pcall(f)
  if self ~= nil then pcall(f, self) end
  for i = 1, #list do
    pcall(f, list[i])
    if self ~= nil then pcall(f, self, list[i]) end
    for k = 1, #list, 3 do
      if self ~= nil then pcall(f, self, list[i], list[(k + i) % #list + 1]) end
      pcall(f, list[i], list[(k + i) % #list + 1], list[(k + 2 * i) % #list + 1])
    end
  end
end

function TestMisuse:test_functions()
  for name, f in pairs(core) do
    if type(f) == "function" and not skipped[name] then try(f) end
  end
  for name, f in pairs(cornu) do
    if type(f) == "function" and not skipped[name] then try(f) end
  end
  for _, group in ipairs { "image", "json" } do
    for name, f in pairs(cornu[group]) do
      if type(f) == "function" and name ~= "save" and name ~= "show" then try(f) end
    end
  end
  cornu.printoptions { precision = 0, threshold = 0, edge_items = 0, line_width = 0 }
end

function TestMisuse:test_methods()
  for _, class in ipairs { "tensor", "model", "layer", "plan" } do
    for name, f in pairs(core[class .. "_methods"]) do
      if not skipped[name] then try(f, class == "tensor" and cornu.rand(2, 3) or nil) end
    end
  end
end

function TestMisuse:test_indices()
  local list = values()
  for _, i in ipairs(list) do
    for _, v in ipairs(list) do
      pcall(function()
        local t = cornu.rand(2, 3)
        local u = t[i]
        t[i] = v
        return u
      end)
      pcall(function() return cornu.rand(2, 3)[{ i, v }] end)
      for _, f in ipairs { function() return i + v end, function() return i % v end, function() return -v end,
        function() return #v end } do
        if cornu.type(i) or cornu.type(v) then pcall(f) end
      end
    end
  end
  lu.assertTrue(true)
end
