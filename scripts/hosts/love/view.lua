-- Draws the night. No pictures, only shapes; nothing is made while drawing but the texts that change.
local World = require "world"
local g = love.graphics
local W, H = World.WIDTH, World.HEIGHT
local sin, cos, min, max, floor = math.sin, math.cos, math.min, math.max, math.floor

local View = { small = nil, big = nil, shake = 0 }
local TRAIL, GRAIN = 14, 3
local trails, stars, rings = {}, {}, {}

function View.load()
  View.small, View.middle, View.big = g.newFont(16), g.newFont(24), g.newFont(64)
  local w = World.new(5, 0)
  for i = 1, 140 do
    stars[i] = { x = w:random() * W, y = w:random() * H, r = 0.4 + w:random() * 1.1, t = w:random() * 6 }
  end
  for i = 1, World.MOST do
    trails[i] = { at = 0 }
    for k = 1, TRAIL do trails[i][k] = { x = -99, y = -99 } end
  end
  for i = 1, 8 do rings[i] = { age = 9, x = 0, y = 0, r = 1, g = 1, b = 1 } end
  View.sky = g.newMesh({ { 0, 0, 0, 0, 0.05, 0.06, 0.14 }, { W, 0, 1, 0, 0.05, 0.06, 0.14 },
                         { W, H, 1, 1, 0.13, 0.1, 0.22 }, { 0, H, 0, 1, 0.13, 0.1, 0.22 } }, "fan", "static")
end

-- A ring that grows where something happened.
local function ring(x, y, r, gr, b)
  local oldest = rings[1]
  for i = 2, #rings do if rings[i].age > oldest.age then oldest = rings[i] end end
  oldest.age, oldest.x, oldest.y, oldest.r, oldest.g, oldest.b = 0, x, y, r, gr, b
end

function View.happened(event, world)
  local p = world.player
  if event == "spark" then ring(p.x, p.y, 1, 0.85, 0.4)
  elseif event == "caught" then
    ring(p.x, p.y, 1, 0.25, 0.3)
    View.shake = 0.5
  end
end

function View.update(world, dt, frame)
  View.shake = max(0, View.shake - dt)
  for i = 1, #rings do rings[i].age = rings[i].age + dt end
  if frame % GRAIN ~= 0 then return end
  for i = 1, world.n do
    local t, h = trails[i], world.hunters[i]
    t.at = t.at % TRAIL + 1
    t[t.at].x, t[t.at].y = h.x, h.y
  end
end

local function glow(x, y, radius, r, gr, b, strength)
  for k = 9, 1, -1 do
    g.setColor(r, gr, b, strength / (k + 2))
    g.circle("fill", x, y, radius * (0.5 + k * 0.2))
  end
end

local function draw_sky(time)
  g.setColor(1, 1, 1)
  g.draw(View.sky)
  for i = 1, #stars do
    local s = stars[i]
    g.setColor(0.8, 0.85, 1, 0.35 + 0.3 * sin(time * 1.3 + s.t))
    g.circle("fill", s.x, s.y, s.r)
  end
end

local function draw_stones()
  for i = 1, #World.stones do
    local s = World.stones[i]
    g.setColor(0, 0, 0, 0.35)
    g.ellipse("fill", s.x + 7, s.y + 10, s.r * 1.06, s.r)
    g.setColor(0.2, 0.21, 0.31)
    g.circle("fill", s.x, s.y, s.r)
    g.setColor(0.29, 0.31, 0.43)
    g.circle("fill", s.x - s.r * 0.1, s.y - s.r * 0.14, s.r * 0.8)
    g.setColor(0.36, 0.39, 0.53)
    g.circle("fill", s.x - s.r * 0.22, s.y - s.r * 0.3, s.r * 0.45)
  end
end

local function draw_sparks(world)
  g.setBlendMode "add"
  for i = 1, #world.sparks do
    local s, t = world.sparks[i], world.time * 3 + i * 1.7
    local r = 5 + sin(t)
    glow(s.x, s.y, 9 + 2 * sin(t), 1, 0.75, 0.25, 0.16)
    g.setColor(1, 0.92, 0.6)
    g.polygon("fill", s.x, s.y - 2 * r, s.x + r * 0.6, s.y, s.x, s.y + 2 * r, s.x - r * 0.6, s.y)
    g.polygon("fill", s.x - 2 * r, s.y, s.x, s.y + r * 0.6, s.x + 2 * r, s.y, s.x, s.y - r * 0.6)
  end
  g.setBlendMode "alpha"
end

local function draw_trail(t)
  for k = 1, TRAIL do
    local p = t[(t.at + k - 1) % TRAIL + 1]
    g.setColor(0.9, 0.2, 0.3, 0.28 * k / TRAIL)
    g.circle("fill", p.x, p.y, 1 + 5 * k / TRAIL)
  end
end

-- A head with two horns, which leans into its turn.
local function draw_hunter(h)
  g.push()
  g.translate(h.x, h.y)
  g.rotate(h.heading + h.turn * 0.15)
  g.setColor(0.75, 0.12, 0.25)
  g.polygon("fill", 13, 0, 2, 9, -12, 7, -7, 0, -12, -7, 2, -9)
  g.setColor(0.95, 0.85, 0.75)
  g.polygon("fill", 3, 7, 8, 14, 19, 12, 10, 10)
  g.polygon("fill", 3, -7, 8, -14, 19, -12, 10, -10)
  g.setColor(1, 0.85, 0.3)
  g.circle("fill", 6, 3, 1.8)
  g.circle("fill", 6, -3, 1.8)
  g.pop()
end

local function draw_player(world)
  local p = world.player
  if world.safe > 0 and floor(world.time * 10) % 2 == 0 then return end
  g.setBlendMode "add"
  glow(p.x, p.y, 24, 0.5, 0.7, 1, 0.2)
  g.setBlendMode "alpha"
  g.setColor(0.9, 0.95, 1)
  g.circle("fill", p.x, p.y, 12)
  g.setColor(0.14, 0.16, 0.3)
  g.circle("fill", p.x + 5, p.y - 3, 9.5)
end

local function draw_rings()
  for i = 1, #rings do
    local r = rings[i]
    if r.age < 0.6 then
      g.setColor(r.r, r.g, r.b, 1 - r.age / 0.6)
      g.setLineWidth(3)
      g.circle("line", r.x, r.y, 12 + 130 * r.age)
    end
  end
end

function View.world(world)
  g.push()
  if View.shake > 0 then g.translate(9 * View.shake * sin(70 * View.shake), 9 * View.shake * cos(57 * View.shake)) end
  draw_sky(world.time)
  draw_stones()
  draw_sparks(world)
  for i = 1, world.n do draw_trail(trails[i]) end
  for i = 1, world.n do draw_hunter(world.hunters[i]) end
  draw_player(world)
  draw_rings()
  g.pop()
end

local texts = {} -- the texts of numbers, made once
local function text_of(label, n)
  texts[label] = texts[label] or {}
  texts[label][n] = texts[label][n] or label .. n
  return texts[label][n]
end

function View.bar(world, lives, note)
  g.setFont(View.middle)
  g.setColor(1, 0.92, 0.6)
  g.print(text_of("Sparks  ", world.score), 20, 12)
  for i = 1, lives do
    g.setColor(0.9, 0.95, 1)
    g.circle("fill", W - 30 * i, 28, 10)
    g.setColor(0.06, 0.07, 0.16)
    g.circle("fill", W - 30 * i + 4, 25, 8)
  end
  g.setFont(View.small)
  g.setColor(0.8, 0.82, 0.95, 0.8)
  g.print(text_of("hunters: ", world.n), 20, H - 30)
  g.printf(note, W - 480, H - 30, 460, "right")
end

function View.banner(title, lines)
  g.setColor(0.03, 0.03, 0.09, 0.72)
  g.rectangle("fill", 0, 0, W, H)
  g.setFont(View.big)
  g.setColor(0.95, 0.93, 0.85)
  g.printf(title, 0, H * 0.24, W, "center")
  g.setFont(View.middle)
  g.setColor(0.8, 0.82, 0.95)
  g.printf(lines, 0, H * 0.46, W, "center")
end

return View
