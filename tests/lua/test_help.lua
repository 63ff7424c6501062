local lu = require "luaunit"
local cornu = require "cornu"

TestHelp = {}

function TestHelp:test_every_function_has_an_entry()
  for name, v in pairs(cornu) do
    if type(v) == "function" then
      lu.assertNotStrContains(cornu.help(v), "No help on", false, name)
      lu.assertNotStrContains(cornu.help(name), "No help on", false, name)
    end
  end
  for _, group in ipairs { "data", "image", "json" } do
    for name, v in pairs(cornu[group]) do
      if type(v) == "function" then lu.assertStrContains(cornu.help(v), "cornu." .. group .. "." .. name) end
    end
  end
  for _, group in ipairs { "losses", "metrics", "callbacks" } do
    for name, v in pairs(cornu[group]) do
      if name:match "^%u%l" then lu.assertStrContains(cornu.help(v), "cornu." .. group .. "." .. name) end
    end
  end
end

function TestHelp:test_every_method_has_an_entry()
  local core = require "cornu.core"
  for class, prefix in pairs { tensor = "t:", model = "model:", layer = "layer:", plan = "plan:", runner = "runner:", symbol = "symbol:" } do
    for name, f in pairs(core[class .. "_methods"]) do
      lu.assertNotStrContains(cornu.help(f), "No help on", false, prefix .. name)
      lu.assertNotStrContains(cornu.help(prefix .. name), "No help on", false, prefix .. name)
    end
  end
end

function TestHelp:test_text()
  lu.assertStrContains(cornu.help(), "cornu.load")
  lu.assertStrContains(cornu.help(cornu.load), "custom_objects")
  lu.assertStrContains(cornu.help "load", "custom_objects")
  lu.assertStrContains(cornu.help "cornu.load_npz", "NumPy")
  lu.assertStrContains(cornu.help(cornu.zeros(1).reshape), "t:reshape")
  lu.assertStrContains(cornu.help(cornu.zeros(1)), "t:shape")
  lu.assertStrContains(cornu.help(cornu.sum), "Axes count from 1")
  lu.assertStrContains(cornu.help "Dense", "units")
  lu.assertStrContains(cornu.help "ops", "matmul")
  lu.assertStrContains(cornu.help "layers", "Dense")
  lu.assertStrContains(cornu.help "xyzzy", "No help on")
  lu.assertStrContains(cornu.help(3), "No help on")
end

function TestHelp:test_search()
  local text = cornu.help "conv"
  lu.assertStrContains(text, "Conv2D")
  lu.assertStrContains(text, "Topics with")
end
