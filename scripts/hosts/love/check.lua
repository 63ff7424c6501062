-- Judges what the automatic mode told: check.lua OUTPUT SCREENSHOT
local cornu = require "cornu"
local file = assert(io.open(arg[1]))
local text = file:read "a"
file:close()
assert(text:find("seen: title play over play over", 1, true), "from title to title:\n" .. text)
local clever, fool = text:match "network ([%d.]+), expert [%d.]+, untrained ([%d.]+)"
assert(clever and tonumber(clever) >= 5 and tonumber(clever) >= 5 * tonumber(fool), "hunters learnt nothing:\n" .. text)
local garbage = tonumber(text:match "network: frame.-([%d.]+) bytes of garbage")
assert(garbage and garbage < 64, "garbage in each frame:\n" .. text)
local picture = cornu.image.load(arg[2], { channels = 3 }):float()
local dark, light = picture:mean():item() < 100, picture:max():item() > 200
assert(picture:shape()[1] == 600 and dark and light, "no night on the picture")
print("love:\n" .. text:gsub("\n$", ""))
