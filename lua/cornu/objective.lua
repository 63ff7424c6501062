-- What a compiled model is trained for and judged by: its losses and metrics, output by output.
local core = require "cornu.core"
local losses = require "cornu.losses"
local metrics = require "cornu.metrics"

local objective = {}

-- ---- what compile was given, output by output ----

local function is_one(v)
  return type(v) ~= "table" or losses.is(v) or metrics.is(v) or type(v.class_name) == "string"
end

local function names_of(outputs)
  local names = {}
  for i, o in ipairs(outputs) do names[i] = o.name end
  return table.concat(names, ", ")
end

-- A table by output name → by position.
local function by_position(outputs, v, what)
  local list, left = {}, {}
  for name in pairs(v) do left[name] = true end
  for i, o in ipairs(outputs) do
    local key = v[o.key] ~= nil and o.key or o.name
    list[i], left[key] = v[key], nil
  end
  local wrong = next(left)
  if wrong then
    core.fail(('compile: %s: no output "%s" (there are: %s)'):format(what, tostring(wrong), names_of(outputs)))
  end
  return list
end

-- One value, a list in the outputs' order (false: none) or a table by name → by position. all: one value is meant for all.
local function spread(outputs, v, what)
  local list = {}
  if v == nil then return list end
  if is_one(v) then
    for i in ipairs(outputs) do list[i] = v end
  elseif next(v) ~= nil and v[1] == nil then
    return by_position(outputs, v, what)
  else
    if #v ~= #outputs then
      core.fail(("compile: %d entries of %s for %d outputs (%s)"):format(#v, what, #outputs, names_of(outputs)))
    end
    for i in ipairs(outputs) do list[i] = v[i] end
  end
  return list
end

-- Metrics: a list for the only output; of several outputs a list of as many entries, or a table by name; any other list
-- goes to each of them.
local function metric_lists(outputs, v, what)
  local list = {}
  if v == nil then return list end
  if is_one(v) then v = { v } end
  if v[1] == nil and next(v) ~= nil then list = by_position(outputs, v, what)
  elseif #outputs > 1 and #v == #outputs then list = { (table.unpack or unpack)(v) }
  else for i in ipairs(outputs) do list[i] = v end end
  for i, entry in pairs(list) do
    if entry == false then list[i] = nil elseif is_one(entry) then list[i] = { entry } end
  end
  return list
end

-- These become what fits the shapes of the first batch.
local by_shape = { accuracy = true, acc = true, crossentropy = true, ce = true }

local function check_metrics(list)
  for _, v in ipairs(list or {}) do
    if not by_shape[v] then metrics.get(v) end
  end
  return list or {}
end

-- outputs: {{name =, key =, classes =}, …}, classes the size of the last axis or nil; given: the options of compile
function objective.new(outputs, given)
  local self = { outputs = {}, targets = {}, several = #outputs > 1, loss_sum = 0, loss_rows = 0 }
  local loss = spread(outputs, given.loss, "loss")
  local weights = spread(outputs, given.loss_weights, "loss_weights")
  local plain = metric_lists(outputs, given.metrics, "metrics")
  local weighted = metric_lists(outputs, given.weighted_metrics, "weighted_metrics")
  local n_losses = 0
  for i, o in ipairs(outputs) do
    local out = { name = o.name, key = o.key, position = i, classes = o.classes, loss = loss[i] or nil,
      weight = weights[i], criterion = loss[i] and not by_shape[loss[i]] and losses.get(loss[i]) or nil,
      metrics = check_metrics(plain[i]),
      weighted = check_metrics(weighted[i]) }
    self.outputs[i] = out
    if out.loss then n_losses = n_losses + 1 end
    if out.loss or #out.metrics > 0 or #out.weighted > 0 then self.targets[#self.targets + 1] = out end
  end
  self.tells_losses = n_losses > 1
  return self
end

-- ---- shapes ----

local function text(shape) return "(" .. table.concat(shape, ", ") .. (#shape == 1 and ",)" or ")") end

local function equal(a, b, n)
  for i = 1, n do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- Custom losses may compare what they like; those of Keras want targets of the output's shape, or numbers of classes.
local function check_target(o, y_true, y_pred)
  local t, p = y_true:shape(), y_pred:shape()
  local fits
  if t[1] ~= p[1] then fits = false
  elseif o.criterion.custom or o.criterion.sparse == "rows" then fits = true
  elseif o.criterion.sparse then
    fits = (#t == #p - 1 or (#t == #p and t[#t] == 1)) and equal(t, p, #p - 1)
  else
    local a, b = losses.same_rank(y_true, y_pred)
    t, p = a:shape(), b:shape()
    fits = #t == #p and equal(t, p, #t)
  end
  if not fits then
    local numbers = (#t == #p - 1 or t[#t] == 1) and o.criterion.name == "categorical_crossentropy"
    core.fail(('output "%s" has shape %s, its target %s: %s wants %s%s'):format(o.name, text(y_pred:shape()),
      text(y_true:shape()), o.criterion.name, o.criterion.sparse and "numbers of classes" or "the same shape",
      numbers and ": of numbers of classes take sparse_categorical_crossentropy or cornu.to_categorical" or ""))
  end
end

-- Numbers of classes are told from what they must be by the data alone.
function objective.check_labels(self, targets)
  for i, o in ipairs(self.targets) do
    local n = o.criterion and o.criterion.sparse == true and o.classes
    if n and #targets[i] > 0 then
      local low, high = core.range(targets[i])
      local ignored = o.criterion.settings.ignore_class
      if low ~= low then core.fail(('output "%s": its targets hold nan, expected numbers of classes'):format(o.name)) end
      if (low < 0 and low ~= ignored) or (high >= n and high ~= ignored) then
        core.fail(('output "%s": its targets hold class %d: %d classes count from 0 to %d'):format(o.name,
          low < 0 and low or high, n, n - 1))
      end
    end
  end
end

-- ---- the trace ----

-- taken: metrics that are in use; an object that is given for several outputs counts for each apart.
local function resolve_metrics(list, y_true, y_pred, taken)
  local made = {}
  for i, v in ipairs(list) do
    if v == "crossentropy" or v == "ce" then
      local loss = losses.for_shapes(v, y_true, y_pred)
      made[i] = metrics.get(loss.class_name)
      made[i].name = v
    else
      made[i] = metrics.for_shapes(v, y_true, y_pred)
    end
    if taken[made[i]] then made[i] = metrics.copy(made[i]) end
    taken[made[i]], made[i].sums = true, {}
  end
  return made
end

-- Names as Keras gives them: with the output's where there are several; a second one of the same name gets a number.
local function name_metrics(self)
  local seen = {}
  self.metrics = {}
  local function name(o, metric, weighted)
    local prefix = self.several and o.name .. "_" or ""
    local n = prefix .. metric.name
    if seen[n] and weighted then n = prefix .. "weighted_" .. metric.name end
    local count = seen[n]
    seen[n] = (count or 0) + 1
    self.metrics[#self.metrics + 1] = { name = count and n .. "_" .. count or n, metric = metric }
  end
  for _, o in ipairs(self.targets) do
    for _, m in ipairs(o.made) do name(o, m, false) end
  end
  for _, o in ipairs(self.targets) do
    for _, m in ipairs(o.made_weighted) do name(o, m, true) end
  end
end

-- Losses and metrics that wait for shapes are chosen when these are first known.
local function resolve(self, ends)
  local taken = {}
  for _, o in ipairs(self.targets) do
    local y_true, y_pred = ends[o].target, ends[o].output
    o.criterion = o.criterion or o.loss and losses.for_shapes(o.loss, y_true, y_pred)
    o.made = resolve_metrics(o.metrics, y_true, y_pred, taken)
    o.made_weighted = resolve_metrics(o.weighted, y_true, y_pred, taken)
  end
  name_metrics(self)
  self.resolved = true
end

-- What belongs to each output: its target, its mask, weights of its samples.
local function bind(self, outputs, given, masks)
  local ends, weighted, at = {}, #given == 2 * #self.targets, 0
  for i, o in ipairs(self.outputs) do ends[o] = { output = outputs[i], mask = masks[i] or nil } end
  for _, o in ipairs(self.targets) do
    at = at + 1
    ends[o].target = given[at]
    if weighted then
      at = at + 1
      ends[o].weight = given[at]
    end
  end
  return ends
end

local function add_terms(results, list, e, weight)
  for _, metric in ipairs(list) do
    local terms = metric:terms(e.target, e.output, weight, e.mask)
    metric.n_terms = #terms
    for _, t in ipairs(terms) do results[#results + 1] = t end
  end
end

-- The function that core.new_trainer wants. Its results: the loss, that of each output where there are several, terms of
-- the metrics.
function objective.build(self)
  return function(outputs, given, _, masks)
    local ends = bind(self, outputs, given, masks)
    if not self.resolved then resolve(self, ends) end
    local total, results = nil, { false }
    for _, o in ipairs(self.targets) do
      if o.criterion then
        local e = ends[o]
        check_target(o, e.target, e.output)
        local loss = o.criterion(e.target, e.output, e.weight, e.mask)
        if self.tells_losses then results[#results + 1] = loss end
        if loss:rank() > 0 then
          core.fail(('the loss of output "%s" has shape %s: one number expected'):format(o.name, text(loss:shape())))
        end
        if o.weight then loss = loss * o.weight end
        total = total and total + loss or loss
      end
    end
    results[1] = total or core.zeros {}
    for _, o in ipairs(self.targets) do add_terms(results, o.made, ends[o], nil) end
    for _, o in ipairs(self.targets) do add_terms(results, o.made_weighted, ends[o], ends[o].weight) end
    return results
  end
end

-- ---- results ----

function objective.reset(self)
  self.loss_sum, self.loss_rows = 0, 0
  for _, o in ipairs(self.targets) do o.sum = 0 end
  for _, m in ipairs(self.metrics or {}) do m.metric:reset_state() end
end

-- Adds the results of a batch of `rows`; returns its loss.
function objective.add(self, results, rows)
  local loss, at = results[1]:item(), 1
  self.loss_sum, self.loss_rows = self.loss_sum + loss * rows, self.loss_rows + rows
  if self.tells_losses then
    for _, o in ipairs(self.targets) do
      if o.criterion then
        at = at + 1
        o.sum = o.sum + results[at]:item() * rows
      end
    end
  end
  for _, m in ipairs(self.metrics) do
    local terms = {}
    for i = 1, m.metric.n_terms do terms[i] = results[at + i] end
    at = at + m.metric.n_terms
    m.metric:add(terms)
  end
  return loss
end

-- Means so far by name, and their names in order.
function objective.logs(self)
  local logs, names = {}, {}
  local function put(name, v) logs[name], names[#names + 1] = v, name end
  local rows = math.max(self.loss_rows, 1)
  put("loss", self.loss_sum / rows)
  if self.tells_losses then
    for _, o in ipairs(self.targets) do
      if o.criterion then put(o.name .. "_loss", o.sum / rows) end
    end
  end
  for _, m in ipairs(self.metrics or {}) do put(m.name, m.metric:result()) end
  return logs, names
end

return objective
