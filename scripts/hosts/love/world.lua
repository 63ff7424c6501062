-- The night of the game, without a screen: a player, sparks, standing stones, and hunters that are told where to turn.
-- Game and training share it, so it is Lua of 5.1 and 5.4 alike, and a step of it makes no garbage.
local sqrt, sin, cos, exp, min, max, pi = math.sqrt, math.sin, math.cos, math.exp, math.min, math.max, math.pi
local atan = math.atan2 or math.atan

local World = { WIDTH = 960, HEIGHT = 600, MOST = 16, FEATURES = 13, RADIUS = 11 }
World.__index = World

local W, H, RADIUS = World.WIDTH, World.HEIGHT, World.RADIUS
local PLAYER_SPEED, HUNTER_SPEED, TURN, SIGHT, SPARKS = 235, 205, 3.4, 130, 6
World.stones = { { x = 240, y = 170, r = 42 }, { x = 720, y = 170, r = 42 }, { x = 480, y = 300, r = 58 },
                 { x = 240, y = 440, r = 42 }, { x = 720, y = 440, r = 42 } }
local stones = World.stones

function World.new(seed, hunters)
  local w = { seed = seed, n = 0, hunters = {}, sparks = {}, score = 0, catches = 0, safe = 0, time = 0 }
  setmetatable(w, World)
  w.player = { x = W / 2, y = H * 0.75, vx = 0, vy = 0 }
  for i = 1, World.MOST do
    w.hunters[i] = { x = 0, y = 0, heading = 0, speed = 0, role = i % 3 - 1, turn = 0, thrust = 0 }
  end
  for i = 1, SPARKS do
    w.sparks[i] = { x = 0, y = 0 }
    w:place(w.sparks[i])
  end
  while w.n < hunters do w:join() end
  return w
end

function World:random()
  self.seed = self.seed * 16807 % 2147483647
  return self.seed / 2147483647
end

local function inside(x, y, room)
  for i = 1, #stones do
    local s = stones[i]
    if (x - s.x) ^ 2 + (y - s.y) ^ 2 < (s.r + room) ^ 2 then return s end
  end
end

function World:place(spark)
  repeat spark.x, spark.y = 40 + self:random() * (W - 80), 40 + self:random() * (H - 80)
  until not inside(spark.x, spark.y, 24)
end

-- To the edge that is far from the player.
local function banish(w, h)
  local t = w:random()
  h.x = w.player.x < W / 2 and W - 20 or 20
  h.y = 20 + t * (H - 40)
  h.heading, h.speed = h.x > W / 2 and pi or 0, 0
end

function World:join()
  self.n = self.n + 1
  banish(self, self.hunters[self.n])
end

-- ---- what a hunter perceives, and what an expert would do

-- How near, 0 to 1, a stone or the edge is in a direction.
local function ray(h, angle)
  local dx, dy = cos(angle), sin(angle)
  local best = SIGHT
  if dx > 0 then best = min(best, (W - h.x) / dx) elseif dx < 0 then best = min(best, -h.x / dx) end
  if dy > 0 then best = min(best, (H - h.y) / dy) elseif dy < 0 then best = min(best, -h.y / dy) end
  for i = 1, #stones do
    local s = stones[i]
    local x, y, r = s.x - h.x, s.y - h.y, s.r + RADIUS
    local along = x * dx + y * dy
    local off = r * r - (x * x + y * y - along * along)
    if along > 0 and off > 0 then best = min(best, max(0, along - sqrt(off))) end
  end
  return 1 - best / SIGHT
end

local function nearest_mate(w, i)
  local h, best, which = w.hunters[i], 110, nil
  for k = 1, w.n do
    local m = w.hunters[k]
    local d = sqrt((m.x - h.x) ^ 2 + (m.y - h.y) ^ 2)
    if k ~= i and d < best then best, which = d, m end
  end
  return which, 1 - best / 110
end

-- Writes the features of hunter i to out[at], out[at + 1], …
function World:sense(i, out, at)
  local h, p = self.hunters[i], self.player
  local c, s = cos(h.heading), sin(h.heading)
  local dx, dy = p.x - h.x, p.y - h.y
  local d = sqrt(dx * dx + dy * dy) + 1e-6
  out[at], out[at + 1] = (dx * c + dy * s) / d, (dy * c - dx * s) / d
  out[at + 2] = d / 600
  out[at + 3], out[at + 4] = (p.vx * c + p.vy * s) / PLAYER_SPEED, (p.vy * c - p.vx * s) / PLAYER_SPEED
  out[at + 5] = h.speed / HUNTER_SPEED
  out[at + 6], out[at + 7], out[at + 8] = ray(h, h.heading - 0.6), ray(h, h.heading), ray(h, h.heading + 0.6)
  local m, close = nearest_mate(self, i)
  local mx, my = m and m.x - h.x or 0, m and m.y - h.y or 0
  local md = sqrt(mx * mx + my * my) + 1e-6
  out[at + 9], out[at + 10], out[at + 11] = close * (mx * c + my * s) / md, close * (my * c - mx * s) / md, close
  out[at + 12] = h.role
end

-- Heads off the player, some from the left and some from the right, around stones and away from mates.
function World:expert(i)
  local h, p = self.hunters[i], self.player
  local dx, dy = p.x - h.x, p.y - h.y
  local d = sqrt(dx * dx + dy * dy) + 1e-6
  local lead, side = min(1.2, d / HUNTER_SPEED), h.role * min(150, d * 0.45) * (d > 90 and 1 or 0)
  local gx, gy = dx + p.vx * lead - dy / d * side, dy + p.vy * lead + dx / d * side
  local g = sqrt(gx * gx + gy * gy) + 1e-6
  gx, gy = gx / g, gy / g
  for k = 1, #stones do -- along the stone's side on which the goal is
    local s = stones[k]
    local sx, sy = s.x - h.x, s.y - h.y
    local sd = sqrt(sx * sx + sy * sy) + 1e-6
    local near, ahead = exp(-max(0, sd - s.r - RADIUS) / 35), (sx * gx + sy * gy) / sd
    if ahead > 0 and sd < d + s.r then
      local which = sx * gy - sy * gx > 0 and 1 or -1
      gx, gy = gx - sy / sd * which * near * ahead * 2, gy + sx / sd * which * near * ahead * 2
    end
  end
  local m, close = nearest_mate(self, i)
  if m then
    local mx, my = m.x - h.x, m.y - h.y
    local md = sqrt(mx * mx + my * my) + 1e-6
    gx, gy = gx - mx / md * close * 0.7, gy - my / md * close * 0.7
  end
  local angle = (atan(gy, gx) - h.heading + pi) % (2 * pi) - pi
  return max(-1, min(1, angle * 2)), max(-1, min(1, 1.6 - math.abs(angle)))
end

-- A player that goes for sparks and keeps away from hunters: a direction of length 0 to 1.
function World:bot()
  local p, best, gx, gy = self.player, math.huge, 0, 0
  for i = 1, #self.sparks do
    local s = self.sparks[i]
    local dx, dy = s.x - p.x, s.y - p.y
    local cost = sqrt(dx * dx + dy * dy) + 1e-6
    local toll = cost
    for k = 1, self.n do
      local h = self.hunters[k]
      toll = toll + 200 * exp(-((s.x - h.x) ^ 2 + (s.y - h.y) ^ 2) / 14000)
    end
    if toll < best then best, gx, gy = toll, dx / cost, dy / cost end
  end
  for k = 1, self.n do
    local h = self.hunters[k]
    local dx, dy = p.x - h.x, p.y - h.y
    local d = sqrt(dx * dx + dy * dy) + 1e-6
    local push = 2.6 * exp(-d / 60)
    gx, gy = gx + dx / d * push, gy + dy / d * push
  end
  for i = 1, #stones do
    local s = stones[i]
    local dx, dy = p.x - s.x, p.y - s.y
    local d = sqrt(dx * dx + dy * dy) + 1e-6
    local push = 1.5 * exp(-max(0, d - s.r - RADIUS) / 18)
    gx, gy = gx + (dx - dy * 0.8) / d * push, gy + (dy + dx * 0.8) / d * push
  end
  gx = gx + exp(-p.x / 30) - exp(-(W - p.x) / 30)
  gy = gy + exp(-p.y / 30) - exp(-(H - p.y) / 30)
  local g = sqrt(gx * gx + gy * gy) + 1e-6
  return gx / g, gy / g
end

-- ---- a step

local function keep_out(b, room)
  b.x, b.y = max(room, min(W - room, b.x)), max(room, min(H - room, b.y))
  local s = inside(b.x, b.y, room)
  if not s then return false end
  local dx, dy = b.x - s.x, b.y - s.y
  local d = sqrt(dx * dx + dy * dy) + 1e-6
  b.x, b.y = s.x + dx / d * (s.r + room), s.y + dy / d * (s.r + room)
  return true
end

local function move_player(p, dt, dx, dy)
  local k = min(1, 9 * dt)
  p.vx, p.vy = p.vx + (dx * PLAYER_SPEED - p.vx) * k, p.vy + (dy * PLAYER_SPEED - p.vy) * k
  p.x, p.y = p.x + p.vx * dt, p.y + p.vy * dt
  keep_out(p, RADIUS)
end

local function move_hunter(h, dt)
  h.heading = (h.heading + max(-1, min(1, h.turn)) * TURN * dt + pi) % (2 * pi) - pi
  local want = HUNTER_SPEED * (0.25 + 0.75 * max(0, min(1, h.thrust)))
  h.speed = h.speed + (want - h.speed) * min(1, 3 * dt)
  h.x, h.y = h.x + cos(h.heading) * h.speed * dt, h.y + sin(h.heading) * h.speed * dt
  if keep_out(h, RADIUS) then h.speed = h.speed * max(0, 1 - 4 * dt) end
end

-- dx, dy: where the player wants to go. Hunters do what their turn and thrust say, -1 to 1. Returns what happened:
-- "spark", "caught", or nil.
function World:step(dt, dx, dy)
  local p, event = self.player, nil
  self.time, self.safe = self.time + dt, max(0, self.safe - dt)
  move_player(p, dt, dx, dy)
  for i = 1, self.n do move_hunter(self.hunters[i], dt) end
  for i = 1, #self.sparks do
    local s = self.sparks[i]
    if (s.x - p.x) ^ 2 + (s.y - p.y) ^ 2 < 26 ^ 2 then
      self.score, event = self.score + 1, "spark"
      self:place(s)
    end
  end
  for i = 1, self.safe > 0 and 0 or self.n do
    local h = self.hunters[i]
    if (h.x - p.x) ^ 2 + (h.y - p.y) ^ 2 < (2 * RADIUS) ^ 2 then event = "caught" end
  end
  if event ~= "caught" then return event end
  self.catches, self.safe = self.catches + 1, 2
  for i = 1, self.n do banish(self, self.hunters[i]) end
  return event
end

return World
