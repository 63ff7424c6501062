-- What Keras's users make rows of: classes, sequences of unequal length, windows of a time series.
local core = require "cornu.core"
local options = require "cornu.options"

return function(cornu)
  local function to_tensor(v, what)
    if core.type(v) == "tensor" then return v end
    if type(v) ~= "table" then core.fail(("%s: a tensor or a table expected, got %s"):format(what, type(v))) end
    return cornu.tensor(v)
  end

  -- to_categorical(labels [, num_classes]): labels count from 0, as Keras's do; a last axis of size 1 goes
  function cornu.to_categorical(labels, num_classes)
    local t = to_tensor(labels, "to_categorical"):cast "int64"
    if t:rank() > 1 and t:size(-1) == 1 then t = t:squeeze(-1) end
    if t:size() == 0 then core.fail "to_categorical: there are no labels" end
    local least, most = t:min():item(), t:max():item()
    num_classes = num_classes or most + 1
    if least < 0 or most >= num_classes then
      core.fail(("to_categorical: label %d of %d classes; labels count from 0"):format(least < 0 and least or most,
          num_classes))
    end
    return cornu.one_hot(t + 1, { depth = num_classes })
  end

  local pad_options = { "dtype", "maxlen", "padding", "truncating", "value" }

  local function side(v, what)
    if v == nil or v == "pre" then return true end
    if v ~= "post" then core.fail(('pad_sequences: %s is "pre" or "post", not %s'):format(what, tostring(v))) end
    return false
  end

  local function padded_shape(list, maxlen)
    local longest, sample = 0, {}
    for _, t in ipairs(list) do
      if #t > longest then longest = #t end
      if #t > 0 and #sample == 0 then
        sample = t:shape()
        table.remove(sample, 1)
      end
    end
    return { #list, maxlen or longest, (table.unpack or unpack)(sample) }
  end

  -- pad_sequences(list [, {maxlen =, dtype = "int32", padding = "pre", truncating = "pre", value = 0}]): one row for
  -- each sequence, a list of numbers or of samples, or a tensor
  function cornu.pad_sequences(sequences, opts)
    opts = options.check(opts, pad_options, "pad_sequences")
    local pad_front, cut_front = side(opts.padding, "padding"), side(opts.truncating, "truncating")
    local list, dtype = {}, opts.dtype or "int32"
    for i, s in ipairs(sequences) do list[i] = to_tensor(s, ("pad_sequences: sequence %d"):format(i)):cast(dtype) end
    local shape = padded_shape(list, opts.maxlen)
    local out, maxlen = cornu.full(shape, opts.value or 0, dtype), shape[2]
    for i, t in ipairs(list) do
      local n = math.min(#t, maxlen)
      if t:rank() ~= #shape - 1 and #t > 0 then
        core.fail(("pad_sequences: sequence %d has samples of another shape"):format(i))
      end
      if n > 0 then
        local part = cut_front and t:slice(1, -n, -1) or t:slice(1, 1, n)
        out[i]:slice(1, pad_front and maxlen - n + 1 or 1, pad_front and maxlen or n):copy(part)
      end
    end
    return out
  end
end
