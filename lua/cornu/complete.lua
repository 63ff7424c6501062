-- Completion at the prompt: names of globals, fields and methods, layer names, and file names inside strings.
local host = require "cornu.host"

local keywords = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
  "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }

-- The text after the quote when the cursor is inside a string of this line, and the quote.
local function open_string(text)
  local quote, start, i = nil, nil, 1
  while i <= #text do
    local c = text:sub(i, i)
    if quote then
      if c == "\\" then i = i + 1 elseif c == quote then quote = nil end
    elseif c == '"' or c == "'" then
      quote, start = c, i + 1
    end
    i = i + 1
  end
  if quote then return text:sub(start), quote end
end

-- The only file that fits gets its closing quote.
local function files(partial, quote)
  local folder, name = partial:match "^(.*/)([^/]*)$"
  folder, name = folder or "", name or partial
  local place = folder == "" and "." or folder
  if place:sub(1, 2) == "~/" then place = (os.getenv "HOME" or "~") .. place:sub(2) end
  local found = {}
  for _, entry in ipairs(host.list(place) or {}) do
    if entry:sub(1, #name) == name and (name ~= "" or entry:sub(1, 1) ~= ".") then found[#found + 1] = folder .. entry end
  end
  if #found == 1 and found[1]:sub(-1) ~= "/" then found[1] = found[1] .. quote end
  return #partial, found
end

-- Follows a.b.c without calling anything but __index of known kinds.
local function value_of(path)
  local v = _G
  for name in path:gmatch "[^.:]+" do
    local ok, next_value = pcall(function() return v[name] end)
    if not ok or next_value == nil then return nil end
    v = next_value
  end
  return v
end

local function add_names(t, add)
  if type(t) == "table" then for k in pairs(t) do if type(k) == "string" then add(k) end end end
end

-- Every name that `v` answers to: fields, what its metatable indexes, and what it lists itself (__names).
local function names_of(v, add, methods_only)
  if type(v) == "table" and not methods_only then add_names(v, add) end
  if type(v) == "table" and methods_only then
    for k, f in pairs(v) do if type(k) == "string" and type(f) == "function" then add(k) end end
  end
  local meta = debug.getmetatable(v)
  if type(meta) ~= "table" then return end
  if meta.__names then for _, name in ipairs(meta.__names(v, methods_only)) do add(name) end end
  if type(meta.__index) == "table" then add_names(meta.__index, add) end
end

-- complete(text before the cursor) -> bytes to replace, candidates
return function(text)
  local partial, quote = open_string(text)
  if partial then return files(partial, quote) end
  local path, separator, name = text:match "([%a_][%w_.:]*)([.:])([%w_]*)$"
  local found, seen = {}, {}
  name = name or text:match "[%a_][%w_]*$" or ""
  local function add(candidate)
    if seen[candidate] or candidate:sub(1, #name) ~= name or (name == "" and candidate:sub(1, 1) == "_") then return end
    seen[candidate] = true
    found[#found + 1] = candidate
  end
  if path then
    local v = value_of(path)
    if v ~= nil then names_of(v, add, separator == ":") end
  else
    if name == "" then return 0, {} end
    add_names(_G, add)
    for _, word in ipairs(keywords) do add(word) end
  end
  table.sort(found)
  return #name, found
end
