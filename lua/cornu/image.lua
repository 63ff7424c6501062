-- Pictures: files to tensors that models take, and tensors to text on a terminal.
-- An image is a uint8 tensor (height, width, channels); a batch has one dimension more in front.
local core = require "cornu.core"
local options = require "cornu.options"
local sources = require "cornu.sources"

-- Means and deviations of ImageNet's colours, as keras.applications uses them.
local torch_mean, torch_deviation = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 }
local caffe_mean = { 103.939, 116.779, 123.68 } -- blue, green, red

local modes = { "none", "unit", "tf", "caffe", "torch" }
local tensor_options = { "batch", "channels", "interpolation", "invert", "mode", "size" }

return function(cornu)
  local image = {}

  local function check(t, what, low, high)
    if core.type(t) ~= "tensor" then
      core.fail(("%s: an image expected, got %s"):format(what, core.type(t) or type(t)))
    end
    local rank = t:rank()
    if rank < low or rank > high then
      core.fail(("%s: an image has the shape (height, width, channels), this tensor has %d dimensions"):format(what,
          rank))
    end
    return t
  end

  local function sides(size, what)
    local h, w
    if type(size) == "number" then h, w = size, size
    elseif type(size) == "table" then h, w = size[1], size[2] end
    if type(h) ~= "number" or type(w) ~= "number" or h < 1 or w < 1 then
      core.fail(what .. ": the size is {height, width} or one number for both")
    end
    return h, w
  end

  -- Bytes again after arithmetic in floats.
  local function to_bytes(t)
    return cornu.floor(cornu.clip(t, 0, 255) + 0.5):cast "uint8"
  end

  -- image.resize(img, {height, width} [, interpolation]): "bilinear" (as keras.layers.Resizing), "nearest" or "bicubic"
  function image.resize(img, size, interpolation)
    check(img, "resize", 3, 4)
    local h, w = sides(size, "resize")
    local single, bytes = img:rank() == 3, img:dtype() == "uint8"
    local x = single and img:expand_dims(1) or img
    local y = cornu.resize(x:float(), { size = { h, w }, method = interpolation or "bilinear" })
    if single then y = y:squeeze(1) end
    return bytes and to_bytes(y) or y
  end

  -- One channel: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).
  function image.grey(img)
    check(img, "grey", 3, 4)
    local channels = img:size(-1)
    if channels == 1 then return img end
    if channels < 3 then core.fail(("grey: %d channels, 1, 3 or 4 expected"):format(channels)) end
    local x = img:slice(-1, 1, 3):float() * cornu.tensor { 0.299, 0.587, 0.114 }
    local y = x:sum(-1, true)
    return img:dtype() == "uint8" and to_bytes(y) or y
  end

  local function with_channels(img, channels)
    local have = img:size(-1)
    if not channels or channels == have or channels < 1 then return img end
    if channels == 1 then return image.grey(img) end
    if have == 1 and channels == 3 then return cornu.concat({ img, img, img }, -1) end
    if have == 4 and channels == 3 then return img:slice(-1, 1, 3) end
    core.fail(("cannot make %d channels of %d"):format(channels, have))
  end

  -- image.preprocess(x, mode): x holds 0 … 255; the modes of keras.applications and "unit" (0 … 1), "none"
  function image.preprocess(x, mode)
    check(x, "preprocess", 3, 4)
    mode = mode or "unit"
    x = x:float()
    if mode == "none" then return x end
    if mode == "unit" then return x / 255 end
    if mode == "tf" then return x / 127.5 - 1 end
    if mode ~= "torch" and mode ~= "caffe" then
      core.fail(('no mode "%s" (there are: %s)'):format(tostring(mode), table.concat(modes, " ")))
    end
    if x:size(-1) ~= 3 then core.fail(('mode "%s" needs 3 channels, got %d'):format(mode, x:size(-1))) end
    if mode == "torch" then return (x / 255 - cornu.tensor(torch_mean)) / cornu.tensor(torch_deviation) end
    return x:slice(-1, -1, 1, -1) - cornu.tensor(caffe_mean)
  end

  -- image.to_tensor(img [, {size =, mode = "unit", channels =, invert =, interpolation =, batch = true}]):
  -- float32 for a model
  function image.to_tensor(img, opts)
    check(img, "to_tensor", 2, 4)
    opts = options.check(opts, tensor_options, "to_tensor")
    local x = img:rank() == 2 and img:expand_dims(-1) or img
    x = with_channels(x, opts.channels):float()
    if opts.size then x = image.resize(x, opts.size, opts.interpolation) end
    if opts.invert then x = 255 - x end
    x = image.preprocess(x, opts.mode)
    if x:rank() == 3 and opts.batch ~= false then x = x:expand_dims(1) end
    return x
  end

  -- image.load(path [, {channels =, …}]): a uint8 image; with any other option of to_tensor a float32 batch of one
  function image.load(path, opts)
    opts = options.check(opts, tensor_options, "image.load")
    if sources.is(path) then path = sources.take(path, "picture", "image.load") end
    local img = core.image_load(path, math.max(0, opts.channels or 0)) -- a model that does not tell: as in the file
    for name in pairs(opts) do
      if name ~= "channels" then return image.to_tensor(img, opts) end
    end
    return img
  end

  -- Drops a batch of one; gives a picture without channels one; stretches range {low, high} of floats to bytes.
  local function as_picture(t, range, what)
    check(t, what, 2, 4)
    if t:rank() == 4 then
      if #t ~= 1 then core.fail(("%s: a batch of %d images; give one, such as t[1]"):format(what, #t)) end
      t = t:squeeze(1)
    end
    if t:rank() == 2 then t = t:expand_dims(-1) end
    if t:dtype() == "uint8" then return t end
    local low, high = range and range[1], range and range[2]
    if not low then low, high = t:min():float():item(), t:max():float():item() end
    local span = high - low
    return to_bytes((t:float() - low) * (span > 0 and 255 / span or 0))
  end

  -- image.save(path, t [, {range = {0, 1}}]): PNG; floats of that range become bytes (range = "auto": smallest to largest)
  function image.save(path, t, opts)
    opts = options.check(opts, { "range" }, "image.save")
    local range = opts.range or { 0, 1 }
    if range == "auto" then range = nil
    elseif type(range) ~= "table" then core.fail 'image.save: the range is {low, high} or "auto"' end
    return core.image_save(path, as_picture(t, range, "image.save"):contiguous())
  end

  -- ---- text ----

  local shades = { " ", "\226\150\145", "\226\150\146", "\226\150\147", "\226\150\136" } -- blank, ░ ▒ ▓ █
  local half = "\226\150\128" -- ▀: the upper half has the text's colour, the lower one the background's

  local function wants_colour(asked)
    if asked ~= nil then return asked end
    local no, term = os.getenv "NO_COLOR", os.getenv "TERM"
    if (no and no ~= "") or not term or term == "dumb" then return false end
    local host = package.loaded["cornu.host"]
    return host ~= nil and host.isatty "stdout"
  end

  -- Mean colours of the pixels in each cell of a coarser grid: cells[y][x] = {r, g, b}.
  local function shrink(pixels, h, w, rows, columns)
    local cells = {}
    for y = 1, rows do
      local y1, y2 = math.floor((y - 1) * h / rows) + 1, math.max(math.floor(y * h / rows),
                                                                  math.floor((y - 1) * h / rows) + 1)
      cells[y] = {}
      for x = 1, columns do
        local x1 = math.floor((x - 1) * w / columns) + 1
        local x2, sum, n = math.max(math.floor(x * w / columns), x1), { 0, 0, 0 }, 0
        for i = y1, y2 do
          for k = x1, x2 do
            local p = pixels[i][k]
            for c = 1, 3 do sum[c] = sum[c] + (p[c] or p[1]) end
            n = n + 1
          end
        end
        for c = 1, 3 do sum[c] = math.floor(sum[c] / n + 0.5) end
        cells[y][x] = sum
      end
    end
    return cells
  end

  local function coloured(cells)
    local lines = {}
    for y = 1, #cells, 2 do
      local line = {}
      for x, top in ipairs(cells[y]) do
        local bottom = cells[y + 1] and cells[y + 1][x]
        line[x] = ("\27[38;2;%d;%d;%dm"):format(top[1], top[2], top[3]) ..
          (bottom and ("\27[48;2;%d;%d;%dm"):format(bottom[1], bottom[2], bottom[3]) or "\27[49m") .. half
      end
      lines[#lines + 1] = table.concat(line) .. "\27[0m"
    end
    return lines
  end

  local function shaded(cells) -- two characters a cell, as a character is twice as high as wide
    local lines = {}
    for y, row in ipairs(cells) do
      local line = {}
      for x, p in ipairs(row) do
        local light = (0.299 * p[1] + 0.587 * p[2] + 0.114 * p[3]) / 255
        line[x] = shades[math.min(#shades, math.floor(light * #shades) + 1)]:rep(2)
      end
      lines[y] = table.concat(line)
    end
    return lines
  end

  -- image.text(t [, {width = 64, colour =, range =}]): the picture as lines of text; light is full
  function image.text(t, opts)
    opts = options.check(opts, { "colour", "range", "width" }, "image.text")
    local colour = wants_colour(opts.colour)
    local picture = as_picture(t, type(opts.range) == "table" and opts.range or nil, "image.text")
    local h, w = picture:size(1), picture:size(2)
    if h == 0 or w == 0 then return "" end
    local columns = math.max(1, math.min(w, math.floor((opts.width or 64) / (colour and 1 or 2))))
    local rows = math.max(1, math.floor(h * columns / w + 0.5))
    local cells = shrink(picture:totable(), h, w, rows, columns)
    return table.concat(colour and coloured(cells) or shaded(cells), "\n")
  end

  -- image.show(t [, options of image.text]) prints it
  function image.show(t, opts)
    io.stdout:write(image.text(t, opts), "\n")
  end

  return image
end
