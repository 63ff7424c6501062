-- Writes the model of every case as a flat file, and its inputs and outputs as text, for tests/cross/cases.c.
-- usage: cornu scripts/plain_cases.lua CASES DIR
-- DIR/N.cornu and DIR/N.txt: the name, both tolerances, and arrays, each a line of what it is (in or out), its name or -,
-- dtype, rank, shape, and a line of its numbers, or of its texts' bytes as hexadecimal digits.
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local cases = require "cases"

local root, dir = arg[1], arg[2]
local n, left_out = 0, 0

local function flat(values, add)
  if type(values) ~= "table" then return add(values) end
  for _, v in ipairs(values) do flat(v, add) end
end

local function write(out, what, name, t)
  local texts = {}
  local is_text = t:dtype() == "string" or t:dtype() == "text"
  flat(t:totable(), function(v)
    if is_text then texts[#texts + 1] = "." .. v:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    else texts[#texts + 1] = type(v) == "boolean" and (v and "1" or "0") or ("%.17g"):format(v) end
  end)
  out:write(("%s %s %s %d %s\n%s\n"):format(what, name or "-", t:dtype(), #t:shape(), table.concat(t:shape(), " "),
                                           table.concat(texts, " ")))
end

local function export(name)
  local case, arrays, model = cases.load(root .. "/" .. name)
  if case.call then error("is called, not predicted", 0) end
  n = n + 1
  model:save(("%s/%d.cornu"):format(dir, n))
  local out = assert(io.open(("%s/%d.txt"):format(dir, n), "w"))
  out:write(("%s %.9g %.9g\n"):format(name, case.rtol or 1e-4, case.atol or 1e-5))
  for i, key in ipairs(case.inputs) do write(out, "in", case.input_names and case.input_names[i], arrays[key]) end
  for i, key in ipairs(case.outputs) do write(out, "out", case.output_names and case.output_names[i], arrays[key]) end
  out:close()
end

for _, name in ipairs(cases.find(root)) do
  local ok, message = pcall(export, name)
  if not ok then
    left_out = left_out + 1
    print(name .. ": " .. tostring(message))
  end
end
print(("%d cases written, %d left out"):format(n, left_out))
