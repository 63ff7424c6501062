-- Writes what the page needs: the digits model as a flat file, and the pictures as pixels with what the model says here.
-- usage: cornu scripts/hosts/wasm/data.lua DIR
package.path = "lua/examples/digits/?.lua;" .. package.path
local cornu = require "cornu"
local host = require "cornu.host"
local digits = require "digits"

local dir, folder, pictures = arg[1], "lua/examples/digits/images/", {}
local model = digits.model()
model:save(dir .. "/digits.cornu")
for _, name in ipairs(host.list(folder)) do
  if name:match "%.png$" then
    local x = digits.input(folder .. name)
    pictures[#pictures + 1] = { pixels = x:reshape(-1):totable(), chances = model(x)[1]:totable() }
  end
end
local out = assert(io.open(dir .. "/pictures.js", "w"))
out:write("const pictures = ", cornu.json.encode(pictures), ";\n")
out:close()
