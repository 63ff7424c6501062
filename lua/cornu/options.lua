-- Tables of options: unknown names are errors that list the known ones and guess the one that was meant.
local core = require "cornu.core"

local options = {}

-- Edit distance, for short names.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

-- The name of the list that is nearest to `name`, or nil.
function options.nearest(name, names)
  local best, least = nil, math.max(2, math.floor(#name / 3)) + 1
  for _, known in ipairs(names) do
    local d = distance(name:lower(), known:lower())
    if d < least then best, least = known, d end
  end
  return best
end

-- `given` (nil: {}) has no other keys than those in the list `known`; returns it.
function options.check(given, known, what)
  if given == nil then return {} end
  if type(given) ~= "table" then
    core.fail(("%s: a table of options expected, got %s"):format(what, core.type(given) or type(given)))
  end
  for key in pairs(given) do
    local found = false
    for _, name in ipairs(known) do found = found or name == key end
    if not found then
      local near = type(key) == "string" and options.nearest(key, known)
      core.fail(('%s has no option "%s" (it has: %s)%s'):format(what, tostring(key), table.concat(known, " "),
        near and (': did you mean "%s"?'):format(near) or ""))
    end
  end
  return given
end

return options
