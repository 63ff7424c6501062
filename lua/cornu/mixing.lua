-- data.mix_up and data.cut_mix: batches whose samples are mixed with others of the batch, labels with them.
local core = require "cornu.core"
local options = require "cornu.options"

return function(cornu, augmenter)
  local mixing = {}

  local function checked(x, y, name)
    if core.type(x) ~= "tensor" or core.type(y) ~= "tensor" then core.fail(name .. ": x and y must be tensors") end
    if #y:shape() < 2 then
      core.fail(("%s: y has shape (%d): labels that can be mixed are one-hot (label_mode = \"categorical\"; " ..
        "to_categorical)"):format(name, #y))
    end
    return x:float(), y:float()
  end

  -- Models by the size of the batch, as last batches are smaller.
  local function layer_by_size(make, seed)
    local made = {}
    return function(n, input, shape)
      local key = n .. ":" .. table.concat(shape, ",")
      made[key] = made[key] or augmenter(cornu.Sequential{ cornu.Input{ shape = shape }, make() }, seed)
      return made[key](input)
    end
  end

  -- data.mix_up{alpha = 0.2, seed = 0} → f(x, y, w). What the layer makes of images that are 1 in a channel of their
  -- own is the matrix that mixes all.
  function mixing.mix_up(opts)
    opts = options.check(opts, { "alpha", "seed" }, "data.mix_up")
    local run = layer_by_size(function() return cornu.layers.MixUp{ opts.alpha or 0.2 } end, opts.seed or 0)
    return function(x, y, w)
      x, y = checked(x, y, "data.mix_up")
      local n = #x
      local matrix = run(n, cornu.eye(n):reshape(n, 1, 1, n), { 1, 1, n }):reshape(n, n)
      local function mixed(t) return cornu.matmul(matrix, t:reshape(n, -1)):reshape(t:shape()) end
      return mixed(x), mixed(y), w
    end
  end

  -- data.cut_mix{factor = 1, seed = 0} → f(x, y, w). What the layer makes of images that hold their own number tells
  -- who is where; labels are mixed by the share of pixels.
  function mixing.cut_mix(opts)
    opts = options.check(opts, { "factor", "seed" }, "data.cut_mix")
    local run = layer_by_size(function() return cornu.layers.CutMix{ opts.factor or 1 } end, opts.seed or 0)
    return function(x, y, w)
      x, y = checked(x, y, "data.cut_mix")
      local n, height, width = #x, x:size(2), x:size(3)
      if #x:shape() ~= 4 then core.fail "data.cut_mix: x must be images (batch, height, width, channels)" end
      local own = cornu.arange(1, n + 1, 1, "float32"):reshape(n, 1, 1, 1)
      local who = run(n, own + cornu.zeros(n, height, width, 1), { height, width, 1 })
      local moved = (who - own):reshape(n, -1)
      local high, low = moved:max(2), moved:min(2)
      local partner = cornu.cast(cornu.where(high:gt(0), high, low) + own:reshape(n), "int64")
      local inside = cornu.cast(who:ne(own), "float32")
      local share = inside:reshape(n, -1):mean(2):reshape(n, 1)
      local function mixed(t, part) return t + (cornu.take(t, partner, 1) - t) * part end
      return cornu.where(inside:gt(0), cornu.take(x, partner, 1), x), mixed(y, share), w
    end
  end

  return mixing
end
