-- The registry against the classes of every Keras.
local lu = require "luaunit"
local cornu = require "cornu"
local registry = require "cornu.registry"
local support = require "support"
local here = arg[0]:match "^(.*/)" or "./"
local coverage = dofile(here .. "../layers/coverage.lua")

TestLayers = {}

function TestLayers:tearDown() support.clean() end

function TestLayers:test_every_class_is_there_or_refused() lu.assertEquals(coverage.missing(), {}) end

-- The registry's versions are those of the classes that it answers for.
function TestLayers:test_versions()
  local layers, have = registry.layers(), {}
  for _, class in ipairs(coverage.classes()) do
    local entry = coverage.find(layers, class[1])
    local versions = table.concat(class, " ", 2):gsub("tf", "2")
    if entry then have[entry.name] = (have[entry.name] or "") .. " " .. versions end
  end
  local wrong = {}
  for _, entry in ipairs(layers) do
    local want = ""
    for version in ("1 2 3"):gmatch "%d" do
      if (have[entry.name] or ""):find(version) then want = want .. " " .. version end
    end
    local got = table.concat(entry.versions, " ")
    if " " .. got ~= want then wrong[#wrong + 1] = entry.name .. ": " .. got .. ", Keras:" .. want end
  end
  lu.assertEquals(wrong, {})
end

function TestLayers:test_refused_classes_are_refused_by_name()
  for _, class in ipairs(coverage.classes()) do
    local why = registry.refusal(class[1])
    if why then
      local message = support.fails(class[1], cornu.load, support.sequential({ 2 }, { { class[1], {} } }))
      lu.assertStrContains(message, why)
    end
  end
end

-- Layers with weights in the models of real Keras say so in the registry.
function TestLayers:test_weights()
  local layers, seen = registry.layers(), 0
  for path in io.popen("ls " .. here .. "../models/*/*/model.h5 " .. here .. "../models/*/*/model.keras"):lines() do
    local ok, model = pcall(cornu.load, path)
    for _, layer in ipairs(ok and model:layers() or {}) do
      local entry = coverage.find(layers, layer.class_name)
      if entry and #layer > 0 then
        lu.assertNotNil(entry.weights, layer.class_name)
        seen = seen + 1
      end
    end
  end
  lu.assertTrue(seen > 50)
end
