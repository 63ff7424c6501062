-- Compares the example with what real Keras gave: every picture, every kept inner output, both file formats.
local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. package.path
local digits = require "digits"
local host = require "cornu.host"

local want = cornu.load_npz(folder .. "/expected.npz")
local passed, failed = 0, 0
local function check(what, got, expected)
  local close, worst = got:allclose(expected, 1e-4, 1e-5)
  if close then passed = passed + 1 else failed = failed + 1 end
  if not close then print(("%s differs by up to %.3g"):format(what, worst)) end
end

local inputs = {}
for _, name in ipairs(assert(host.list(folder .. "/images"))) do inputs[#inputs + 1] = digits.input(folder .. "/images/" .. name) end
local x = cornu.concat(inputs, 1)
check("the input", x, want.inputs)
for _, file in ipairs { "digits.keras", "digits.h5" } do
  local model = cornu.load(folder .. "/" .. file)
  check(file, model:predict(x), want.outputs)
  for name, after in pairs(want) do
    local n = tonumber(name:match "^after_(%d+)$")
    if n then check(file .. " after layer " .. n, model[{ 1, n }](x[{ { 1, #after } }]), after) end
  end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
