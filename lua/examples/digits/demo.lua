-- The main job: a picture, the five most likely classes, the output after a layer, and the summary.
local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. package.path
local digits = require "digits"

local model, labels = digits.model(), digits.labels()
local picture = arg[1] or folder .. "/images/03_label9.png"
local x = digits.input(picture)

print(picture)
print(digits.draw(x:reshape(8, 8)))
print()
for _, best in ipairs(model(x)[1]:topk(5)) do
  print(("%7.4f  %s"):format(best.value, labels[best.index]))
end

local after = model[{ 1, 3 }](x)
print("\nThe output after layer 3 (" .. model[3].name .. "), channel 1 of " .. after:shape()[4] .. ":")
print(digits.draw(after[{ 1, {}, {}, 1 }] / math.max(1e-6, after:max():item())))
print()
print(model)
