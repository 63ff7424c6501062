-- cornu.plot: pictures of lines, as PNG files or tensors.
local core = require "cornu.core"
local options = require "cornu.options"

-- Letters of 5 × 7 points: seven rows of five bits, the highest bit on the left. Small letters look like large ones.
local glyphs = {
  ["0"] = { 14, 17, 19, 21, 25, 17, 14 }, ["1"] = { 4, 12, 4, 4, 4, 4, 14 }, ["2"] = { 14, 17, 1, 6, 8, 16, 31 },
  ["3"] = { 14, 17, 1, 6, 1, 17, 14 }, ["4"] = { 2, 6, 10, 18, 31, 2, 2 }, ["5"] = { 31, 16, 30, 1, 1, 17, 14 },
  ["6"] = { 6, 8, 16, 30, 17, 17, 14 }, ["7"] = { 31, 1, 2, 4, 8, 8, 8 }, ["8"] = { 14, 17, 17, 14, 17, 17, 14 },
  ["9"] = { 14, 17, 17, 15, 1, 2, 12 }, A = { 14, 17, 17, 31, 17, 17, 17 }, B = { 30, 17, 17, 30, 17, 17, 30 },
  C = { 14, 17, 16, 16, 16, 17, 14 }, D = { 30, 17, 17, 17, 17, 17, 30 }, E = { 31, 16, 16, 30, 16, 16, 31 },
  F = { 31, 16, 16, 30, 16, 16, 16 }, G = { 14, 17, 16, 23, 17, 17, 15 }, H = { 17, 17, 17, 31, 17, 17, 17 },
  I = { 14, 4, 4, 4, 4, 4, 14 }, J = { 7, 2, 2, 2, 2, 18, 12 }, K = { 17, 18, 20, 24, 20, 18, 17 },
  L = { 16, 16, 16, 16, 16, 16, 31 }, M = { 17, 27, 21, 21, 17, 17, 17 }, N = { 17, 25, 25, 21, 19, 19, 17 },
  O = { 14, 17, 17, 17, 17, 17, 14 }, P = { 30, 17, 17, 30, 16, 16, 16 }, Q = { 14, 17, 17, 17, 21, 18, 13 },
  R = { 30, 17, 17, 30, 20, 18, 17 }, S = { 15, 16, 16, 14, 1, 1, 30 }, T = { 31, 4, 4, 4, 4, 4, 4 },
  U = { 17, 17, 17, 17, 17, 17, 14 }, V = { 17, 17, 17, 17, 10, 10, 4 }, W = { 17, 17, 17, 21, 21, 27, 17 },
  X = { 17, 17, 10, 4, 10, 17, 17 }, Y = { 17, 17, 10, 4, 4, 4, 4 }, Z = { 31, 1, 2, 4, 8, 16, 31 },
  ["."] = { 0, 0, 0, 0, 0, 12, 12 }, [","] = { 0, 0, 0, 0, 12, 4, 8 }, [":"] = { 0, 12, 12, 0, 12, 12, 0 },
  ["-"] = { 0, 0, 0, 31, 0, 0, 0 }, ["+"] = { 0, 4, 4, 31, 4, 4, 0 }, ["="] = { 0, 0, 31, 0, 31, 0, 0 },
  ["_"] = { 0, 0, 0, 0, 0, 0, 31 }, ["/"] = { 1, 1, 2, 4, 8, 16, 16 }, ["%"] = { 24, 25, 2, 4, 8, 19, 3 },
  ["("] = { 2, 4, 8, 8, 8, 4, 2 }, [")"] = { 8, 4, 2, 2, 2, 4, 8 }, ["*"] = { 0, 21, 14, 31, 14, 21, 0 },
  ["'"] = { 4, 4, 8, 0, 0, 0, 0 }, ["["] = { 14, 8, 8, 8, 8, 8, 14 }, ["]"] = { 14, 2, 2, 2, 2, 2, 14 },
  ["<"] = { 2, 4, 8, 16, 8, 4, 2 }, [">"] = { 8, 4, 2, 1, 2, 4, 8 }, ["?"] = { 14, 17, 1, 2, 4, 0, 4 },
  ["!"] = { 4, 4, 4, 4, 4, 0, 4 }, ["^"] = { 4, 10, 17, 0, 0, 0, 0 }, ["|"] = { 4, 4, 4, 4, 4, 4, 4 },
}
local ADVANCE, HEIGHT = 6, 7

-- Blue, orange, green, red, violet, brown, pink, grey.
local colours = { { 31, 119, 180 }, { 255, 127, 14 }, { 44, 160, 44 }, { 214, 39, 40 }, { 148, 103, 189 }, { 140, 86, 75 },
                  { 227, 119, 194 }, { 110, 110, 110 } }
local black, pale = { 40, 40, 40 }, { 225, 225, 225 }

-- ---- drawing ----

local function new_canvas(width, height)
  local c = { width = width, height = height }
  for i = 1, width * height * 3 do c[i] = 255 end
  return c
end

-- Lays a colour over the point; share: 0 to 1.
local function put(c, x, y, colour, share)
  if x < 0 or y < 0 or x >= c.width or y >= c.height then return end
  local at = (y * c.width + x) * 3
  for k = 1, 3 do c[at + k] = c[at + k] + (colour[k] - c[at + k]) * share end
end

-- A line of about two points' width with soft edges; dash: the length of what is drawn and of what is left out.
local function line(c, x0, y0, x1, y1, colour, dash, done)
  local dx, dy = x1 - x0, y1 - y0
  local length = math.max(math.abs(dx), math.abs(dy))
  for i = 0, math.floor(length + 0.5) do
    local part = length > 0 and math.min(1, i / length) or 0
    local x, y = x0 + dx * part, y0 + dy * part
    if not dash or (done + i) % (2 * dash) < dash then
      local steep = math.abs(dy) > math.abs(dx)
      local along, across = math.floor((steep and y or x) + 0.5), steep and x or y
      for k = math.floor(across - 1), math.floor(across + 2) do
        local share = math.max(0, math.min(1, 1.3 - math.abs(k - across)))
        put(c, steep and k or along, steep and along or k, colour, share)
      end
    end
  end
  return done + length
end

local function text(c, x, y, s, colour, upwards)
  for i = 1, #s do
    local rows = glyphs[s:sub(i, i):upper()]
    for row = 1, rows and HEIGHT or 0 do
      local bits = rows[row]
      for column = 4, 0, -1 do
        if bits % 2 == 1 then
          local along, down = (i - 1) * ADVANCE + column, row - 1
          put(c, upwards and x + down or x + along, upwards and y - along or y + down, colour, 1)
        end
        bits = math.floor(bits / 2)
      end
    end
  end
end

local function rectangle(c, x0, y0, x1, y1, colour)
  for x = x0, x1 do put(c, x, y0, colour, 1) put(c, x, y1, colour, 1) end
  for y = y0, y1 do put(c, x0, y, colour, 1) put(c, x1, y, colour, 1) end
end

-- ---- scales ----

-- Round numbers between the ends, about `count` of them.
local function ticks(low, high, count)
  local raw = (high - low) / count
  local power = 10 ^ math.floor(math.log(raw) / math.log(10))
  local step = power * 10
  for _, factor in ipairs { 1, 2, 5 } do
    if power * factor >= raw then
      step = power * factor
      break
    end
  end
  local list = {}
  for i = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do list[#list + 1] = i * step end
  return list
end

-- Powers of ten, or of two between them when there are few.
local function log_ticks(low, high)
  local list = {}
  for p = math.floor(low), math.ceil(high) do
    for _, factor in ipairs(high - low < 2 and { 1, 2, 5 } or { 1 }) do
      local v = p + math.log(factor) / math.log(10)
      if v >= low - 1e-9 and v <= high + 1e-9 then list[#list + 1] = v end
    end
  end
  return list
end

local function number_text(v)
  if math.abs(v) < 1e-12 then return "0" end
  return ("%.4g"):format(v)
end

local function numbers(v, what)
  if core.type(v) == "tensor" then v = v:reshape { -1 }:totable() end
  if type(v) ~= "table" then core.fail("plot.lines: " .. what .. " is no list of numbers") end
  for i = 1, #v do
    if type(v[i]) ~= "number" then core.fail(("plot.lines: %s[%d] is no number"):format(what, i)) end
  end
  return v
end

-- {name =, x = {…}, y = {…}, colour =, dash =} of each line.
local function read_series(given)
  local list = {}
  for i, s in ipairs(given) do
    local plain = core.type(s) == "tensor" or type(s) == "table" and s.y == nil
    local y = numbers(plain and s or s.y, ("line %d"):format(i))
    local x = not plain and s.x and numbers(s.x, ("x of line %d"):format(i)) or nil
    if x and #x ~= #y then core.fail(("plot.lines: line %d has %d x and %d y"):format(i, #x, #y)) end
    list[i] = { name = not plain and s.name or nil, x = x, y = y, dash = not plain and s.dash and 6 or nil,
                colour = not plain and s.colour or colours[(i - 1) % #colours + 1] }
  end
  if #list == 0 then core.fail "plot.lines: there is no line" end
  return list
end

local function finite(v) return v == v and v < math.huge and v > -math.huge end

local function bounds(list, o)
  local x0, x1, y0, y1 = math.huge, -math.huge, math.huge, -math.huge
  for _, s in ipairs(list) do
    for i, v in ipairs(s.y) do
      local x, y = s.x and s.x[i] or i, v
      if o.log then y = y > 0 and math.log(y) / math.log(10) or -math.huge end
      if finite(x) and finite(y) then
        x0, x1, y0, y1 = math.min(x0, x), math.max(x1, x), math.min(y0, y), math.max(y1, y)
      end
    end
  end
  if x0 > x1 then core.fail "plot.lines: there is no point to draw" end
  if x0 == x1 then x0, x1 = x0 - 0.5, x1 + 0.5 end
  local margin = y0 == y1 and 0.5 or (y1 - y0) * 0.04
  return x0, x1, y0 - margin, y1 + margin
end

-- ---- the picture ----

local function draw_axes(c, o, box, to_x, to_y, limits)
  local x_ticks = ticks(limits[1], limits[2], math.max(2, (box[3] - box[1]) / 80))
  local low, high = limits[3], limits[4]
  local y_ticks = o.log and log_ticks(low, high) or ticks(low, high, math.max(2, (box[4] - box[2]) / 40))
  for _, v in ipairs(x_ticks) do
    local x, s = math.floor(to_x(v) + 0.5), number_text(v)
    for y = box[2], box[4] do put(c, x, y, pale, 1) end
    text(c, x - math.floor(#s * ADVANCE / 2), box[4] + 6, s, black)
  end
  for _, v in ipairs(y_ticks) do
    local y, s = math.floor(to_y(v) + 0.5), number_text(o.log and 10 ^ v or v)
    for x = box[1], box[3] do put(c, x, y, pale, 1) end
    text(c, box[1] - 5 - #s * ADVANCE, y - 3, s, black)
  end
  rectangle(c, box[1], box[2], box[3], box[4], black)
  if o.title then text(c, math.floor((c.width - #o.title * ADVANCE) / 2), 8, o.title, black) end
  if o.x then text(c, math.floor((box[1] + box[3] - #o.x * ADVANCE) / 2), c.height - 13, o.x, black) end
  if o.y then text(c, 6, math.floor((box[2] + box[4] + #o.y * ADVANCE) / 2), o.y, black, true) end
end

local function draw_series(c, s, to_x, to_y, log)
  local last_x, last_y, done = nil, nil, 0
  for i, v in ipairs(s.y) do
    local value = v
    if log then value = v > 0 and math.log(v) / math.log(10) or -math.huge end
    local x, y = to_x(s.x and s.x[i] or i), finite(value) and to_y(value) or nil
    if y and finite(x) then
      done = line(c, last_y and last_x or x, last_y or y, x, y, s.colour, s.dash, done)
    end
    last_x, last_y = x, y
  end
end

local function draw_names(c, list, box)
  local y = box[2] + 8
  for _, s in ipairs(list) do
    if s.name then
      local x = box[3] - 34 - #s.name * ADVANCE
      line(c, x, y + 3, x + 22, y + 3, s.colour, s.dash, 0)
      text(c, x + 28, y, s.name, black)
      y = y + 13
    end
  end
end

local known = { "height", "log", "path", "title", "width", "x", "y" }

local plot = {}

-- lines{line, …; path =, title =, x =, y =, log =, width =, height =} → the picture
function plot.lines(given)
  if type(given) ~= "table" then core.fail "plot.lines: a table of lines and options expected" end
  local o = {}
  for k, v in pairs(given) do
    if type(k) ~= "number" then o[k] = v end
  end
  options.check(o, known, "plot.lines")
  local width, height = math.floor(o.width or 640), math.floor(o.height or 400)
  if width < 160 or height < 120 or width * height > 2 ^ 24 then
    core.fail "plot.lines: a size from 160 × 120 to 2^24 points"
  end
  local list = read_series(given)
  local x0, x1, y0, y1 = bounds(list, o)
  local c = new_canvas(width, height)
  local box = { o.y and 74 or 60, o.title and 24 or 12, width - 16, height - (o.x and 38 or 24) }
  local function to_x(v) return box[1] + (v - x0) / (x1 - x0) * (box[3] - box[1]) end
  local function to_y(v) return box[4] - (v - y0) / (y1 - y0) * (box[4] - box[2]) end
  draw_axes(c, o, box, to_x, to_y, { x0, x1, y0, y1 })
  for _, s in ipairs(list) do draw_series(c, s, to_x, to_y, o.log) end
  draw_names(c, list, box)
  local bytes = {}
  for i = 1, width * height * 3 do bytes[i] = string.char(math.floor(c[i] + 0.5)) end
  local picture = core.frombytes(table.concat(bytes), "uint8", height, width, 3)
  if o.path then core.image_save(o.path, picture) end
  return picture
end

return plot
