-- What plan:profile gives, as text, as a picture (SVG) and as JSON.
local json = require("cornu.core").json

local report = {}

local function shape_text(step)
  local text = table.concat(step.shape, "x")
  return text == "" and "scalar" or text
end

local function rate(amount, seconds) return seconds > 0 and amount / seconds / 1e9 or 0 end

-- Three digits, and no more of them after the point than tell something.
local function digits(x)
  if x == 0 then return "" end
  return (x >= 99.5 and "%.0f" or x >= 9.95 and "%.1f" or "%.2f"):format(x)
end

local function micros(seconds)
  local us = seconds * 1e6
  return (us >= 1000 and "%.0f" or us >= 100 and "%.1f" or "%.2f"):format(us)
end

-- ---- text ----

local function length(s) return utf8.len(s) or #s end

-- s in at most n columns: the middle goes.
local function shorten(s, n)
  if length(s) <= n then return s end
  if not utf8.len(s) then return s:sub(1, n) end
  local front = n // 2
  local back = n - front - 1
  return s:sub(1, utf8.offset(s, front + 1) - 1) .. "…" .. (back > 0 and s:sub(utf8.offset(s, -back)) or "")
end

local function pad(s, n, right)
  local space = (" "):rep(n - length(s))
  return right and space .. s or s .. space
end

local columns = { -- title, right-aligned, text of a step
  { "#", true, function(s) return tostring(s.number) end },
  { "operation", false, function(s) return s.op end },
  { "layer", false, function(s) return s.layer end },
  { "output", false, shape_text },
  { "kernel", false, function(s) return s.variant end },
  { "µs", true, function(s) return micros(s.minimum) end },
  { "median", true, function(s) return micros(s.median) end },
  { "share", true, function(s) return ("%.1f%%"):format(100 * s.share) end },
  { "GFLOP/s", true, function(s) return digits(rate(s.flops, s.minimum)) end },
  { "GB/s", true, function(s) return digits(rate(s.bytes, s.minimum)) end },
}
local LAYER = 3

-- The rows of texts as lines of at most `width` columns; columns without texts are left out.
local function lay_out(rows, width)
  local widths, total = {}, 0
  for k, column in ipairs(columns) do
    widths[k] = 0
    for _, row in ipairs(rows) do widths[k] = math.max(widths[k], length(row[k])) end
    if widths[k] > 0 then
      widths[k] = math.max(widths[k], length(column[1]))
      total = total + widths[k] + 1
    end
  end
  local excess = math.max(0, total - 1 - width)
  if widths[LAYER] > 0 then widths[LAYER] = math.max(8, widths[LAYER] - excess) end
  local lines = {}
  for i = 0, #rows do
    local parts = {}
    for k, column in ipairs(columns) do
      local text = i == 0 and column[1] or rows[i][k]
      if widths[k] > 0 then parts[#parts + 1] = pad(shorten(text, widths[k]), widths[k], column[2]) end
    end
    lines[i] = table.concat(parts, " "):gsub("%s+$", "")
  end
  return lines
end

-- Sums by operation, the slowest first.
local function by_operation(list)
  local sums, order = {}, {}
  for _, step in ipairs(list) do
    local sum = sums[step.op]
    if not sum then
      sum = { op = step.op, steps = 0, seconds = 0, share = 0, flops = 0, bytes = 0 }
      sums[step.op], order[#order + 1] = sum, sum
    end
    sum.steps = sum.steps + 1
    sum.seconds, sum.share = sum.seconds + step.minimum, sum.share + step.share
    sum.flops, sum.bytes = sum.flops + step.flops, sum.bytes + step.bytes
  end
  table.sort(order, function(a, b)
    if a.seconds ~= b.seconds then return a.seconds > b.seconds end
    return a.op < b.op
  end)
  return order
end

local function sorted(list, by_time)
  local steps = {}
  for i, step in ipairs(list) do
    step.number = i
    steps[i] = step
  end
  if by_time then
    table.sort(steps, function(a, b)
      if a.minimum ~= b.minimum then return a.minimum > b.minimum end
      return a.number < b.number
    end)
  end
  return steps
end

local function paint(line, share, colour)
  if not colour or (share < 0.1 and share >= 0.01) then return line end
  return (share >= 0.1 and "\27[1m" or "\27[2m") .. line .. "\27[0m"
end

-- options: sort ("time"), width (columns, 100), colour: strong from 10 % of the time on, faint below 1 %
function report.text(list, options)
  local steps, rows, out = sorted(list, options.sort == "time"), {}, {}
  for i, step in ipairs(steps) do
    rows[i] = {}
    for k, column in ipairs(columns) do rows[i][k] = column[3](step) end
  end
  local lines = lay_out(rows, options.width or 100)
  out[1] = lines[0]
  for i, step in ipairs(steps) do out[#out + 1] = paint(lines[i], step.share, options.colour) end
  local flops = 0
  out[#out + 1] = ("\n%-20s %6s %12s %7s %9s %7s"):format("operation", "steps", "       µs", "share", "GFLOP/s", "GB/s")
  for _, sum in ipairs(by_operation(list)) do
    flops = flops + sum.flops
    out[#out + 1] = ("%-20s %6d %11s %6.1f%% %9s %7s"):format(sum.op, sum.steps, micros(sum.seconds), 100 * sum.share,
      digits(rate(sum.flops, sum.seconds)), digits(rate(sum.bytes, sum.seconds))):gsub("%s+$", "")
  end
  out[#out + 1] = ("%-20s %6d %11s %6.1f%% %9s"):format("all", #list, micros(list.seconds), 100,
    digits(rate(flops, list.seconds))):gsub("%s+$", "")
  return table.concat(out, "\n") .. "\n"
end

-- ---- JSON ----

function report.json(list)
  local out = setmetatable({}, json.array)
  for i, s in ipairs(list) do
    out[i] = { op = s.op, layer = s.layer, variant = s.variant, dtype = s.dtype, minimum = s.minimum, median = s.median,
      shape = setmetatable(s.shape, json.array), inputs = setmetatable(s.inputs, json.array), flops = s.flops,
      bytes = s.bytes, share = s.share }
  end
  return out
end

-- ---- picture ----

local ROW, TOP, LANE = 20, 96, 9
local colours = { "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e" }
local OTHER = "#9498a0"

local escapes = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }
local function escape(s) return (s:gsub('[&<>"]', escapes):gsub("%c", " ")) end

-- Each edge that skips steps gets a lane beside the steps: {from, to, lane}; and the number of lanes.
local function lay_edges(list)
  local edges, ends = {}, {}
  for to, step in ipairs(list) do
    for _, from in ipairs(step.inputs) do edges[#edges + 1] = { from, to, 0 } end
  end
  table.sort(edges, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end)
  for _, edge in ipairs(edges) do
    if edge[2] > edge[1] + 1 then
      local lane = 1
      while ends[lane] and ends[lane] > edge[1] do lane = lane + 1 end
      ends[lane], edge[3] = edge[2], lane
    end
  end
  return edges, #ends
end

local function row_y(i) return TOP + ROW * (i - 1) + ROW / 2 end

-- A line down to the next step, or around those between.
local function edge_path(edge, x)
  local a, b = row_y(edge[1]), row_y(edge[2])
  if edge[3] == 0 then return ("M%g %gV%g"):format(x, a, b) end
  local side = x - LANE * edge[3]
  return ("M%g %gH%gQ%g %g %g %gV%gQ%g %g %g %gH%g"):format(x, a, side + 5, side, a, side, a + 5, b - 5, side, b, side + 5,
    b, x)
end

local function colours_of(sums)
  local of = {}
  for i, sum in ipairs(sums) do of[sum.op] = colours[i] or OTHER end
  return of
end

local function details(s)
  return ("%d %s %s\n%s %s %s\n%s µs (median %s), %.2f %%\n%.3g MFLOP, %s GFLOP/s\n%.3g MB, %s GB/s"):format(s.number, s.op,
    s.layer, s.dtype, shape_text(s), s.variant, micros(s.minimum), micros(s.median), 100 * s.share, s.flops / 1e6,
    digits(rate(s.flops, s.minimum)), s.bytes / 1e6, digits(rate(s.bytes, s.minimum)))
end

-- "95.1 GFLOP/s 6.0 GB/s 14x32"
local function speeds(s)
  local parts = {}
  if s.flops > 0 then parts[1] = digits(rate(s.flops, s.minimum)) .. " GFLOP/s" end
  parts[#parts + 1] = digits(rate(s.bytes, s.minimum)) .. " GB/s"
  parts[#parts + 1] = s.variant
  return table.concat(parts, " ")
end

local function draw_legend(add, sums, of, width)
  local x, y = 16, 50
  for _, sum in ipairs(sums) do
    local text = ("%s %.1f%%"):format(sum.op, 100 * sum.share)
    local room = 26 + 7 * #text
    if x + room > width - 16 then x, y = 16, y + 18 end
    if y > TOP - 20 then return end
    add('<rect x="%g" y="%g" width="11" height="11" rx="2" fill="%s"/><text x="%g" y="%g">%s</text>', x, y - 10, of[sum.op],
      x + 15, y, escape(text))
    x = x + room
  end
end

-- A row: the step's dot, what it is, and a bar as long as its time.
local function draw_step(add, s, x, of, longest, width)
  local y, bar = row_y(s.number), x + 470
  local long = longest > 0 and math.max(1, (width - bar - 270) * s.minimum / longest) or 1
  add('<g class="s"><title>%s</title><rect class="b" x="0" y="%g" width="%d" height="%d"/>', escape(details(s)), y - ROW / 2,
    width, ROW)
  add('<circle cx="%g" cy="%g" r="3.5" fill="%s"/><text x="%g" y="%g"><tspan class="o">%s</tspan> %s</text>', x, y, of[s.op],
    x + 10, y + 4, escape(s.op), escape(shorten(s.layer, 44 - math.min(20, #s.op))))
  add('<text class="d" x="%g" y="%g">%s</text><rect x="%g" y="%g" width="%g" height="%d" rx="2" fill="%s"/>', x + 340, y + 4,
    escape(shape_text(s)), bar, y - 7, long, 14, of[s.op])
  add('<text class="d" x="%g" y="%g">%s µs %s</text></g>', bar + long + 5, y + 4, micros(s.minimum), escape(speeds(s)))
end

local style = [[
text{font:12px system-ui,sans-serif;fill:#1b1e23}.h{font-size:15px;font-weight:600}.o{font-weight:600}.d{fill:#555b66}
.e{fill:none;stroke:#b4b8c0;stroke-width:1.3}.b{fill:#fff0}.s:hover .b{fill:#0001}.p{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#e6e8eb}.d{fill:#a6abb5}.e{stroke:#5a606b}.s:hover .b{fill:#fff2}.p{fill:#16181c}}]]

-- An SVG: the graph in the order of running, with the time of each step.
function report.svg(list, title)
  local steps, edges, lanes = sorted(list, false), lay_edges(list)
  local sums, parts, longest = by_operation(list), {}, 0
  local x, of = 20 + LANE * lanes, colours_of(sums)
  local width, height = x + 1080, TOP + ROW * #steps + 16
  local function add(format, ...) parts[#parts + 1] = format:format(...) end
  for _, s in ipairs(steps) do longest = math.max(longest, s.minimum) end
  add('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">', width, height, width, height)
  add('<style>%s</style><rect class="p" width="100%%" height="100%%"/>', style)
  add('<text class="h" x="16" y="26">%s: %s µs</text>', escape(title), micros(list.seconds))
  draw_legend(add, sums, of, width)
  for _, edge in ipairs(edges) do add('<path class="e" d="%s"/>', edge_path(edge, x)) end
  for _, s in ipairs(steps) do draw_step(add, s, x, of, longest, width) end
  add "</svg>"
  return table.concat(parts, "\n") .. "\n"
end

return report
