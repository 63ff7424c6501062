-- Event files of TensorBoard: records of protocol buffers (tensorflow/core/util/event.proto and
-- tensorflow/core/framework/summary.proto), each between its length and checksums (TFRecord).
local core = require "cornu.core"

local tensorboard = {}

local function bytes(v, dtype) return core.tensor({ v }, dtype):tobytes() end

-- ---- protocol buffers ----

local function varint(n)
  local out = {}
  repeat
    local low = n % 128
    n = (n - low) / 128
    out[#out + 1] = string.char(n > 0 and low + 128 or low)
  until n == 0
  return table.concat(out)
end

local function field(number, wire) return varint(number * 8 + wire) end
local function message(number, text) return field(number, 2) .. varint(#text) .. text end
local function double(number, v) return field(number, 1) .. bytes(v, "float64") end
local function float(number, v) return field(number, 5) .. bytes(v, "float32") end
local function doubles(number, list)
  return message(number, core.tensor(list, "float64"):tobytes())
end

-- ---- records ----

local function masked(text)
  local crc = core.crc32c(text)
  local low = crc % 2 ^ 15
  return bytes(((crc - low) / 2 ^ 15 + low * 2 ^ 17 + 0xa282ead8) % 2 ^ 32, "uint32")
end

local function record(text)
  local length = bytes(#text, "uint64")
  return length .. masked(length) .. text .. masked(text)
end

local Writer = {}
Writer.__index = Writer

local function event(writer, step, text)
  writer.file:write(record(double(1, os.time()) .. field(2, 0) .. varint(step) .. text))
end

-- A value at a step, a whole number.
function Writer:scalar(tag, step, v)
  event(self, step, message(5, message(1, message(1, tag) .. float(2, v))))
end

-- The distribution of a tensor's elements over 30 equal intervals.
function Writer:histogram(tag, step, t)
  local flat = t:cast "float64":reshape(-1)
  local low, high, count = flat:min():item(), flat:max():item(), 30
  local width = high > low and (high - low) / count or 1
  local ids = ((flat - low) / width):floor():clip(0, count - 1):cast "int32"
  local counts = core.ops.segment(core.ones({ flat:size() }, "float64"), ids, count):totable()
  local limits = {}
  for i = 1, count do limits[i] = low + width * i end
  event(self, step, message(5, message(1, message(1, tag) .. message(5, double(1, low) .. double(2, high) ..
    double(3, flat:size()) .. double(4, flat:sum():item()) .. double(5, flat:square():sum():item()) ..
    doubles(6, limits) .. doubles(7, counts)))))
end

function Writer:flush() self.file:flush() end

function Writer:close()
  if self.file then self.file:close() end
  self.file = nil
end

local made = 0

-- Begins a file of events in a folder, which is made.
function tensorboard.writer(folder)
  core.make_folder(folder)
  made = made + 1
  local path = ("%s/events.out.tfevents.%d.cornu.%d.%d.v2"):format(folder, os.time(), math.floor(core.clock() * 1e6) % 1e9,
    made)
  local file, why = io.open(path, "wb")
  if not file then core.fail(("TensorBoard: %s"):format(why)) end
  local writer = setmetatable({ file = file, path = path }, Writer)
  file:write(record(double(1, os.time()) .. message(3, "brain.Event:2")))
  return writer
end

return tensorboard
