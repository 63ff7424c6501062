-- What fit and evaluate show of how far they are: a bar with the time that is left, or a line for each epoch.
local core = require "cornu.core"

local progress = {}

local function terminal()
  local ok, host = pcall(require, "cornu.host")
  return ok and host.isatty "stdout" and os.getenv "TERM" ~= "dumb", ok and host or nil
end

local function duration(seconds)
  seconds = math.floor(seconds)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(math.floor(seconds / 3600), math.floor(seconds % 3600 / 60), seconds % 60)
  end
  if seconds >= 60 then return ("%d:%02d"):format(math.floor(seconds / 60), seconds % 60) end
  return ("%ds"):format(seconds)
end

local function per_step(seconds)
  if seconds >= 1 then return ("%.1fs/step"):format(seconds) end
  if seconds >= 1e-3 then return ("%.0fms/step"):format(seconds * 1e3) end
  return ("%.0fus/step"):format(seconds * 1e6)
end

local function value_text(v)
  if type(v) ~= "number" then return (tostring(v):gsub("\n.*", "")) end
  if v ~= v then return "nan" end
  return math.abs(v) > 1e-3 and ("%.4f"):format(v) or v == 0 and "0" or ("%.4e"):format(v)
end

local function values_text(logs, names)
  local parts, told = {}, {}
  local function put(name)
    if logs[name] ~= nil and not told[name] then
      told[name] = true
      parts[#parts + 1] = ("%s: %s"):format(name, value_text(logs[name]))
    end
  end
  for _, name in ipairs(names) do put(name) end
  local others = {}
  for name in pairs(logs) do others[#others + 1] = name end
  table.sort(others)
  for _, name in ipairs(others) do put(name) end
  return table.concat(parts, " - ")
end

local width, shortest = 20, 0.05 -- of the bar; seconds between two drawings

local Progress = {}
Progress.__index = Progress

-- One line of columns, so that "\r" returns to its beginning.
local function fit_line(text, columns)
  local line, n = {}, 0
  for character in text:gmatch "[%z\1-\127\194-\244][\128-\191]*" do
    n = n + 1
    if n >= columns then break end
    line[n] = character
  end
  return table.concat(line), n
end

function Progress:draw(batch, logs, names, final)
  local used, steps = core.clock() - self.start, self.steps
  local head = steps and ("%d/%d"):format(batch, steps) or tostring(batch)
  local bar = ""
  if steps then
    local filled = math.floor(width * math.min(batch / steps, 1))
    bar = " " .. ("━"):rep(filled) .. ("─"):rep(width - filled)
  end
  local left = not final and steps and batch > 0 and used / batch * (steps - batch)
  local text = ("%s%s %s %s - %s"):format(head, bar, duration(left or used), per_step(used / math.max(batch, 1)),
    values_text(logs, names))
  local line, length = fit_line(text, self.host and self.host.width "stdout" or 80)
  io.stdout:write("\r", final and text or line, (" "):rep(math.max((self.drawn or 0) - length, 0)), final and "\n" or "")
  io.stdout:flush()
  self.drawn = length
end

function Progress:begin(epoch)
  self.start, self.last, self.drawn, self.batch = core.clock(), 0, 0, 0
  if self.verbose == 1 and epoch then io.stdout:write(("Epoch %d/%d\n"):format(epoch, self.epochs)) end
end

-- After a batch; results() → logs, names is called when they are shown.
function Progress:tick(batch, results)
  self.batch = batch
  if self.verbose ~= 1 then return end
  local now = core.clock()
  if now - self.last < shortest then return end
  self.last = now
  self:draw(batch, results())
end

function Progress:finish(epoch, logs, names)
  if self.verbose == 1 then return self:draw(self.batch, logs, names, true) end
  if self.verbose ~= 2 then return end
  local used = core.clock() - self.start
  local head = epoch and ("Epoch %d/%d - "):format(epoch, self.epochs) or ""
  io.stdout:write(("%s%d steps - %s - %s - %s\n"):format(head, self.batch, duration(used),
    per_step(used / math.max(self.batch, 1)), values_text(logs, names)))
  io.stdout:flush()
end

-- verbose: 0, 1, 2, true, false or nil (1 at a terminal, else 2)
function progress.new(run, verbose)
  if verbose == true then verbose = 1 elseif verbose == false then verbose = 0 end
  local is_terminal, host = terminal()
  if verbose == nil or verbose == "auto" then verbose = is_terminal and 1 or 2 end
  if verbose ~= 0 and verbose ~= 1 and verbose ~= 2 then
    core.fail(("verbose: %s: 0, 1, 2 or nil expected"):format(tostring(verbose)))
  end
  return setmetatable({ verbose = verbose, host = host, epochs = run.epochs, steps = run.steps }, Progress)
end

return progress
