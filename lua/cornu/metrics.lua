-- cornu.metrics: Keras's metrics. A metric is what each batch adds to some sums (`terms`: tensors, symbolic in training)
-- and what the sums say in the end (`result`).
local core = require "cornu.core"
local classes = require "cornu.classes"
local losses = require "cornu.losses"

local ops = core.ops
local metrics = {}
local family = classes.family("metric", "metrics")
metrics.family = family

local epsilon = 1e-7
local same_rank, axis_of = losses.same_rank, losses.axis_of

local function define(entry) classes.define(family, entry) end

-- ---- means ----

-- The axes from `first` on: their mean (or sum).
local function reduce_from(t, first, how)
  if t:rank() < first then return t end
  local axes = {}
  for axis = first, t:rank() do axes[#axes + 1] = axis end
  return t[how](t, axes)
end

-- Values of samples and their weights, as Keras reduces them: values of one sample count as their mean.
local function samplewise(values, weight, how)
  values = values:cast "float32"
  if weight then
    values, weight = same_rank(values, weight:cast "float32")
    values = reduce_from(values, weight:rank() + 1, how)
    weight = ops.broadcast_to(weight, values:shape())
    values = reduce_from(values * weight, 2, how)
    return values, reduce_from(weight, 2, how)
  end
  return reduce_from(values, 2, how), nil
end

local function mean_terms(values, weight)
  values, weight = samplewise(values, weight, "mean")
  local count = weight and weight:sum() or core.tensor(values:rank() > 0 and values:shape()[1] or 1)
  return { values:sum(), count }
end

local function ratio(a, b) return b ~= 0 and a / b or 0 end

local function mean_result(sums) return ratio(sums[1], sums[2]) end

-- What an output's mask leaves of the weights of samples.
local function masked(weight, mask)
  if not mask then return weight end
  mask = mask:cast "float32"
  if not weight then return mask end
  return losses.masked(weight:cast "float32", mask)
end

-- A metric whose values are a function of (y_true, y_pred, settings).
local function define_mean(entry)
  local values = entry.values
  entry.terms = function(y_true, y_pred, o, weight, mask)
    return mean_terms(values(y_true, y_pred, o), masked(weight, mask))
  end
  entry.result = mean_result
  define(entry)
end

for _, loss in ipairs(losses.family.entries) do
  local fields = {}
  for i, f in ipairs(loss.fields) do fields[i] = { f.name, f.default, f.help } end
  if loss.name ~= "CosineSimilarity" and loss.name ~= "LogCosh" then -- metrics of their own
    define_mean { name = loss.name, aliases = loss.aliases, help = loss.help, fields = fields, values = loss.values,
      object_name = classes.snake(loss.name) }
  end
end

define_mean { name = "LogCoshError", object_name = "logcosh", aliases = { "log_cosh" },
  help = losses.family.by_name.LogCosh.help, values = losses.family.by_name.LogCosh.values }

define_mean { name = "CosineSimilarity", help = "the cosine of the angle between y_true and y_pred",
  aliases = { "cosine_proximity", "cosine" }, fields = { { "axis", -1, "of the vectors" } },
  values = function(y_true, y_pred, o) return -losses.family.by_name.CosineSimilarity.values(y_true, y_pred, o) end }

define { name = "Mean", help = "the mean of values: update_state(values, nil, weight)",
  terms = function(values, _, _, weight) return mean_terms(values, weight) end, result = mean_result }

define { name = "Sum", help = "the sum of values: update_state(values, nil, weight)",
  terms = function(values, _, _, weight) return { (samplewise(values, weight, "sum")):sum() } end,
  result = function(sums) return sums[1] end }

define { name = "RootMeanSquaredError", aliases = { "rmse" }, help = "sqrt(mean((y_true - y_pred)²))",
  terms = function(y_true, y_pred, _, weight)
    y_true, y_pred = same_rank(y_true:cast "float32", y_pred:cast "float32")
    return mean_terms((y_pred - y_true):square(), weight)
  end,
  result = function(sums) return math.sqrt(mean_result(sums)) end }

-- ---- accuracies ----

define_mean { name = "Accuracy", help = "how often y_true and y_pred are the same",
  values = function(y_true, y_pred)
    y_true, y_pred = same_rank(y_true:cast(y_pred:dtype()), y_pred)
    return y_true:eq(y_pred)
  end }

define_mean { name = "BinaryAccuracy", help = "how often y_pred is on the right side of the threshold",
  fields = { { "threshold", 0.5, "above it: class 1" } },
  values = function(y_true, y_pred, o)
    y_true, y_pred = same_rank(y_true, y_pred)
    return y_true:cast "float32":eq(y_pred:gt(o.threshold):cast "float32")
  end }

define_mean { name = "CategoricalAccuracy", help = "how often the largest output is that of the target, which is one-hot",
  values = function(y_true, y_pred) return y_true:argmax(-1):eq(y_pred:argmax(-1)) end }

-- Numbers of classes, from 1 on, without a last axis of size 1.
local function positions(y_true, y_pred)
  local shape = y_true:shape()
  if #shape == y_pred:rank() and shape[#shape] == 1 then y_true = y_true:squeeze(-1) end
  return y_true:cast "int64" + 1
end

define_mean { name = "SparseCategoricalAccuracy",
  help = "how often the largest output is that of the target, which is the number of a class",
  values = function(y_true, y_pred)
    local hits = positions(y_true, y_pred):eq(y_pred:argmax(-1))
    local shape = hits:shape()
    return #shape > 1 and shape[#shape] == 1 and hits:squeeze(-1) or hits
  end }

-- Whether fewer than k outputs are larger than that of the target.
local function in_top(ids, y_pred, k)
  local shape = y_pred:shape()
  local code = ops.one_hot(ids, shape[#shape], "bool")
  local of_target = ops.where(code, y_pred, -math.huge):max(-1, true)
  return y_pred:gt(of_target):cast "float32":sum(-1):lt(k)
end

local top = { "k", 5, "how many of the largest outputs count" }
define_mean { name = "TopKCategoricalAccuracy", help = "how often the target, which is one-hot, is among the k largest",
  fields = { top }, values = function(y_true, y_pred, o) return in_top(y_true:argmax(-1), y_pred, o.k) end }

define_mean { name = "SparseTopKCategoricalAccuracy",
  help = "how often the target, which is the number of a class, is among the k largest",
  fields = { top, { "from_sorted_ids", false, "y_pred holds numbers of classes, the best first" } },
  values = function(y_true, y_pred, o)
    local ids = positions(y_true, y_pred)
    if not o.from_sorted_ids then return in_top(ids, y_pred, o.k) end
    local best = y_pred:slice(-1, 1, math.min(o.k, y_pred:shape()[y_pred:rank()]))
    return ids:expand_dims(-1):eq(best:cast "int64" + 1):any(-1)
  end }

-- ---- correlation ----

local vectors = { { "axis", -1, "of the vectors" } }

local function standardized(x, axis)
  x = x - x:mean(axis, true)
  return x / x:square():mean(axis, true):sqrt()
end

define_mean { name = "PearsonCorrelation", help = "the mean of Pearson's coefficient", fields = vectors,
  values = function(y_true, y_pred, o)
    local axis = axis_of(o.axis)
    y_true, y_pred = same_rank(y_true:cast(y_pred:dtype()), y_pred)
    return (standardized(y_true, axis) * standardized(y_pred, axis)):mean(axis)
  end }

define_mean { name = "ConcordanceCorrelation", help = "the mean of Lin's concordance coefficient", fields = vectors,
  values = function(y_true, y_pred, o)
    local axis = axis_of(o.axis)
    y_true, y_pred = same_rank(y_true:cast(y_pred:dtype()), y_pred)
    local a, b = y_true:mean(axis, true), y_pred:mean(axis, true)
    local spread = (y_true - a):square():mean(axis, true) + (y_pred - b):square():mean(axis, true) + (a - b):square()
    return ((y_true - b) * (y_pred - b) * 2 / (spread + epsilon)):mean(axis)
  end }

-- ---- counts at thresholds ----

local class_id = { "class_id", nil, "counts this class alone, from 0 on" }
local thresholds_field = { "thresholds", nil, "0 to 1, one or a list; null: 0.5" }

local function list_of(v, default)
  if v == nil then return { default } end
  return type(v) == "table" and v or { v }
end

-- Targets, outputs and weights as (n, labels) of float32.
local function to_counts(y_true, y_pred, o, weight)
  y_true, y_pred = y_true:cast "float32", y_pred:cast "float32"
  y_pred, y_true = same_rank(y_pred, y_true)
  if weight then
    weight = weight:cast "float32"
    for _ = weight:rank() + 1, y_pred:rank() do weight = weight:expand_dims(-1) end
    weight = ops.broadcast_to(weight, y_pred:shape())
  end
  if o.top_k then
    local shape = y_pred:shape()
    local _, best = ops.top_k(y_pred, { k = o.top_k })
    local among = ops.one_hot(best:cast "int64" + 1, shape[#shape]):sum(-2)
    y_pred = y_pred * among + (1 - among) * -1e10
  end
  if o.class_id then
    local function column(t) return t:slice(-1, o.class_id + 1, o.class_id + 1) end
    y_true, y_pred, weight = column(y_true), column(y_pred), weight and column(weight)
  end
  local labels = o.multi_label and y_pred:shape()[y_pred:rank()] or 1
  local function flat(t) return t:reshape(-1, labels) end
  if o.label_weights and not o.multi_label then
    local by_label = ops.broadcast_to(core.tensor(o.label_weights, "float32"), y_pred:shape())
    weight = weight and weight * by_label or by_label
  end
  return flat(y_true):ne(0):cast "float32", flat(y_pred), weight and flat(weight)
end

-- Sums over samples of what lies above each threshold, (thresholds, labels): with few, by comparing with each …
local function above(values, y_pred, thresholds)
  local n = y_pred:shape()[1]
  local limits = core.tensor(thresholds, "float32"):reshape(-1, 1, 1)
  local yes = y_pred:reshape(1, n, -1):gt(limits):cast "float32"
  return (yes * values:reshape(1, n, -1)):sum(2)
end

-- … with many at even distances by the interval in which a value lies.
local function above_even(values, y_pred, thresholds)
  local count, labels = #thresholds, y_pred:shape()[2]
  local interval = (y_pred:clip(0, 1) * (count - 1)):ceil() - 1
  if thresholds[1] < 0 then interval = ops.maximum(interval, 0) end
  local below = interval:lt(0)
  local label = core.linspace(0, labels - 1, labels):cast "float32":reshape(1, -1)
  local ids = ops.where(below, -1, interval + label * count):cast "int32":reshape(-1)
  local sums = ops.segment(values:reshape(-1), ids, labels * count):reshape(labels, count)
  return sums:cumsum { axis = 2, reverse = true }:transpose()
end

local function is_even(thresholds)
  if #thresholds < 3 then return false end
  for i, v in ipairs(thresholds) do
    if math.abs(v - (i - 1) / (#thresholds - 1)) > 1e-7 + 1e-5 * v then return false end
  end
  return true
end

-- {true positives, false positives, true negatives, false negatives}, each (thresholds, labels)
local function count_terms(y_true, y_pred, o, weight)
  y_true, y_pred, weight = to_counts(y_true, y_pred, o, weight)
  local yes, no = y_true, 1 - y_true
  if weight then yes, no = yes * weight, no * weight end
  local sum = is_even(o.at) and above_even or above
  local tp, fp = sum(yes, y_pred, o.at), sum(no, y_pred, o.at)
  return { tp, fp, no:sum(1, true) - fp, yes:sum(1, true) - tp }
end

-- Numbers of a list, or the one number.
local function listed(values) return #values == 1 and values[1] or core.tensor(values, "float32") end

local function columns(sums)
  local c = {}
  for i, name in ipairs { "tp", "fp", "tn", "fn" } do c[name] = sums[i]:reshape(-1):totable() end
  return c
end

local function at_thresholds(o) o.at = list_of(o.thresholds, o.top_k and -1e10 or 0.5) end

for name, key in pairs { TruePositives = "tp", FalsePositives = "fp", TrueNegatives = "tn", FalseNegatives = "fn" } do
  define { name = name, help = "their number (their weight) at each threshold", fields = { thresholds_field },
    prepare = at_thresholds, terms = count_terms, result = function(sums) return listed(columns(sums)[key]) end }
end

local function define_rate(name, help, other)
  define { name = name, help = help, prepare = at_thresholds, terms = count_terms,
    fields = { thresholds_field, { "top_k", nil, "the k largest outputs of a sample count as positive" }, class_id },
    result = function(sums)
      local c, rates = columns(sums), {}
      for i = 1, #c.tp do rates[i] = ratio(c.tp[i], c.tp[i] + c[other][i]) end
      return listed(rates)
    end }
end
define_rate("Precision", "true positives / all that y_pred calls positive", "fp")
define_rate("Recall", "true positives / all that are positive", "fn")

-- n even thresholds from 0 to 1.
local function even(n)
  local list = {}
  for i = 1, n do list[i] = n == 1 and 0.5 or (i - 1) / (n - 1) end
  return list
end

local rates = {
  sensitivity = function(c, i) return ratio(c.tp[i], c.tp[i] + c.fn[i]) end,
  specificity = function(c, i) return ratio(c.tn[i], c.tn[i] + c.fp[i]) end,
  precision = function(c, i) return ratio(c.tp[i], c.tp[i] + c.fp[i]) end,
}
rates.recall = rates.sensitivity

-- The best of one rate where another is at least as large as wanted.
local function define_best(name, wanted, given)
  define { name = name, help = ("the best %s of all thresholds where the %s is at least as given"):format(wanted, given),
    fields = { { given, nil, "0 to 1", required = true }, { "num_thresholds", 200, "how many are tried" }, class_id },
    prepare = function(o) o.at = even(o.num_thresholds) end, terms = count_terms,
    result = function(sums, o)
      local c, best = columns(sums), 0
      for i = 1, #c.tp do
        if rates[given](c, i) >= o[given] then best = math.max(best, rates[wanted](c, i)) end
      end
      return best
    end }
end
define_best("SensitivityAtSpecificity", "sensitivity", "specificity")
define_best("SpecificityAtSensitivity", "specificity", "sensitivity")
define_best("PrecisionAtRecall", "precision", "recall")
define_best("RecallAtPrecision", "recall", "precision")

-- ---- area under the curve ----

local function prepare_auc(o)
  local inner = o.thresholds and { (table.unpack or unpack)(o.thresholds) } or even(o.num_thresholds)
  if o.thresholds then table.sort(inner) else table.remove(inner, 1) table.remove(inner) end
  o.at = { -epsilon }
  for _, v in ipairs(inner) do o.at[#o.at + 1] = v end
  o.at[#o.at + 1] = 1 + epsilon
end

local curves = {
  ROC = function(c, i) return ratio(c.fp[i], c.fp[i] + c.tn[i]), rates.recall(c, i) end,
  PR = function(c, i) return rates.recall(c, i), rates.precision(c, i) end,
  PRGAIN = function(c, i)
    if c.tp[i] == 0 then return 0, 1 end
    local scale = ratio(c.tp[i] + c.fn[i], c.tn[i] + c.fp[i])
    return math.max(1 - scale * c.fn[i] / c.tp[i], 0), 1 - scale * c.fp[i] / c.tp[i]
  end,
}

-- Between two points of a precision-recall curve the true positives, not the precision, go in a straight line (Davis and
-- Goadrich, 2006).
local function interpolated_precision(c)
  local area = 0
  for i = 1, #c.tp - 1 do
    local p, q = c.tp[i] + c.fp[i], c.tp[i + 1] + c.fp[i + 1]
    local rise = c.tp[i] - c.tp[i + 1]
    local slope = ratio(rise, math.max(p - q, 0))
    local start = c.tp[i + 1] - slope * q
    local log = p > 0 and q > 0 and math.log(p / q) or 0
    area = area + ratio(slope * (rise + start * log), c.tp[i + 1] + c.fn[i + 1])
  end
  return area
end

local heights = {
  interpolation = function(a, b) return (a + b) / 2 end, minoring = math.min, majoring = math.max,
}

local function area(c, o)
  if o.curve == "PR" and o.summation_method == "interpolation" then return interpolated_precision(c) end
  local sum, x, y = 0, curves[o.curve](c, 1)
  for i = 2, #c.tp do
    local x2, y2 = curves[o.curve](c, i)
    sum = sum + (x - x2) * heights[o.summation_method](y, y2)
    x, y = x2, y2
  end
  return sum
end

define { name = "AUC", help = "area under the ROC curve or the precision-recall curve, from counts at many thresholds",
  fields = { { "num_thresholds", 200, "at even distances" }, { "curve", "ROC", "ROC, PR or PRGAIN" },
    { "summation_method", "interpolation", "interpolation, minoring or majoring" },
    { "thresholds", nil, "a list in the place of even ones" },
    { "multi_label", false, "an area for each label, then their mean" }, { "num_labels", nil, "of multi_label" },
    { "label_weights", nil, "a list" }, { "from_logits", false, "y_pred comes before its sigmoid" } },
  prepare = function(o, name)
    o.curve, o.summation_method = o.curve:upper(), o.summation_method:lower()
    if not curves[o.curve] then core.fail(('%s: curve is "%s", not ROC, PR or PRGAIN'):format(name, o.curve)) end
    if not heights[o.summation_method] then
      core.fail(('%s: summation_method is "%s", not interpolation, minoring or majoring'):format(name,
        o.summation_method))
    end
    prepare_auc(o)
  end,
  terms = function(y_true, y_pred, o, weight)
    return count_terms(y_true, o.from_logits and y_pred:sigmoid() or y_pred, o, weight)
  end,
  result = function(sums, o)
    local labels, total, weights = sums[1]:shape()[2], 0, 0
    for label = 1, labels do
      local c = {}
      for i, name in ipairs { "tp", "fp", "tn", "fn" } do
        c[name] = sums[i]:slice(2, label, label):reshape(-1):totable()
      end
      local weight = o.multi_label and o.label_weights and o.label_weights[label] or 1
      total, weights = total + weight * area(c, o), weights + weight
    end
    return ratio(total, weights)
  end }

-- ---- F scores ----

local average = { "average", nil, "null: one score for each class; micro, macro, weighted" }
local f_threshold = { "threshold", nil, "null: the largest output of a sample is positive" }

local function f_terms(y_true, y_pred, o, weight)
  y_true, y_pred = y_true:cast "float32", y_pred:cast "float32"
  if y_pred:rank() ~= 2 then core.fail "F scores: outputs (batch, classes) expected" end
  local yes
  if o.threshold then yes = y_pred:gt(o.threshold)
  else yes = ops.logical_and(y_pred:ge(y_pred:max(-1, true)), y_pred:abs():gt(1e-9)) end
  yes = yes:cast "float32"
  local function sum(t)
    if weight then t = t * weight:cast "float32":reshape(-1, 1) end
    if o.average == "micro" then return t:sum() end
    return t:sum(1)
  end
  return { sum(yes * y_true), sum(yes * (1 - y_true)), sum((1 - yes) * y_true), sum(y_true) }
end

local function f_result(sums, o)
  local beta = (o.beta or 1) ^ 2
  local lists = {}
  for i, t in ipairs(sums) do lists[i] = type(t) == "number" and { t } or t:totable() end
  local scores, total, weights = {}, 0, 0
  for i = 1, #lists[1] do
    local tp, fp, fn = lists[1][i], lists[2][i], lists[3][i]
    local precision, recall = tp / (tp + fp + epsilon), tp / (tp + fn + epsilon)
    scores[i] = precision * recall / (beta * precision + recall + epsilon) * (1 + beta)
    local weight = o.average == "weighted" and lists[4][i] or 1
    total, weights = total + scores[i] * weight, weights + weight
  end
  if o.average == nil then return core.tensor(scores, "float32") end
  return total / (o.average == "weighted" and weights + epsilon or weights)
end

local averages = { micro = true, macro = true, weighted = true }
local function prepare_f(o, name)
  if o.average ~= nil and not averages[o.average] then
    core.fail(('%s: average is "%s", not micro, macro, weighted or null'):format(name, tostring(o.average)))
  end
end

define { name = "FBetaScore", object_name = "fbeta_score", prepare = prepare_f, terms = f_terms, result = f_result,
  help = "(1 + beta²) precision recall / (beta² precision + recall)",
  fields = { average, { "beta", 1, "how much more recall counts than precision" }, f_threshold } }
define { name = "F1Score", object_name = "f1_score", prepare = prepare_f, terms = f_terms, result = f_result, help = "FBetaScore with beta = 1",
  fields = { average, f_threshold } }

-- ---- intersection over union ----

local num_classes = { "num_classes", nil, "how many there are", required = true }
local target_ids = { "target_class_ids", nil, "the classes whose mean counts, from 0 on", required = true }
local ignored = { "ignore_class", nil, "targets of this class do not count" }
local sparse_true = { "sparse_y_true", true, "targets are numbers of classes; false: one-hot" }
local sparse_pred = { "sparse_y_pred", true, "outputs are numbers of classes; false: shares" }
local dense_pred = { "sparse_y_pred", false, sparse_pred[3] }
local iou_axis = { "axis", -1, "of the classes, where they are not numbers" }

-- The table of classes: targets × outputs.
local function confusion_terms(y_true, y_pred, o, weight)
  local n, axis = o.num_classes, axis_of(o.axis or -1)
  if o.sparse_y_true == false then y_true = y_true:argmax(axis) - 1 end
  if o.sparse_y_pred == false then y_pred = y_pred:argmax(axis) - 1 end
  if o.threshold then y_pred = y_pred:cast "float32":ge(o.threshold) end
  y_true, y_pred = y_true:cast "int32":reshape(-1), y_pred:cast "int32":reshape(-1)
  local inside = ops.logical_and(ops.logical_and(y_true:ge(0), y_true:lt(n)),
    ops.logical_and(y_pred:ge(0), y_pred:lt(n)))
  if o.ignore_class then inside = ops.logical_and(inside, y_true:ne(o.ignore_class)) end
  local values = weight and weight:cast "int32":reshape(-1):cast "float32" or core.ones { 1 }
  values = ops.broadcast_to(values, y_true:shape())
  local ids = ops.where(inside, y_true * n + y_pred, -1):cast "int32"
  return { ops.segment(values, ids, n * n):reshape(n, n) }
end

local function iou_result(sums, o)
  local counts, total, valid = sums[1]:totable(), 0, 0
  for _, id in ipairs(o.target_class_ids) do
    local row, column = 0, 0
    for k = 1, o.num_classes do
      row, column = row + counts[id + 1][k], column + counts[k][id + 1]
    end
    local hit = counts[id + 1][id + 1]
    local union = row + column - hit
    if union > 1e-9 then total, valid = total + hit / (union + epsilon), valid + 1 end
  end
  return total / (valid + epsilon)
end

-- fixed: settings that are no fields of this class.
local function define_iou(name, help, fields, fixed)
  define { name = name, help = help, fields = fields, terms = confusion_terms, result = iou_result,
    aliases = { (classes.snake(name):gsub("io_u", "iou")) },
    prepare = function(o)
      for k, v in pairs(fixed) do o[k] = v end
      if o.target_class_ids == nil then
        o.target_class_ids = {}
        for i = 1, o.num_classes do o.target_class_ids[i] = i - 1 end
      end
      for _, id in ipairs(o.target_class_ids) do
        if id < 0 or id >= o.num_classes then
          core.fail(("%s: class %s of target_class_ids is outside of 0 … %d"):format(name, tostring(id),
            o.num_classes - 1))
        end
      end
    end }
end

define_iou("IoU", "mean of intersection / union over some classes",
  { num_classes, target_ids, ignored, sparse_true, sparse_pred, iou_axis }, {})
define_iou("MeanIoU", "mean of intersection / union over all classes",
  { num_classes, ignored, sparse_true, sparse_pred, iou_axis }, {})
define_iou("BinaryIoU", "mean of intersection / union of two classes",
  { { "target_class_ids", { 0, 1 }, "the classes that count" }, { "threshold", 0.5, "from it on: class 1" } },
  { num_classes = 2 })
define_iou("OneHotIoU", "IoU of one-hot targets", { num_classes, target_ids, ignored, dense_pred, iou_axis },
  { sparse_y_true = false })
define_iou("OneHotMeanIoU", "MeanIoU of one-hot targets", { num_classes, ignored, dense_pred, iou_axis },
  { sparse_y_true = false })

-- ---- R² ----

define { name = "R2Score", object_name = "r2_score", help = "1 - squared errors / squared distances from the mean",
  fields = { { "class_aggregation", "uniform_average", "or variance_weighted_average; null: one for each output" },
    { "num_regressors", 0, "of the adjusted score" } },
  terms = function(y_true, y_pred, _, weight)
    y_true, y_pred = same_rank(y_true:cast "float32", y_pred:cast "float32")
    if y_true:rank() ~= 2 then core.fail "R2Score: outputs (batch, n) expected" end
    local w = weight and weight:cast "float32" or core.ones { 1 }
    if w:rank() == 1 then w = w:expand_dims(-1) end
    w = ops.broadcast_to(w, y_true:shape())
    local weighted, shape = y_true * w, y_true:shape()
    return { weighted:sum(1), (y_true * weighted):sum(1), ((y_true - y_pred):square() * w):sum(1), w:sum(1),
      core.tensor(shape[1] * shape[2]) }
  end,
  result = function(sums, o)
    local sum, square, residual, count = sums[1]:totable(), sums[2]:totable(), sums[3]:totable(), sums[4]:totable()
    local scores, total, weights = {}, 0, 0
    for i = 1, #sum do
      local spread = square[i] - sum[i] * (sum[i] / count[i])
      scores[i] = 1 - residual[i] / spread
      if scores[i] == math.huge or scores[i] == -math.huge then scores[i] = 0 end
      local weight = o.class_aggregation == "variance_weighted_average" and spread or 1
      total, weights = total + scores[i] * weight, weights + weight
    end
    local n, p = sums[5], o.num_regressors
    local function adjusted(r) return p > 0 and p < n - 1 and 1 - (1 - r) * (n - 1) / (n - p - 1) or r end
    if o.class_aggregation ~= nil then return adjusted(total / weights) end
    for i, r in ipairs(scores) do scores[i] = adjusted(r) end
    return core.tensor(scores, "float32")
  end }

-- ---- objects ----

local Metric = {}
Metric.__index = Metric

-- What a batch adds, as a list of tensors.
function Metric:terms(y_true, y_pred, weight, mask)
  return self.entry.terms(y_true, y_pred, self.settings, weight, mask)
end

-- Adds terms of a batch: numbers stay numbers.
function Metric:add(terms)
  for i, t in ipairs(terms) do
    if t:rank() == 0 then t = t:item() end
    self.sums[i] = self.sums[i] and self.sums[i] + t or t
  end
end

-- metric:update_state(y_true, y_pred [, weight [, mask]]): adds a batch
function Metric:update_state(y_true, y_pred, weight, mask)
  self:add(self:terms(y_true, y_pred, weight, mask))
  return self
end

-- metric:result() → a number; a tensor where there are several
function Metric:result()
  if #self.sums == 0 then return 0 end
  return self.entry.result(self.sums, self.settings)
end

function Metric:reset_state() self.sums = {} end

function Metric:__call(...)
  self:update_state(...)
  return self:result()
end

function Metric:__tostring() return ("metric %s"):format(self.class_name or self.name) end

local common = { "name", "dtype", "fn" }

local function make(entry, given)
  local settings = classes.settings(entry, given, common)
  local name = settings.name or entry.object_name
  classes.check_dtype(entry, settings.dtype)
  settings.name, settings.dtype, settings.fn = nil, nil, nil
  local config = classes.config(entry, settings, {})
  config.name, config.dtype = name, "float32"
  if entry.prepare then entry.prepare(settings, entry.name) end
  return setmetatable({ class_name = entry.name, entry = entry, config = config, settings = settings, name = name,
    sums = {}, custom = false }, Metric)
end

-- The mean of a function of (y_true, y_pred).
local function wrap(f, name)
  local entry = { result = mean_result }
  function entry.terms(y_true, y_pred, _, weight, mask)
    local values = f(y_true, y_pred)
    if core.type(values) ~= "tensor" then core.fail(('the metric "%s" returned no tensor'):format(name)) end
    return mean_terms(values, masked(weight, mask))
  end
  return setmetatable({ entry = entry, settings = {}, name = name, sums = {}, custom = true }, Metric)
end

function metrics.is(v) return getmetatable(v) == Metric end

-- The same metric with sums of its own.
function metrics.copy(metric)
  local copy = {}
  for key, v in pairs(metric) do copy[key] = v end
  copy.sums = {}
  return setmetatable(copy, Metric)
end

-- A metric from its name, {class_name =, config =}, a loss, a function of (y_true, y_pred), {name =, a function}, or
-- itself.
function metrics.get(v)
  if metrics.is(v) then return v end
  if type(v) == "function" then return wrap(v, "metric") end
  if losses.is(v) then
    return wrap(function(y_true, y_pred) return (v.values(y_true, y_pred, v.settings)) end, v.name)
  end
  if type(v) == "table" and type(v[1]) == "function" then return wrap(v[1], v.name or "metric") end
  local entry, given = classes.identify(family, v)
  if not entry then
    core.fail(("a metric is a name, cornu.metrics.…{…} or a function of (y_true, y_pred), not a %s"):format(core.type(v) or
      type(v)))
  end
  local metric = make(entry, given)
  if type(v) == "string" then metric.name = v end
  return metric
end

-- "accuracy" is the one that fits the shapes.
function metrics.for_shapes(v, y_true, y_pred)
  if v ~= "accuracy" and v ~= "acc" then return metrics.get(v) end
  local binary, sparse = losses.kind_of_labels(y_true, y_pred)
  local metric = metrics.get(binary and "binary_accuracy" or sparse and "sparse_categorical_accuracy" or
    "categorical_accuracy")
  metric.name = v
  return metric
end

-- cornu.metrics: constructors by class name.
function metrics.constructors()
  local all = classes.constructors(family, make)
  all.get = metrics.get
  return all
end

return metrics
