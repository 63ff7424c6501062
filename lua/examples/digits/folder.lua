#!/usr/bin/env cornu
-- Classifies every picture of a folder. usage: cornu folder.lua [FOLDER]
local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path
local digits = require "digits"
local host = require "cornu.host"

local folder = arg[1] or here .. "/images"
local model, labels = digits.model(), digits.labels()
local names = assert(host.list(folder))
local pictures = {}
for _, name in ipairs(names) do if name:match "%.png$" then pictures[#pictures + 1] = name end end
if #pictures == 0 then error(folder .. " holds no .png", 0) end

local bar, right, known = host.isatty "stderr", 0, 0
for i, name in ipairs(pictures) do
  local best = model(digits.input(folder .. "/" .. name))[1]:topk(1)[1]
  local truth = name:match "label(%d)"
  if truth then
    known = known + 1
    if tonumber(truth) == best.index - 1 then right = right + 1 end
  end
  if bar then
    local done = math.floor(30 * i / #pictures)
    io.stderr:write(("\r%d/%d [%s%s]"):format(i, #pictures, ("="):rep(done), ("."):rep(30 - done)), i == #pictures and "\n" or "")
  end
  print(("%s\t%s\t%.4f"):format(name, labels[best.index], best.value))
end
if known > 0 then print(("%d of %d right"):format(right, known)) end
