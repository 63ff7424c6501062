-- Keras's classes and the registry: what is there, refused on purpose, or missing.
local registry = require "cornu.registry"
local folder = (debug.getinfo(1, "S").source:match "^@(.*/)") or "./"

local coverage = {}

local function lines(name)
  local list = {}
  for line in io.lines(folder .. name) do
    if line ~= "" and line:sub(1, 1) ~= "#" then list[#list + 1] = registry.words(line) end
  end
  return list
end

-- {{name, version, …}, …}: versions are 1, 2, tf, 3.
function coverage.classes() return lines "classes.txt" end
-- {{module, name}, …}
function coverage.operations() return lines "operations.txt" end

-- The entry of the registry for a class, or nil.
function coverage.find(entries, name)
  for _, entry in ipairs(entries) do
    if registry.answers(entry, name) then return entry end
  end
end

-- What is neither in the registry nor refused: "Conv2D", and "ops.Matmul" of operations.
function coverage.missing()
  local list, layers, operations = {}, registry.layers(), registry.operations()
  for _, class in ipairs(coverage.classes()) do
    if not coverage.find(layers, class[1]) and not registry.refusal(class[1]) then list[#list + 1] = class[1] end
  end
  for _, operation in ipairs(coverage.operations()) do
    local name = operation[2]
    if not coverage.find(operations, name) and not registry.refusal(name) then list[#list + 1] = "ops." .. name end
  end
  return list
end

return coverage
