-- Files of a program that are not files of the system: {data = bytes} or {read = function(offset, n) → bytes, size = n}, and
-- name = for messages; read gives n bytes from `offset` (0: the first) on, or fewer.
local core = require "cornu.core"

local sources = {}

function sources.is(v) return type(v) == "table" and (rawget(v, "data") ~= nil or rawget(v, "read") ~= nil) end

local function read_all(source, what)
  local read, size = rawget(source, "read"), rawget(source, "size")
  if type(read) ~= "function" then core.fail(what .. ": read is a function of an offset and a number of bytes") end
  if type(size) ~= "number" or size < 0 or size % 1 ~= 0 then
    core.fail(what .. ": size is the number of bytes that read can give")
  end
  local pieces, n = {}, 0
  while n < size do
    local piece = read(n, size - n)
    if type(piece) ~= "string" or piece == "" or #piece > size - n then
      core.fail(("%s: read(%d, %d) gave %s"):format(what, n, size - n,
          type(piece) == "string" and #piece .. " bytes" or "a " .. type(piece)))
    end
    pieces[#pieces + 1] = piece
    n = n + #piece
  end
  return table.concat(pieces)
end

-- Such a file as core.load and the others take it: {name =, data =}; `name`: in messages, unless it has one.
function sources.take(source, name, what)
  local data, own = rawget(source, "data"), rawget(source, "name")
  for key in next, source do
    if key ~= "data" and key ~= "name" and key ~= "read" and key ~= "size" then
      core.fail(('%s: a file in memory has no field "%s": data, or read and size; name'):format(what, tostring(key)))
    end
  end
  if own ~= nil and (type(own) ~= "string" or own == "" or own:sub(1, 1) == "{") then
    core.fail(what .. ': name is a text that does not begin with "{"')
  end
  if data == nil then data = read_all(source, what) end
  if type(data) ~= "string" then core.fail(("%s: data is a %s, a text of bytes expected"):format(what, type(data))) end
  return { name = own or name, data = data }
end

return sources
