-- Model cases give the same bits with 1, 2, 3 and 4 threads, as they are and with their rows repeated, so that there is
-- work to share. What does not run with one thread is passed over.
-- usage: cornu scripts/same_bits.lua CASES [--list FILE] [--repeat N]
-- The last line is `N passed, N failed`.
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local cornu = require "cornu"
local cases = require "cases"

local function bytes_of(outputs)
  if cornu.type(outputs) == "tensor" then outputs = { outputs } end
  local keys, parts = {}, {}
  for key in pairs(outputs) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do
    local t = outputs[key]
    parts[i] = t:dtype() == "string" and tostring(t) or t:tobytes()
  end
  return parts, keys
end

local function run(model, given, threads)
  cornu.set_threads(threads)
  model:reset_states()
  return bytes_of(model(given))
end

-- Whether it runs; raises where the number of threads shows.
local function compare(model, given, name)
  local ok, expected = pcall(run, model, given, 1)
  if not ok then return false end
  for threads = 2, 4 do
    local got, keys = run(model, given, threads)
    for i, bytes in ipairs(got) do
      if bytes ~= expected[i] then
        error(("%s: output %s differs with %d threads"):format(name, tostring(keys[i]), threads), 0)
      end
    end
  end
  return true
end

local function repeat_rows(given, times)
  if cornu.type(given) == "tensor" then
    local rows = {}
    for i = 1, times do rows[i] = given end
    return cornu.concat(rows, { axis = 1 })
  end
  local out = {}
  for key, t in pairs(given) do out[key] = repeat_rows(t, times) end
  return out
end

local function check(dir, name, times)
  local _, _, model, given = cases.load(dir)
  local ran = compare(model, given, name)
  local ok, more = pcall(repeat_rows, given, times)
  if ok and compare(model, more, name .. ", rows repeated") then return ran, true end
  return ran, false
end

local root, list, times, i = nil, nil, 40, 1
while arg[i] do
  if arg[i] == "--list" then i, list = i + 1, arg[i + 1]
  elseif arg[i] == "--repeat" then i, times = i + 1, tonumber(arg[i + 1])
  else root = arg[i] end
  i = i + 1
end
if not root or not times then
  io.stderr:write "usage: cornu scripts/same_bits.lua CASES [--list FILE] [--repeat N]\n"
  os.exit(2)
end

local passed, failed, repeated = 0, 0, 0
for _, name in ipairs(cases.named(root, list)) do
  local ok, ran, more = pcall(check, root .. "/" .. name, name, times)
  if not ok and tostring(ran):find("differs with", 1, true) then
    failed = failed + 1
    print("FAILED " .. ran)
  elseif ok and ran then
    passed, repeated = passed + 1, repeated + (more and 1 or 0)
  end
end
print(("%d of them with rows repeated"):format(repeated))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
