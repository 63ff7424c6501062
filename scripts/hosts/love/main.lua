-- Horned Moon: gather sparks, keep away from the hunters. A network that Cornu trained (train.lua) turns the hunters.
--   love scripts/hosts/love                                        arrows or WASD, space, N, escape
--   love scripts/hosts/love --frames N [--screenshot FILE.png]     plays by itself, and tells how it went
local World = require "world"
local Policy = require "policy"
local View = require "view"

local LIVES, FIRST, EACH = 3, 4, 4 -- hunters at first, and sparks until one more comes
local game = { state = "title", best = 0, lives = LIVES, frame = 0, clever = true, text = "" }
local policy, fool
local TITLE = "Gather sparks. The hunters think with a small network.\n\nArrows or WASD: move      Space: play\n" ..
              "N: hunters that nobody trained      Escape: leave"

function love.load()
  View.load()
  policy, fool = Policy.load "policy.keras", Policy.load "policy.keras"
  fool:forget()
  game.world = World.new(love.timer.getTime() * 1000 % 1e6 + 1, FIRST)
end

local function start()
  game.world = World.new(love.timer.getTime() * 1000 % 1e6 + 1, FIRST)
  game.state, game.lives = "play", LIVES
end

local function finish(world)
  game.best = math.max(game.best, world.score)
  game.text = ("Sparks: %d      Best: %d\n\nSpace: once more"):format(world.score, game.best)
  game.state = "over"
end

local function wishes()
  local down = love.keyboard.isDown
  local dx = (down("right", "d") and 1 or 0) - (down("left", "a") and 1 or 0)
  local dy = (down("down", "s") and 1 or 0) - (down("up", "w") and 1 or 0)
  local k = dx ~= 0 and dy ~= 0 and math.sqrt(0.5) or 1
  return dx * k, dy * k
end

function love.update(dt)
  local world = game.world
  dt = math.min(dt, 1 / 20)
  game.frame = game.frame + 1
  if game.state == "over" then return View.update(world, dt, game.frame) end
  local driver = game.clever and policy or fool
  driver:drive(world)
  local event
  if game.state == "play" then event = world:step(dt, wishes())
  else event = world:step(dt, world:bot()) end -- behind the title it plays by itself
  View.update(world, dt, game.frame)
  View.happened(event, world)
  if event == "spark" and world.score % EACH == 0 and world.n < World.MOST then world:join() end
  if event ~= "caught" or game.state ~= "play" then return end
  game.lives = game.lives - 1
  if game.lives == 0 then finish(world) end
end

function love.draw()
  View.world(game.world)
  if game.state == "play" then View.bar(game.world, game.lives, game.clever and "" or "hunters that nobody trained")
  elseif game.state == "title" then View.banner("Horned Moon", TITLE)
  else View.banner("Caught", game.text) end
end

function love.keypressed(key)
  if key == "escape" then love.event.quit()
  elseif key == "n" then game.clever = not game.clever
  elseif (key == "space" or key == "return") and game.state ~= "play" then start() end
end

for i, word in ipairs(arg) do
  local picture = arg[i + 2] == "--screenshot" and arg[i + 3]
  if word == "--frames" then require("auto")(tonumber(arg[i + 1]), picture, game) end
end
