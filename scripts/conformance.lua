-- Runs model cases (folders with case.json and io.npz) against the outputs kept with them.
-- usage: cornu scripts/conformance.lua CASES [--list FILE] [--verbose]
-- FILE names the cases that must pass, one SUITE/CASE a line; without it every case under CASES runs. The last line is
-- `N passed, N failed`.
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local cases = require "cases"

-- The first difference is an error: the dtype if one is given, the shape, a number.
local function check(label, got, want, dtype, rtol, atol)
  if dtype and got:dtype() ~= dtype then error(("%s is %s, expected %s"):format(label, got:dtype(), dtype), 0) end
  local shape, expected = table.concat(got:shape(), ","), table.concat(want:shape(), ",")
  if shape ~= expected then error(("%s has the shape (%s), expected (%s)"):format(label, shape, expected), 0) end
  local close, worst = got:allclose(want, rtol, atol)
  if not close then error(("%s differs by up to %.3g"):format(label, worst), 0) end
end

local function run(dir)
  local case, arrays, model, given = cases.load(dir)
  local outputs = case.call and model(given) or model:predict(given)
  if #case.outputs == 1 and not case.output_names then outputs = { outputs } end
  for i, name in ipairs(case.outputs) do
    local got = outputs[case.output_names and case.output_names[i] or i]
    local label = case.labels and ('output %d ("%s")'):format(i, case.labels[i]) or "output " .. i
    check(label, got, arrays[name], case.dtypes and case.dtypes[i], case.rtol or 1e-4, case.atol or 1e-5)
  end
end

local root, list, verbose
local i = 1
while arg[i] do
  if arg[i] == "--list" then
    i = i + 1
    list = arg[i]
  elseif arg[i] == "--verbose" then verbose = true
  else root = arg[i] end
  i = i + 1
end
if not root then
  io.stderr:write "usage: cornu scripts/conformance.lua CASES [--list FILE] [--verbose]\n"
  os.exit(2)
end

local passed, failed = 0, 0
for _, name in ipairs(cases.named(root, list)) do
  local ok, message = pcall(run, root .. "/" .. name)
  if ok then passed = passed + 1 else failed = failed + 1 end
  if not ok or verbose then print((ok and "ok " or "FAILED ") .. name .. (ok and "" or ": " .. tostring(message))) end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
