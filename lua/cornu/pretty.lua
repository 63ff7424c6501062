-- Values as the REPL shows them: tables in braces with sorted keys, strings quoted inside, tensors and models by
-- their own text.
local function is_name(s)
  return type(s) == "string" and s:match "^[%a_][%w_]*$" ~= nil
end

local function order(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta == "number" or (tb ~= "number" and ta < tb) end
  if ta == "number" or ta == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function keys_of(t)
  local keys, n = {}, #t
  for k in pairs(t) do
    if not (math.type(k) == "integer" and k >= 1 and k <= n) then keys[#keys + 1] = k end
  end
  table.sort(keys, order)
  return keys, n
end

local function paint(options, code, text)
  return options.colour and ("\27[%sm%s\27[0m"):format(code, text) or text
end

local function plain_length(s)
  return utf8.len((s:gsub("\27%[%d*m", ""))) or #s
end

local render

local function render_table(t, options, depth, seen)
  if seen[t] then return "{…}" end
  local keys, n = keys_of(t)
  if n == 0 and #keys == 0 then return "{}" end
  if depth >= 5 then return "{…}" end
  seen[t] = true
  local items, most = {}, 100
  for i = 1, math.min(n, most) do items[#items + 1] = render(t[i], options, depth + 1, seen) end
  if n > most then items[#items + 1] = ("… %d more"):format(n - most) end
  for i = 1, math.min(#keys, most) do
    local k = keys[i]
    local name = is_name(k) and k or "[" .. render(k, options, depth + 1, seen) .. "]"
    items[#items + 1] = paint(options, "36", name) .. " = " .. render(t[k], options, depth + 1, seen)
  end
  if #keys > most then items[#items + 1] = ("… %d more"):format(#keys - most) end
  seen[t] = nil
  local line = "{ " .. table.concat(items, ", ") .. " }"
  if plain_length(line) + depth * 2 <= options.width and not line:find "\n" then return line end
  local pad = ("  "):rep(depth + 1)
  for i, item in ipairs(items) do items[i] = pad .. item:gsub("\n", "\n" .. pad) end
  return "{\n" .. table.concat(items, ",\n") .. "\n" .. ("  "):rep(depth) .. "}"
end

render = function(v, options, depth, seen)
  local kind = type(v)
  if kind == "string" then
    if depth == 0 then return v end
    return paint(options, "32", ("%q"):format(v):gsub("\\\n", "\\n"))
  end
  local meta = kind == "table" and getmetatable(v)
  if kind == "table" and not (meta and meta.__tostring) then return render_table(v, options, depth, seen) end
  local text = tostring(v)
  if kind == "number" then return paint(options, "33", text) end
  if depth > 0 and text:find "\n" then return (text:match "[^\n]*$" ~= "" and text:match "[^\n]*$") or text:match "[^\n]*" end
  return text
end

-- options: width (columns, 80), colour (false)
return function(v, options)
  options = { width = options and options.width or 80, colour = options and options.colour or false }
  return render(v, options, 0, {})
end
