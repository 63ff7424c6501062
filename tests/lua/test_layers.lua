-- The registry against the classes of every Keras.
local lu = require "luaunit"
local cornu = require "cornu"
local registry = require "cornu.registry"
local support = require "support"
local here = arg[0]:match "^(.*/)" or "./"
local coverage = dofile(here .. "../layers/coverage.lua")

TestLayers = {}

function TestLayers:tearDown() support.clean() end

function TestLayers:test_nothing_is_missing_unsaid()
  local missing = coverage.missing()
  lu.assertEquals(coverage.pending(), missing, "tests/layers/pending.txt does not tell what is missing: rewrite it with " ..
    "build/cornu tests/layers/coverage.lua")
end

-- The registry's versions are those of the classes that it answers for.
function TestLayers:test_versions()
  local layers, have = registry.layers(), {}
  for _, class in ipairs(coverage.classes()) do
    local entry = coverage.find(layers, class[1])
    for i = 2, entry and #class or 1 do
      have[entry.name] = have[entry.name] or {}
      have[entry.name][class[i] == "tf" and "2" or class[i]] = true
    end
  end
  local wrong = {}
  for _, entry in ipairs(layers) do
    local want = {}
    for _, version in ipairs { "1", "2", "3" } do
      if have[entry.name] and have[entry.name][version] then want[#want + 1] = version end
    end
    local got = table.concat(entry.versions, " ")
    if got ~= table.concat(want, " ") then
      wrong[#wrong + 1] = entry.name .. ": " .. got .. ", Keras: " .. table.concat(want, " ")
    end
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
