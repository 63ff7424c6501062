-- Saves the model of every case as .keras and as .h5, loads the files and compares what they predict with what the model
-- itself predicts; of .cornu the same bits are expected.
-- usage: cornu scripts/round_trip.lua CASES [--list FILE] [--keep DIR] [--formats EXTENSIONS] [--verbose]
-- --keep: leaves the files in DIR, and a list of them, for scripts/check_saved.py. The last lines are counts for each
-- format: `FORMAT: N equal, N refused, N failed`. Refused: the format cannot say it, and the error tells why.
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local cornu = require "cornu"
local cases = require "cases"

local root, list, keep, verbose, formats = nil, nil, nil, false, "keras h5"
local i = 1
while arg[i] do
  if arg[i] == "--list" then i = i + 1; list = arg[i]
  elseif arg[i] == "--keep" then i = i + 1; keep = arg[i]
  elseif arg[i] == "--formats" then i = i + 1; formats = arg[i]
  elseif arg[i] == "--verbose" then verbose = true
  else root = arg[i] end
  i = i + 1
end
if not root then
  io.stderr:write "usage: cornu scripts/round_trip.lua CASES [--list FILE] [--keep DIR] [--formats EXTENSIONS] [--verbose]\n"
  os.exit(2)
end

local function outputs_of(case, model, given)
  model:reset_states()
  local y = case.call and model(given) or model:predict(given)
  return type(y) == "table" and y or { y }
end

local function compare(want, got, rtol, atol)
  local worst = 0
  for name, t in pairs(want) do
    local u = got[name]
    if not u then error("has no output " .. tostring(name), 0) end
    local shape, other = table.concat(t:shape(), ","), table.concat(u:shape(), ",")
    if shape ~= other then error(("output %s has the shape (%s), it was (%s)"):format(name, other, shape), 0) end
    local close, difference = u:allclose(t, rtol, atol)
    if not close then error(("output %s differs by up to %.3g"):format(name, difference), 0) end
    worst = math.max(worst, difference)
  end
  return worst
end

local counts, kept, n = {}, {}, 0
for format in formats:gmatch "%S+" do counts[format] = { equal = 0, refused = 0, failed = 0 } end

local function try(name, case, model, given, want, format)
  n = n + 1
  local path = keep and ("%s/%d.%s"):format(keep, n, format) or os.tmpname() .. "." .. format
  local saved, message = pcall(model.save, model, path)
  local count = counts[format]
  if not saved then
    count.refused = count.refused + 1
    print(("refused %s %s: %s"):format(format, name, tostring(message)))
    return
  end
  local ok, result = pcall(function()
    local again = cornu.load(path)
    local exact = format == "cornu"
    return compare(want, outputs_of(case, again, given), exact and 0 or 1e-4, exact and 0 or 1e-5)
  end)
  if ok then count.equal = count.equal + 1 else count.failed = count.failed + 1 end
  if not ok or verbose then print((ok and "ok " or "FAILED ") .. format .. " " .. name .. ": " .. tostring(result)) end
  if ok and keep then kept[#kept + 1] = path .. "\t" .. name .. "\t" .. tostring(case.keras or "") end
  if not keep then os.remove(path) end
end

for _, name in ipairs(cases.named(root, list)) do
  local ok, case, _, model, given = pcall(cases.load, root .. "/" .. name)
  if ok then
    local run, want = pcall(outputs_of, case, model, given)
    for format in formats:gmatch "%S+" do
      if run then try(name, case, model, given, want, format) end
    end
    model:close()
  end
end
if keep then
  local f = assert(io.open(keep .. "/list.txt", "w"))
  f:write(table.concat(kept, "\n"), "\n")
  f:close()
end
for format in formats:gmatch "%S+" do
  local c = counts[format]
  print(("%s: %d equal, %d refused, %d failed"):format(format, c.equal, c.refused, c.failed))
end
