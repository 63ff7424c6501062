-- What the tests share.
local lu = require "luaunit"
local cornu = require "cornu"

local support = {}

-- t has these elements (nested tables), to 6 digits for floats, and this dtype if one is given.
function support.same(t, want, dtype)
  lu.assertEquals(cornu.type(t), "tensor")
  if dtype then lu.assertEquals(t:dtype(), dtype) end
  local got = t:totable()
  local function compare(a, b, path)
    if type(b) ~= "table" then
      if type(b) == "number" and type(a) == "number" and b == b and math.abs(b) < math.huge then
        lu.assertAlmostEquals(a, b, 1e-6 * math.max(1, math.abs(b)), "at " .. path)
      elseif b ~= b then lu.assertTrue(a ~= a, "no NaN at " .. path)
      else lu.assertEquals(a, b, "at " .. path) end
      return
    end
    lu.assertEquals(type(a), "table", "at " .. path)
    lu.assertEquals(#a, #b, "length at " .. path)
    for i = 1, #b do compare(a[i], b[i], path .. "[" .. i .. "]") end
  end
  compare(got, want, "t")
end

-- f fails, with this text in the message and the position of this very file's caller in front.
function support.fails(text, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok, "no error, where one was expected: " .. text)
  lu.assertStrContains(tostring(message), text)
  return message
end

-- A file of that content that a test may read; removed at the end of the test by support.clean.
local made = {}
function support.file(content, extension)
  local name = os.tmpname()
  os.remove(name)
  name = name .. (extension or "")
  made[#made + 1] = name
  if content then
    local f = assert(io.open(name, "wb"))
    f:write(content)
    f:close()
  end
  return name
end

function support.read(path)
  local f = assert(io.open(path, "rb"))
  local content = f:read "*a"
  f:close()
  return content
end

function support.clean()
  for _, name in ipairs(made) do os.remove(name) end
  made = {}
end

-- A Sequential config of Keras 2 with these layers: {class, config}.
function support.sequential(input_shape, layers)
  local list = {}
  for i, layer in ipairs(layers) do
    local config = {}
    for k, v in pairs(layer[2] or {}) do config[k] = v end
    config.name = config.name or "layer" .. i
    if i == 1 then config.batch_input_shape = cornu.json.list { cornu.null, (table.unpack or unpack)(input_shape) } end
    list[i] = { class_name = layer[1], config = config }
  end
  return support.file(cornu.json.encode { class_name = "Sequential", keras_version = "2.2.4", backend = "tensorflow",
    config = { name = "seq", layers = cornu.json.list(list) } }, ".json")
end

return support
