-- What turns the hunters: one run of the network per frame for all of them. Features and actions stay in the runner's
-- own buffers, so that a frame makes no garbage.
local ffi = require "ffi"
local cornu = require "cornu"
local World = require "world"

local Policy = {}
Policy.__index = Policy

-- From the game's folder, or from its .love archive.
function Policy.load(name)
  local bytes = assert(love.filesystem.read(name))
  local p = setmetatable({ model = cornu.load { data = bytes, name = name } }, Policy)
  p:make_runner()
  return p
end

function Policy:make_runner()
  self.runner = self.model:runner { batch = World.MOST }
  self.input, self.output = self.runner:input(), self.runner:output()
  self.features, self.actions = ffi.cast("float *", self.input:ptr()), ffi.cast("float *", self.output:ptr())
end

-- The same network with weights that nobody trained, to compare.
function Policy:forget()
  for _, layer in ipairs(self.model.layers) do
    for name, w in pairs { kernel = layer:weight "kernel", bias = layer:weight "bias" } do
      layer:set_weights { [name] = cornu.randn(w:shape()) * (name == "kernel" and 0.3 or 0) }
    end
  end
  self:make_runner()
end

function Policy:drive(world)
  local features, actions, n = self.features, self.actions, World.FEATURES
  for i = 1, world.n do world:sense(i, features, (i - 1) * n) end
  self.runner:run()
  for i = 1, world.n do
    local h = world.hunters[i]
    h.turn, h.thrust = actions[2 * i - 2], actions[2 * i - 1]
  end
end

return Policy
