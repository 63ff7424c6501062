-- The REPL: expressions print themselves, statements run, unfinished lines go on, Tab completes, Ctrl-C interrupts.
local host = require "cornu.host"
local cornu = require "cornu"
local pretty = require "cornu.pretty"
local complete = require "cornu.complete"

local function coloured()
  return host.isatty "stdout" and not os.getenv "NO_COLOR" and os.getenv "TERM" ~= "dumb"
end

local function paint(code, text)
  return coloured() and ("\27[%sm%s\27[0m"):format(code, text) or text
end

local function history_file()
  local base = os.getenv "XDG_STATE_HOME"
  if not base or base == "" then
    local home = os.getenv "HOME"
    if not home then return nil end
    base = home .. "/.local/state"
  end
  local folder = base .. "/cornu"
  return host.mkdir(folder) and folder .. "/history" or nil
end

-- `?name` is help(name); `=expression` is the expression.
local function translate(line)
  local topic = line:match "^%s*%?+%s*(.-)%s*$"
  if topic then
    if topic == "" then return "help()" end
    return load("return " .. topic, "=stdin") and ("help(%s)"):format(topic) or ("help(%q)"):format(topic)
  end
  return (line:gsub("^%s*=", "", 1))
end

-- A chunk from the text so far; nil, "more" when it is unfinished; nil, message.
local function compile(text)
  local chunk = load("return " .. text, "=stdin")
  if chunk then return chunk end
  local message
  chunk, message = load(text, "=stdin")
  if chunk then return chunk end
  if message:find("<eof>", 1, true) then return nil, "more" end
  return nil, message
end

local function show(quiet, results)
  if results.n == 0 then return end
  _G._ = results[1]
  if quiet then return end
  local texts = {}
  for i = 1, results.n do texts[i] = pretty(results[i], { colour = coloured(), width = host.width "stdout" or 80 }) end
  print(table.concat(texts, #texts > 1 and "\t" or ""))
end

local function run(chunk, quiet)
  local start = cornu.clock()
  local results = table.pack(host.call(chunk))
  if not results[1] then
    print(paint("31", tostring(results[2])))
    return
  end
  table.remove(results, 1)
  results.n = results.n - 1
  local ok, message = host.call(show, quiet, results)
  if not ok then print(paint("31", tostring(message))) end
  local seconds = cornu.clock() - start
  if seconds > 1 then print(paint("90", ("%.2f s"):format(seconds))) end
end

-- Reads one chunk, asking for more lines while it is unfinished. -> chunk, text | false (cleared) | nil (end)
local function read_chunk(readline)
  local text
  while true do
    local line = readline(text and ".. " or "> ")
    if line == nil then return nil end
    if line == false then return false end
    text = text and text .. "\n" .. line or translate(line)
    if text:match "^%s*$" then return false end
    local chunk, message = compile((text:gsub(";%s*$", "")))
    if chunk then return chunk, text end
    if message ~= "more" then
      host.remember(text)
      print(paint("31", message))
      return false
    end
  end
end

local function plain_readline(prompt)
  io.write(prompt)
  io.flush()
  return io.read "l"
end

-- Lines broken between words to fit the terminal; what follows keeps the indentation.
local function wrap(text, width)
  return (text:gsub("[^\n]+", function(line)
    local indent = line:match "^%s*"
    local lines = {}
    while #line > width do
      local at = line:sub(#indent + 1, width + 1):match "^.*() "
      if not at then break end
      lines[#lines + 1] = line:sub(1, #indent + at - 1)
      line = indent .. line:sub(#indent + at + 1)
    end
    lines[#lines + 1] = line
    return table.concat(lines, "\n")
  end))
end

local function banner()
  print(("Cornu %s · %s · %s kernels · %d thread%s"):format(cornu.version, _VERSION, cornu.isa(), cornu.get_threads(),
    cornu.get_threads() == 1 and "" or "s"))
  print 'm = cornu.load "model.keras"   help() for help   Ctrl-D to leave'
end

return function(environment)
  for name, value in pairs(environment or {}) do _G[name] = value end
  _G.cornu = cornu
  _G.help = function(topic)
    local text = cornu.help(topic)
    if text then print(wrap(text, host.width "stdout" or 120)) end
  end
  local terminal = host.isatty "stdin" and host.isatty "stdout" and os.getenv "TERM" ~= "dumb"
  if terminal then
    banner()
    host.editor(history_file(), complete)
  end
  local readline = terminal and host.readline or plain_readline
  while true do
    local chunk, text = read_chunk(readline)
    if chunk == nil then break end
    if chunk then
      if terminal then host.remember((text:gsub("\n", " "))) end
      run(chunk, text:match ";%s*$" ~= nil)
    end
  end
  if terminal then
    host.edit_end()
    print()
  end
end
