-- Model cases: folders with case.json, a model and io.npz, for the scripts beside this file.
local cornu = require "cornu"
local host = require "cornu.host"
local files = require "files"

local cases = {}

-- The folders under root that hold a case.json.
function cases.find(root, prefix, found)
  prefix, found = prefix or "", found or {}
  for _, entry in ipairs(host.list(root .. "/" .. prefix) or {}) do
    if entry == "case.json" then found[#found + 1] = prefix:gsub("/$", "") end
    if entry:sub(-1) == "/" then cases.find(root, prefix .. entry, found) end
  end
  return found
end

-- The cases of a list (nil: all under root): of a file, one a line.
function cases.named(root, list)
  if not list then return cases.find(root) end
  local names = {}
  for line in io.lines(list) do names[#names + 1] = line end
  return names
end

-- -> what case.json says, the arrays of io.npz, the model, its inputs as predict takes them
function cases.load(dir)
  local case = cornu.json.decode(files.read(dir .. "/case.json"))
  local arrays = cornu.load_npz(dir .. "/io.npz")
  local options = { by_name = case.by_name, skip_mismatch = case.skip_mismatch, backend = case.backend }
  local model = case.weights and cornu.load(dir .. "/" .. case.model, dir .. "/" .. case.weights, options)
    or cornu.load(dir .. "/" .. case.model, options)
  local inputs = {}
  for i, name in ipairs(case.inputs) do inputs[case.input_names and case.input_names[i] or i] = arrays[name] end
  return case, arrays, model, (#case.inputs == 1 and not case.input_names) and inputs[1] or inputs
end

return cases
