-- Writes what the page needs: the digits model as a flat file, and the pictures as pixels with their labels.
-- usage: cornu scripts/hosts/wasm/data.lua DIR
package.path = "lua/examples/digits/?.lua;" .. package.path
local cornu = require "cornu"
local host = require "cornu.host"
local digits = require "digits"

local dir, folder, pictures = arg[1], "lua/examples/digits/images/", {}
digits.model():save(dir .. "/digits.cornu")
for _, name in ipairs(host.list(folder)) do
  local label = name:match "_label(%d)%.png$"
  if label then
    pictures[#pictures + 1] = { label = tonumber(label), pixels = digits.input(folder .. name):reshape(-1):totable() }
  end
end
local out = assert(io.open(dir .. "/pictures.js", "w"))
out:write("const pictures = ", cornu.json.encode(pictures), ";\n")
out:close()
