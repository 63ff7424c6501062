-- Loads and runs damaged variants of one model file: an error or a result is fine, a crash, a leak or a hang is not.
-- scripts/damage.sh calls it, for the process that runs a variant may die.
-- usage: cornu scripts/damage.lua --list FOLDER
--        cornu scripts/damage.lua FILE [MODEL WEIGHTS] [--from N] [--to N] [--cuts N] [--flips N] [--edits N]
--            [--folder DIR] [--write OUT]
-- --list prints what there is to damage, a file a line, tab between: FILE, MODEL, WEIGHTS (the last two where the file
-- is one of a pair that case.json names). Variant 0 is the file as it is, 1 to CUTS are cut short, then come FLIPS with
-- one to eight changed bytes, one with fifty, and EDITS whose JSON stays JSON with other numbers and names in it. In
-- half of the changed .keras archives, and in all edited ones, the checksums are right for the changed bytes, so that
-- readers of the entries see them. Each variant prints `begin N` before and `end N RESULT SECONDS MESSAGE` after, tab
-- between; RESULT is "error", "result" or "bug" (Lua code of ours that failed). --write only writes variant FROM to OUT
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local cornu = require "cornu"
local host = require "cornu.host"
local files = require "files"
local read, write = files.read, files.write

local SEED = 20261121
local UNKNOWN = 3 -- the size of a dimension that the model leaves open

local function case_of(folder)
  local f = io.open(folder .. "/case.json", "rb")
  if not f then return nil end
  f:close()
  return cornu.json.decode(read(folder .. "/case.json"))
end

-- ---- What there is ----

local kinds = { h5 = true, json = true, keras = true, cornu = true }

local function list(folder)
  local case = case_of(folder)
  for _, entry in ipairs(host.list(folder) or {}) do
    if entry:sub(-1) == "/" then list(folder .. "/" .. entry:sub(1, -2))
    elseif entry ~= "case.json" and kinds[entry:match "%.([^.]*)$"] then
      local paired = case and case.weights and (entry == case.model or entry == case.weights)
      print(table.concat({ folder .. "/" .. entry, paired and folder .. "/" .. case.model or "-",
                           paired and folder .. "/" .. case.weights or "-" }, "\t"))
    end
  end
end

-- ---- Variants ----

local function cut(content, number, cuts)
  if number == cuts then return content:sub(1, -2) end
  return content:sub(1, #content * (number - 1) // cuts)
end

-- Half of the variants change bytes anywhere; the others change them near the marks of a container's own records, which
-- are few among the bytes of weights.
local marks = { "TREE", "SNOD", "HEAP", "OHDR", "GCOL", "FRHP", "FHDB", "BTHD", "OCHK", "\137HDF", "PK\1\2", "PK\3\4",
                "PK\5\6" }

-- What `find` finds in the file, kept for its next variant.
local kept = {}
local function keep(find, content)
  local old = kept[find]
  if old == nil or old.content ~= content then kept[find] = { content = content, found = find(content) } end
  return kept[find].found
end

local function marked_places(content)
  local found = {}
  for _, mark in ipairs(marks) do
    local at = content:find(mark, 1, true)
    while at do
      found[#found + 1] = at
      at = content:find(mark, at + 1, true)
    end
  end
  return found
end

local function flip(content, count, near)
  local places = near and keep(marked_places, content) or {}
  local changed = {}
  for _ = 1, count do
    local at = math.random(#content)
    if #places > 0 then at = math.min(places[math.random(#places)] + math.random(0, 255), #content) end
    local byte = changed[at] or content:byte(at)
    -- one bit, or any other value
    changed[at] = byte ~ (math.random(2) == 1 and 1 << math.random(0, 7) or math.random(255))
  end
  local order, parts, from = {}, {}, 1
  for at in pairs(changed) do order[#order + 1] = at end
  table.sort(order)
  for _, at in ipairs(order) do
    parts[#parts + 1] = content:sub(from, at - 1) .. string.char(changed[at])
    from = at + 1
  end
  return table.concat(parts) .. content:sub(from)
end

-- ---- Checksums of zip entries ----

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and 0xEDB88320 ~ (c >> 1) or c >> 1 end
  crc_table[i] = c
end

local function crc32(s)
  local c = 0xFFFFFFFF
  for i = 1, #s do c = crc_table[(c ~ s:byte(i)) & 0xFF] ~ (c >> 8) end
  return c ~ 0xFFFFFFFF
end

local function put(s, at, bytes) return s:sub(1, at - 1) .. bytes .. s:sub(at + #bytes) end

-- Gives the stored entries of an archive the checksums of their bytes in `changed`; `content` tells where they are.
local function mend(content, changed)
  local at = content:find("PK\1\2", 1, true)
  while at and content:sub(at, at + 3) == "PK\1\2" do
    local method, _, _, size, name, extra, comment = ("<I2"):unpack(content, at + 10), ("<I4"):unpack(content, at + 16),
      ("<I4"):unpack(content, at + 20), ("<I4"):unpack(content, at + 24), ("<I2"):unpack(content, at + 28),
      ("<I2"):unpack(content, at + 30), ("<I2"):unpack(content, at + 32)
    local header = ("<I4"):unpack(content, at + 42) + 1
    if method == 0 then
      local first = header + 30 + ("<I2"):unpack(content, header + 26) + ("<I2"):unpack(content, header + 28)
      local now = changed:sub(first, first + size - 1)
      if now ~= content:sub(first, first + size - 1) then
        local sum = ("<I4"):pack(crc32(now))
        changed = put(put(changed, header + 14, sum), at + 16, sum)
      end
    end
    at = at + 46 + name + extra + comment
  end
  return changed
end

-- ---- Edits of JSON ----

local values = { "0", "1", "-1", "2", "3", "7", "9", "64", "-2", "-9", "0.5", "1e9", "-1e9", "1e30", "1e308", "-1e308",
                 "1000", "99999", "65536", "100000000", "2147483647", "2147483648", "-2147483648", "4294967296",
                 "9223372036854775807", "-9223372036854775808", "1e19", "NaN", "Infinity", "null", "true", "false",
                 "[]", "{}", "\"\"", "[1]", "[0]", "[-1]", "[null]", "[[]]", "[1,2,3,4,5,6,7,8,9]", "\"x\"" }

-- The numbers, names of values and texts of JSON in `content`: lists of {first, last}.
local function find_tokens(content)
  local found = { values = {}, texts = {} }
  for first, token, behind in content:gmatch "[:%[,]%s*()([%-%w%.%+]+)%s*()[,%]}]" do
    if tonumber(token) or token == "null" or token == "true" or token == "false" then
      table.insert(found.values, { first, first + #token - 1 })
    end
  end
  for first, token in content:gmatch "[:%[]%s*\"()([%w_%-/ :]+)\"" do
    table.insert(found.texts, { first, first + #token - 1 })
  end
  return found
end

-- Other text for one token; in a container it must keep its length, so it is filled up with blanks.
local function edit(content, tokens, free)
  local kind = math.random(3) > 1 and tokens.values or tokens.texts
  if #kind == 0 then return content end
  local at = kind[math.random(#kind)]
  local room = at[2] - at[1] + 1
  for _ = 1, 50 do
    local new
    if kind == tokens.values then new = values[math.random(#values)]
    else
      local other = kind[math.random(#kind)]
      new = content:sub(other[1], other[2])
    end
    if not free and kind == tokens.values and #new < room then new = new .. (" "):rep(room - #new) end
    if (free or #new == room) and new ~= content:sub(at[1], at[2]) then
      return content:sub(1, at[1] - 1) .. new .. content:sub(at[2] + 1)
    end
  end
  return content
end

-- ---- All kinds ----

local function variant(content, number, task)
  if number == 0 or #content == 0 then return content end
  if number <= task.cuts then return cut(content, number, task.cuts) end
  math.randomseed(SEED + number, #content)
  local zip = content:sub(1, 2) == "PK"
  local first_edit = task.cuts + task.flips + 2
  if number == first_edit - 1 then return flip(content, 50, false) end
  local changed = content
  if number >= first_edit then
    local free = content:find "^%s*[{%[]"
    for _ = 1, math.random(3) do
      changed = edit(changed, free and find_tokens(changed) or keep(find_tokens, content), free)
    end
    return zip and mend(content, changed) or changed
  end
  changed = flip(content, math.random(2) == 1 and 1 or math.random(8), number % 2 == 0)
  return zip and number % 4 < 2 and mend(content, changed) or changed
end

-- ---- Running ----

local function zeros(port)
  local shape = {}
  for i, n in ipairs(port.shape) do shape[i] = n and n >= 0 and n or UNKNOWN end
  return cornu.zeros(shape, port.dtype)
end

local function inputs_of(model, case, arrays)
  local inputs = {}
  if case and arrays then
    for i, name in ipairs(case.inputs) do inputs[case.input_names and case.input_names[i] or i] = arrays[name] end
    return (#case.inputs == 1 and not case.input_names) and inputs[1] or inputs
  end
  for i, port in ipairs(model.inputs) do inputs[i] = zeros(port) end
  return #inputs == 1 and inputs[1] or inputs
end

local function run(path, task)
  local options = task.case and { by_name = task.case.by_name, backend = task.case.backend } or {}
  local model
  if task.model == task.file then model = cornu.load(path, task.weights, options)
  elseif task.model then model = cornu.load(task.model, path, options)
  else model = cornu.load(path, options) end
  model:predict(inputs_of(model, task.case, task.arrays))
end

local function try(path, task)
  local ok, message = pcall(run, path, task)
  message = ok and "" or tostring(message):gsub("%s+", " ")
  local bug = message:find "attempt to %a+" or message:find "bad argument"
  return ok and "result" or bug and "bug" or "error", message
end

local function run_all(task)
  local folder = task.folder or "."
  local path = ("%s/variant.%s"):format(folder, task.file:match "%.([^./]*)$")
  local content = read(task.file)
  local parent = task.file:match "^(.*)/[^/]*$" or "."
  task.case = case_of(parent)
  if task.case then
    local ok, arrays = pcall(cornu.load_npz, parent .. "/io.npz")
    if ok and task.case.inputs then task.arrays = arrays else task.arrays = nil end
  end
  for number = task.from, task.to do
    write(path, variant(content, number, task))
    io.write("begin\t", number, "\n")
    io.flush()
    local start = cornu.clock()
    local result, message = try(path, task)
    collectgarbage()
    io.write(("end\t%d\t%s\t%.2f\t%s\n"):format(number, result, cornu.clock() - start, message))
    io.flush()
  end
  os.remove(path)
end

-- ---- Arguments ----

local function usage(what)
  io.stderr:write("damage.lua: ", what, "\nusage: cornu scripts/damage.lua --list FOLDER | FILE [MODEL WEIGHTS] ",
                  "[--from N] [--to N] [--cuts N] [--flips N] [--edits N] [--folder DIR] [--write OUT]\n")
  os.exit(2)
end

local numbers = { from = true, to = true, cuts = true, flips = true, edits = true }
local texts = { folder = true, write = true, list = true }
local task, names, i = { cuts = 20, flips = 50, edits = 30, from = 0 }, {}, 1
while arg[i] do
  local option = arg[i]:match "^%-%-(.*)$"
  if not option then names[#names + 1] = arg[i]
  else
    i = i + 1
    if numbers[option] then
      task[option] = math.tointeger(tonumber(arg[i])) or usage(("--%s takes a number"):format(option))
    elseif texts[option] then task[option] = arg[i] or usage(("--%s takes a name"):format(option))
    else usage(("no option --%s"):format(option)) end
  end
  i = i + 1
end

if task.list then
  list(task.list)
  return
end
if #names ~= 1 and #names ~= 3 then usage "expected one file, or a file and its pair" end
task.file = names[1]
if names[2] and names[2] ~= "-" then task.model, task.weights = names[2], names[3] end
task.to = task.to or task.cuts + task.flips + 1 + task.edits
if task.write then write(task.write, variant(read(task.file), task.from, task)) else run_all(task) end
