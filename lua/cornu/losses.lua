-- cornu.losses: Keras's losses as differentiable functions of tensors, and their objects. They run on data and,
-- symbolically, in training. The formulas are those of keras.losses.
local core = require "cornu.core"
local classes = require "cornu.classes"

local ops = core.ops
local losses = {}
local family = classes.family("loss", "losses")
losses.family = family

local epsilon = 1e-7 -- keras.config.epsilon()

-- ---- what losses and metrics share ----

-- Where one has a last axis of size 1 that the other lacks, they get the same rank; (n) and (n, 1) meet as (n, 1).
local function same_rank(a, b, keep_rows)
  local ra, rb = a:rank(), b:rank()
  if ra == rb + 1 and a:shape()[ra] == 1 then
    if rb == 1 and not keep_rows then return a, b:expand_dims(-1) end
    return a:squeeze(-1), b
  elseif rb == ra + 1 then
    local y, x = same_rank(b, a, keep_rows)
    return x, y
  end
  return a, b
end
losses.same_rank = same_rank

-- Weights of samples count for each step of a mask.
function losses.masked(weight, mask)
  mask, weight = same_rank(mask, weight)
  for _ = weight:rank() + 1, mask:rank() do weight = weight:expand_dims(-1) end
  return weight * mask
end

-- Axes of Keras's configs count from 0.
local function axis_of(axis) return axis >= 0 and axis + 1 or axis end
losses.axis_of = axis_of

local function like(t, other) return t:cast(other:dtype()) end

local function normalized(x, axis)
  return x / ops.maximum((x * x):sum(axis, true), 1e-12):sqrt()
end

-- ---- regression ----

-- values(y_true, y_pred, settings) → a value for each sample and, where some do not count, a mask. sparse: targets are
-- numbers of classes, true: one where an output has a vector, "rows": as many as the loss likes.
local function define(entry)
  local values = entry.values
  function entry.values(y_true, y_pred, o)
    y_true, y_pred = same_rank(y_true, y_pred)
    return values(entry.sparse and y_true or like(y_true, y_pred), y_pred, o)
  end
  classes.define(family, entry)
end

define { name = "MeanSquaredError", aliases = { "mse", "MSE" }, help = "mean((y_true - y_pred)²) along the last axis",
  values = function(y_true, y_pred)
    return (y_true - y_pred):square():mean(-1)
  end }

define { name = "MeanAbsoluteError", aliases = { "mae", "MAE" }, help = "mean(|y_true - y_pred|) along the last axis",
  values = function(y_true, y_pred)
    return (y_true - y_pred):abs():mean(-1)
  end }

define { name = "MeanAbsolutePercentageError", aliases = { "mape", "MAPE" },
  help = "100 mean(|y_true - y_pred| / max(|y_true|, 1e-7))",
  values = function(y_true, y_pred)
    return ((y_true - y_pred) / ops.maximum(y_true:abs(), epsilon)):abs():mean(-1) * 100
  end }

define { name = "MeanSquaredLogarithmicError", aliases = { "msle", "MSLE" },
  help = "mean((log(1 + y_pred) - log(1 + y_true))²), both at least 1e-7",
  values = function(y_true, y_pred)
    local a, b = (ops.maximum(y_pred, epsilon) + 1):log(), (ops.maximum(y_true, epsilon) + 1):log()
    return (a - b):square():mean(-1)
  end }

define { name = "CosineSimilarity", aliases = { "cosine_proximity", "cosine" },
  help = "minus the cosine of the angle between y_true and y_pred", fields = { { "axis", -1, "of the vectors" } },
  values = function(y_true, y_pred, o)
    local axis = axis_of(o.axis)
    return -(normalized(y_true, axis) * normalized(y_pred, axis)):sum(axis)
  end }

define { name = "Huber", object_name = "huber_loss", aliases = { "huber" },
  help = "mean of e²/2 where |e| <= delta, else delta |e| - delta²/2; e = y_pred - y_true",
  fields = { { "delta", 1, "where squares become lines" } },
  values = function(y_true, y_pred, o)
    local e = y_pred - y_true
    local size = e:abs()
    return ops.where(size:le(o.delta), e:square() * 0.5, size * o.delta - 0.5 * o.delta ^ 2):mean(-1)
  end }

define { name = "LogCosh", aliases = { "logcosh" }, help = "mean(log(cosh(y_pred - y_true)))",
  values = function(y_true, y_pred)
    local e = y_pred - y_true
    return (e + (e * -2):softplus() - math.log(2)):mean(-1)
  end }

define { name = "Poisson", help = "mean(y_pred - y_true log(y_pred + 1e-7))",
  values = function(y_true, y_pred)
    return (y_pred - y_true * (y_pred + epsilon):log()):mean(-1)
  end }

define { name = "KLDivergence", aliases = { "kullback_leibler_divergence", "kld", "KLD" },
  help = "sum(y_true log(y_true / y_pred)), both between 1e-7 and 1",
  values = function(y_true, y_pred)
    y_true, y_pred = y_true:clip(epsilon, 1), y_pred:clip(epsilon, 1)
    return (y_true * (y_true / y_pred):log()):sum(-1)
  end }

-- ---- margins ----

-- Targets of 0 and 1 become -1 and 1.
local function signs(y_true)
  local binary = ops.logical_or(y_true:eq(0), y_true:eq(1)):all()
  return ops.where(binary, y_true * 2 - 1, y_true)
end

define { name = "Hinge", help = "mean(max(1 - y_true y_pred, 0)); targets -1 and 1, or 0 and 1",
  values = function(y_true, y_pred) return ops.maximum(1 - signs(y_true) * y_pred, 0):mean(-1) end }

define { name = "SquaredHinge", help = "mean(max(1 - y_true y_pred, 0)²); targets -1 and 1, or 0 and 1",
  values = function(y_true, y_pred) return ops.maximum(1 - signs(y_true) * y_pred, 0):square():mean(-1) end }

define { name = "CategoricalHinge",
  help = "max(neg - pos + 1, 0); pos = sum(y_true y_pred), neg = max((1 - y_true) y_pred)",
  values = function(y_true, y_pred)
    local pos, neg = (y_true * y_pred):sum(-1), ((1 - y_true) * y_pred):max(-1)
    return ops.maximum(neg - pos + 1, 0)
  end }

-- ---- probabilities ----

local from_logits = { "from_logits", false, "y_pred comes before its softmax or sigmoid" }
local smoothing = { "label_smoothing", 0, "0 to 1: how far targets move towards equal shares" }
local class_axis = { "axis", -1, "of the classes" }

-- y_pred before its act where that is known, as Keras on TensorFlow computes; nil: these are probabilities.
local function logits_of(y_pred, o) return core.logits(y_pred) or (o.from_logits and y_pred) or nil end

local function probabilities(p) return p:clip(epsilon, 1 - epsilon) end

local function smooth_classes(y_true, o)
  if o.label_smoothing == 0 then return y_true end
  local shape = y_true:shape()
  return y_true * (1 - o.label_smoothing) + o.label_smoothing / shape[#shape]
end

local function smooth_binary(y_true, o)
  return o.label_smoothing == 0 and y_true or y_true * (1 - o.label_smoothing) + 0.5 * o.label_smoothing
end

define { name = "CategoricalCrossentropy",
  help = "-sum(y_true log(y_pred)) along the classes; targets one-hot or shares",
  fields = { from_logits, smoothing, class_axis },
  values = function(y_true, y_pred, o)
    local axis, logits = axis_of(o.axis), logits_of(y_pred, o)
    local log = logits and logits:log_softmax(axis) or probabilities(y_pred / y_pred:sum(axis, true)):log()
    return -(smooth_classes(y_true, o) * log):sum(axis)
  end }

-- Element-wise; not yet the mean along the last axis.
local function binary_crossentropy(y_true, y_pred, o)
  local logits = logits_of(y_pred, o)
  if logits then return logits:softplus() - y_true * logits end
  local p = probabilities(y_pred)
  return -(y_true * p:log() + (1 - y_true) * (1 - p):log())
end

define { name = "BinaryCrossentropy", help = "mean(-y_true log(y_pred) - (1 - y_true) log(1 - y_pred))",
  fields = { from_logits, smoothing, class_axis },
  values = function(y_true, y_pred, o)
    return binary_crossentropy(smooth_binary(y_true, o), y_pred, o):mean(axis_of(o.axis))
  end }

define { name = "BinaryFocalCrossentropy",
  help = "binary cross entropy times (1 - p)^gamma, p the probability of the target (Lin et al., 2017)",
  fields = { { "apply_class_balancing", false, "weighs the classes by alpha and 1 - alpha" },
    { "alpha", 0.25, "weight of class 1" }, { "gamma", 2, "how little easy samples count" }, from_logits, smoothing,
    class_axis },
  values = function(y_true, y_pred, o)
    y_true = smooth_binary(y_true, o)
    local p = o.from_logits and y_pred:sigmoid() or y_pred
    local loss = (1 - (y_true * p + (1 - y_true) * (1 - p))):pow(o.gamma) * binary_crossentropy(y_true, p, {})
    if o.apply_class_balancing then loss = (y_true * o.alpha + (1 - y_true) * (1 - o.alpha)) * loss end
    return loss:mean(axis_of(o.axis))
  end }

define { name = "CategoricalFocalCrossentropy",
  help = "sum of alpha (1 - p)^gamma times the cross entropy of each class (Lin et al., 2017)",
  fields = { { "alpha", 0.25, "weight: a number, or one for each class" },
    { "gamma", 2, "how little easy samples count" }, from_logits, smoothing, class_axis },
  values = function(y_true, y_pred, o)
    local axis = axis_of(o.axis)
    y_true = smooth_classes(y_true, o)
    local p = o.from_logits and y_pred:softmax(axis) or y_pred
    p = probabilities(p / p:sum(axis, true))
    local alpha = type(o.alpha) == "table" and core.tensor(o.alpha, p:dtype()) or o.alpha
    return ((1 - p):pow(o.gamma) * alpha * (-y_true * p:log())):sum(axis)
  end }

-- Numbers of classes without a last axis of size 1.
local function ids_of(y_true, y_pred)
  local shape = y_true:shape()
  return #shape == y_pred:rank() and shape[#shape] == 1 and y_true:squeeze(-1) or y_true
end

define { name = "SparseCategoricalCrossentropy",
  help = "cross entropy of targets that are numbers of classes, from 0 on", sparse = true,
  fields = { from_logits, { "ignore_class", nil, "targets of this class do not count" }, class_axis },
  values = function(y_true, y_pred, o)
    local ids, kept, logits = ids_of(y_true, y_pred):cast "int64", nil, logits_of(y_pred, o)
    if o.ignore_class then
      kept = ids:ne(o.ignore_class)
      ids = ops.where(kept, ids, 0)
    end
    if axis_of(o.axis) ~= -1 and axis_of(o.axis) ~= y_pred:rank() then
      core.fail(("SparseCategoricalCrossentropy: axis %d: the classes are on the last axis"):format(o.axis))
    end
    local shape = y_pred:shape()
    local log = (logits or probabilities(y_pred):log()):log_softmax(-1)
    local loss = -(ops.one_hot(ids + 1, shape[#shape], y_pred:dtype()) * log):sum(-1)
    if not kept then return loss end
    return ops.where(kept, loss, 0), kept
  end }

define { name = "CategoricalGeneralizedCrossEntropy", sparse = true,
  help = "(1 - p^q) / q, p the probability of the target class (Zhang and Sabuncu, 2018)",
  fields = { { "q", 0.5, "between 0 and 1: from cross entropy to mean absolute error" } },
  values = function(y_true, y_pred, o)
    local shape = y_pred:shape()
    local code = ops.one_hot(ids_of(y_true, y_pred):cast "int64" + 1, shape[#shape], y_pred:dtype())
    return (1 - (y_pred * code):sum(-1):pow(o.q)) / o.q
  end }

define { name = "CTC", sparse = "rows", help = [[
connectionist temporal classification: targets (batch, length) of classes, 0 filling up;
y_pred (batch, frames, classes) before the softmax, class 0 the blank]],
  values = function(y_true, y_pred)
    local labels, shape = y_true:cast "int32", y_pred:shape()
    if labels:rank() ~= 2 or #shape ~= 3 then
      core.fail "CTC: targets (batch, length) and outputs (batch, frames, classes) expected"
    end
    local lengths, frames = labels:ne(0):cast "int32":sum(-1):cast "int32", ops.full_like(labels:max(-1), shape[2])
    return ops.ctc_loss(labels, y_pred, lengths, frames, 0)
  end }

-- ---- overlaps and distances ----

-- Keras's axis: nil (all) or a list.
local function axes_of(axis)
  if axis == nil then return nil end
  if type(axis) == "number" then axis = { axis } end
  local axes = {}
  for i, a in ipairs(axis) do axes[i] = axis_of(a) end
  return axes
end

define { name = "Dice", help = "1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred))",
  fields = { { "axis", nil, "of the sums; null: all" } },
  values = function(y_true, y_pred, o)
    local axes = axes_of(o.axis)
    return 1 - (y_true * y_pred):sum(axes) * 2 / (y_true:sum(axes) + y_pred:sum(axes) + epsilon)
  end }

define { name = "Tversky", help = "1 - tp / (tp + alpha sum((1 - y_pred) y_true) + beta sum(y_pred (1 - y_true)))",
  fields = { { "alpha", 0.5, "weight of what is missed" }, { "beta", 0.5, "weight of false alarms" },
    { "axis", nil, "of the sums; null: all" } },
  values = function(y_true, y_pred, o)
    local axes = axes_of(o.axis)
    local hit, missed = (y_true * y_pred):sum(axes), ((1 - y_pred) * y_true):sum(axes)
    local wrong = (y_pred * (1 - y_true)):sum(axes)
    return 1 - hit / (hit + missed * o.alpha + wrong * o.beta + epsilon)
  end }

define { name = "Circle", sparse = "rows",
  help = "circle loss of unit vectors and their labels (Sun et al., 2020): pairs of one label come near each other",
  fields = { { "gamma", 80, "scale" }, { "margin", 0.4, "how far pairs are to be apart" },
    { "remove_diagonal", true, "no sample is its own partner" } },
  values = function(y_true, y_pred, o)
    local labels = y_true:cast "int32":reshape(-1)
    local n = labels:shape()[1]
    local far = ops.maximum(1 - y_pred:matmul(y_pred:transpose()), 0)
    local same = labels:reshape(n, 1):eq(labels:reshape(1, n))
    local other = ops.logical_not(same)
    if o.remove_diagonal then same = ops.logical_and(same, ops.logical_not(core.eye(n):cast "bool")) end
    local positive = (far + o.margin) * same:cast(far:dtype())
    local negative = ops.maximum((1 + o.margin - far) * other:cast(far:dtype()), 0)
    local p = ops.where(same, positive * (o.margin - far) * -o.gamma, -math.huge):logsumexp(2)
    local q = ops.where(other, negative * (1 - o.margin - far) * o.gamma, -math.huge):logsumexp(2)
    local loss = (p + q):softplus()
    return loss, loss:gt(0)
  end }

-- ---- objects ----

local reductions = { sum_over_batch_size = true, sum = true, none = true, mean = true, mean_with_sample_weight = true,
  auto = true }

-- Values with weights of samples and a mask, as one number (or, with "none", as they are). Masked values count for
-- nothing, and means are those of the others.
function losses.reduce(values, weight, mask, reduction)
  local mean = reduction ~= "sum" and reduction ~= "none"
  if mask then
    mask = mask:cast(values:dtype())
    local total = 1
    for _, size in ipairs(mask:shape()) do total = total * size end
    if mean and reduction ~= "mean_with_sample_weight" then mask = mask * (total / ops.maximum(mask:sum(), 1)) end
    weight = weight and losses.masked(weight:cast(values:dtype()), mask) or mask
  end
  if weight then
    values, weight = same_rank(values, weight:cast(values:dtype()))
    for _ = weight:rank() + 1, values:rank() do weight = weight:expand_dims(-1) end
    values = values * weight
  end
  if reduction == "none" or values:rank() == 0 then return values end
  if reduction == "sum" then return values:sum() end
  if reduction ~= "mean_with_sample_weight" or not weight then return values:mean() end
  local total = weight:sum()
  return ops.where(total:ne(0), values:sum() / total, 0)
end

local Loss = {}
Loss.__index = Loss

-- loss(y_true, y_pred [, weight [, mask]]) → a tensor: one number, or one for each sample with reduction = "none"
function Loss:__call(y_true, y_pred, weight, mask)
  local values, own = self.values(y_true, y_pred, self.settings)
  if core.type(values) ~= "tensor" then core.fail(('the loss "%s" returned no tensor'):format(self.name)) end
  if own and mask then mask = ops.logical_and(mask, own) end
  return losses.reduce(values, weight, mask or own, self.reduction)
end

function Loss:__tostring() return ("loss %s"):format(self.class_name or self.name) end

local common = { "name", "reduction", "dtype", "fn" } -- dtype, fn: in files; the values are float32 here as there

local function reduction_of(name, v)
  if v == nil or v == core.null then return "sum_over_batch_size" end
  if not reductions[v] then
    core.fail(('%s: reduction is "%s", not one of sum_over_batch_size sum mean mean_with_sample_weight none')
      :format(name, tostring(v)))
  end
  return v
end

local function make(entry, given)
  local settings = classes.settings(entry, given, common)
  local name, reduction = settings.name or entry.object_name, reduction_of(entry.name, settings.reduction)
  classes.check_dtype(entry, settings.dtype)
  settings.name, settings.reduction, settings.dtype, settings.fn = nil, nil, nil, nil
  local config = classes.config(entry, settings, {})
  config.name, config.reduction = name, reduction
  return setmetatable({ class_name = entry.name, config = config, settings = settings, name = name,
    reduction = reduction, values = entry.values, sparse = entry.sparse, custom = false }, Loss)
end

-- A function of (y_true, y_pred) that gives a value for each sample.
local function wrap(f, name)
  return setmetatable({ settings = {}, name = name or "loss", reduction = "sum_over_batch_size", values = f,
    custom = true }, Loss)
end

function losses.is(v) return getmetatable(v) == Loss end

-- A loss from its name, {class_name =, config =}, a function of (y_true, y_pred), or itself.
function losses.get(v)
  if losses.is(v) then return v end
  if type(v) == "function" then return wrap(v) end
  local entry, given = classes.identify(family, v)
  if not entry then
    core.fail(("a loss is a name, cornu.losses.…{…} or a function of (y_true, y_pred), not a %s"):format(core.type(v) or
      type(v)))
  end
  return make(entry, given)
end

-- "crossentropy" is the one that fits the shapes.
function losses.for_shapes(v, y_true, y_pred)
  if v ~= "crossentropy" and v ~= "ce" then return losses.get(v) end
  local binary, sparse = losses.kind_of_labels(y_true, y_pred)
  return losses.get(binary and "binary_crossentropy" or sparse and "sparse_categorical_crossentropy" or
    "categorical_crossentropy")
end

-- Whether y_pred is one probability, and whether y_true holds numbers of classes.
function losses.kind_of_labels(y_true, y_pred)
  local t, p = y_true:shape(), y_pred:shape()
  return p[#p] == 1, #t < #p or (t[#t] == 1 and p[#p] > 1)
end

-- cornu.losses: constructors by class name, functions of (y_true, y_pred, options) by their other names.
function losses.constructors()
  local all = classes.constructors(family, make)
  all.get = losses.get
  for _, entry in ipairs(family.entries) do
    local function values(y_true, y_pred, given)
      return (entry.values(y_true, y_pred, classes.settings(entry, given, {})))
    end
    all[classes.snake(entry.name)] = values
    for _, alias in ipairs(entry.aliases) do all[alias] = values end
  end
  return all
end

return losses
