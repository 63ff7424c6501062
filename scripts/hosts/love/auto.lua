-- The automatic mode: the game from title to title, then nights with hunters of several kinds; tells times, catches and
-- garbage.
local World = require "world"
local Policy = require "policy"
local View = require "view"

local HUNTERS, WARM, MINUTES, DT = 12, 300, 4, 1 / 60

local function expert(world)
  for i = 1, world.n do
    local h = world.hunters[i]
    h.turn, h.thrust = world:expert(i)
  end
end

-- Presses the keys of a player who starts and then only stands there; returns what was seen.
local function tour(game)
  local seen, frames = game.state, 0
  local function note() seen = seen .. " " .. game.state end
  for _ = 1, 2 do
    love.keypressed "space"
    note()
    while game.state == "play" and frames < 1e5 do
      love.update(DT)
      frames = frames + 1
    end
    note()
    love.draw()
  end
  return seen
end

local function hunt(drive)
  local world = World.new(99, HUNTERS)
  for _ = 1, MINUTES * 3600 do
    drive(world)
    world:step(DT, world:bot())
  end
  return world.catches / MINUTES
end

-- The value below which that part of them is.
local function part(times, p)
  table.sort(times)
  return times[math.max(1, math.ceil(p * #times))]
end

local function save(path, picture)
  local file = assert(io.open(path, "wb"))
  file:write(picture:encode("png"):getString())
  file:close()
end

-- Whether there is something to see: the player among hunters.
local function exciting(world)
  local near, p = 0, world.player
  for i = 1, world.n do
    local h = world.hunters[i]
    if (h.x - p.x) ^ 2 + (h.y - p.y) ^ 2 < 190 ^ 2 then near = near + 1 end
  end
  return near >= 5 and world.safe == 0
end

local function show(world, note)
  love.graphics.origin()
  love.graphics.clear(0, 0, 0)
  View.world(world)
  View.bar(world, math.max(0, 3 - world.catches), note)
  love.graphics.present()
end

local now = love.timer.getTime
local function kilobytes() return collectgarbage "count" end

-- One frame; returns when it began, when the hunters knew what to do, and how much garbage that made.
local function play_frame(world, drive, note, frame)
  love.event.pump()
  local began, before = now(), kilobytes()
  drive(world)
  local driven, garbage = now(), kilobytes() - before
  View.happened(world:step(DT, world:bot()), world)
  View.update(world, DT, frame)
  show(world, note)
  return began, driven, math.max(0, garbage)
end

local function play(note, frames, drive, picture)
  local world, whole, driving, garbage = World.new(4242, HUNTERS), {}, {}, 0
  for i = 1, frames do whole[i], driving[i] = 0, 0 end
  for frame = 1 - WARM, frames do
    if picture and frame > 0 and (exciting(world) or frame == frames) then
      local path = picture
      picture = nil
      love.graphics.captureScreenshot(function(p) save(path, p) end)
    end
    local began, driven, made = play_frame(world, drive, note, frame)
    if frame > 0 then whole[frame], driving[frame], garbage = now() - began, driven - began, garbage + made end
  end
  local report = "%s: frame median %.3f ms, p99.9 %.3f ms; hunters median %.1f us, p99.9 %.1f us; " ..
                 "%.1f bytes of garbage per frame"
  print(report:format(note == "" and "network" or note, part(whole, 0.5) * 1e3, part(whole, 0.999) * 1e3,
                      part(driving, 0.5) * 1e6, part(driving, 0.999) * 1e6, garbage * 1024 / frames))
end

return function(frames, picture, game)
  function love.run()
    love.load()
    print("seen: " .. tour(game))
    local policy, fool = Policy.load "policy.keras", Policy.load "policy.keras"
    local function clever(w) policy:drive(w) end
    fool:forget()
    print(("catches per minute: network %.2f, expert %.2f, untrained %.2f"):format(hunt(clever), hunt(expert),
          hunt(function(w) fool:drive(w) end)))
    play("", frames, clever, picture)
    play("no network", frames, expert)
    return function() return 0 end
  end
end
