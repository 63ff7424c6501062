-- cornu.callbacks: what is called while a model trains. A callback is a table with any of the functions
--   on_train_begin(self)  on_epoch_begin(self, epoch)  on_train_batch_begin(self, batch)
--   on_train_batch_end(self, batch, logs)  on_epoch_end(self, epoch, logs)  on_train_end(self, logs)
--   on_test_begin(self)  on_test_batch_begin(self, batch)  on_test_batch_end(self, batch, logs)  on_test_end(self, logs)
-- Epochs and batches count from 1. self.run is {model =, trainer =, epochs =, steps =, batch_size =}; self.run:stop()
-- ends the training after the batch.
local core = require "cornu.core"
local classes = require "cornu.classes"
local options = require "cornu.options"
local progress = require "cornu.progress"

local callbacks = {}

-- ---- runs and lists ----

local Run = {}
Run.__index = Run

function Run:stop(why) self.stopped = why or true end

function callbacks.run(model, fields)
  fields.model = model
  return setmetatable(fields, Run)
end

local List = {}
List.__index = List

function List:call(event, a, b)
  for _, callback in ipairs(self) do
    local f = callback[event]
    if f then f(callback, a, b) end
  end
end

local events = {
  "on_epoch_begin", "on_epoch_end", "on_test_batch_begin", "on_test_batch_end", "on_test_begin", "on_test_end",
  "on_train_batch_begin", "on_train_batch_end", "on_train_begin", "on_train_end",
}
local is_event = {}
for _, event in ipairs(events) do is_event[event] = true end

-- Keras has other events, too: what would never be called is told.
local function check_events(callback)
  for key in pairs(callback) do
    if type(key) == "string" and key:match "^on_" and not is_event[key] then
      local near = options.nearest(key, events)
      core.fail(("callbacks: nothing calls %s (there are: %s)%s"):format(key, table.concat(events, " "),
        near and (": did you mean %s?"):format(near) or ""))
    end
  end
end

function List:wants(event)
  for _, callback in ipairs(self) do
    if callback[event] then return true end
  end
  return false
end

-- given: a callback or a list of them; verbose: 0 (nothing), 1 (a bar), 2 (a line an epoch), nil (what suits the output)
function callbacks.list(given, run, verbose, history)
  if verbose == "auto" then verbose = nil end
  local list = setmetatable({ run = run }, List)
  if given ~= nil and type(given) ~= "table" then core.fail "callbacks: a list of tables expected" end
  for _, callback in ipairs(given and given[1] == nil and next(given) ~= nil and { given } or given or {}) do
    if type(callback) ~= "table" then
      core.fail(("callbacks: a %s is no callback: a table of functions expected"):format(type(callback)))
    end
    check_events(callback)
    list[#list + 1] = callback
  end
  list[#list + 1] = history
  for _, callback in ipairs(list) do callback.run = run end
  list.progress = progress.new(run, verbose)
  list.wants_batch_logs, list.wants_test_logs = list:wants "on_train_batch_end", list:wants "on_test_batch_end"
  return list
end

-- ---- classes ----

local family = classes.family("callback", "callbacks")
callbacks.family = family

-- Defines cornu.callbacks.NAME{…}; fields: {{name, default, help}, …}.
local function define(name, fields, methods)
  methods.__index = methods
  classes.define(family, { name = name, fields = fields, help = methods.help, methods = methods })
end

local function make(entry, given)
  local callback = setmetatable(classes.settings(entry, type(given) == "function" and { given } or given, {}),
    entry.methods)
  if callback.init then callback:init(entry.name) end
  return callback
end

-- ---- history ----

local History = {}
History.__index = function(history, name) return History[name] or rawget(history, "history")[name] end

function History:on_epoch_end(epoch, logs)
  self.epoch[#self.epoch + 1] = epoch
  for name, value in pairs(logs) do
    if not self.history[name] then self.history[name] = {} end
    self.history[name][#self.epoch] = value
  end
end

-- "3 epochs: loss 0.71 → 0.52, val_loss …"
function History:__tostring()
  local names, parts = {}, {}
  for name in pairs(self.history) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local values = self.history[name]
    local first, last = values[1], values[#self.epoch]
    parts[i] = type(first) == "number" and type(last) == "number" and ("%s %.4g → %.4g"):format(name, first, last) or name
  end
  return ("%d epochs%s%s"):format(#self.epoch, #parts > 0 and ": " or "", table.concat(parts, ", "))
end

-- history.loss[i], history.val_accuracy[i]: of the i-th epoch of this training, whose number is history.epoch[i]
function callbacks.History() return setmetatable({ epoch = {}, history = {} }, History) end

-- ---- what is watched ----

local rising = { "acc", "auc", "precision", "recall", "f1_score", "fbeta", "iou", "io_u", "r2_score", "positives",
  "negatives", "sensitivity", "specificity", "correlation", "cosine_similarity" }

local function rises(monitor, mode, name)
  if mode == "max" or mode == "min" then return mode == "max" end
  if mode ~= "auto" then core.fail(('%s: mode is "%s", not auto, min or max'):format(name, tostring(mode))) end
  if monitor:find "loss" then return false end
  for _, word in ipairs(rising) do
    if monitor:find(word, 1, true) then return not monitor:find "false_" end
  end
  return false
end

-- The value to watch; nil, and a word about it once, when there is none.
local function watched(callback, logs)
  local value = logs[callback.monitor]
  if type(value) == "number" then return value end
  if not callback.told then
    local names = {}
    for name in pairs(logs) do names[#names + 1] = name end
    table.sort(names)
    io.stderr:write(('cornu: nothing is called "%s" here (there are: %s)\n'):format(callback.monitor,
      table.concat(names, ", ")))
    callback.told = true
  end
end

local function better(callback, value, than, least)
  if callback.upwards then return value - least > than end
  return value + least < than
end

local function say(callback, text, ...)
  if callback.verbose and callback.verbose ~= 0 then print(text:format(...)) end
end

define("EarlyStopping", {
  { "monitor", "val_loss", "what is watched" }, { "min_delta", 0, "smaller changes are none" },
  { "patience", 0, "epochs without improvement before the end" }, { "verbose", 0, "1: tells of it" },
  { "mode", "auto", "min, max; auto goes by the name" }, { "baseline", nil, "what must be passed" },
  { "restore_best_weights", false, "the model gets the weights of the best epoch" },
  { "start_from_epoch", 0, "epochs before watching begins" },
}, {
  help = "ends the training when a value no longer becomes better",
  init = function(self, name)
    self.upwards = rises(self.monitor, self.mode, name)
    self.min_delta = math.abs(self.min_delta)
  end,
  on_train_begin = function(self)
    self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
    self.best, self.best_weights = self.upwards and -math.huge or math.huge, nil
  end,
  keep = function(self, epoch)
    self.best_epoch = epoch
    if self.restore_best_weights then self.best_weights = self.run.model:get_weights() end
  end,
  on_epoch_end = function(self, epoch, logs)
    local value = watched(self, logs)
    if not value or epoch <= self.start_from_epoch then return end
    if self.restore_best_weights and not self.best_weights then self:keep(epoch) end
    self.wait = self.wait + 1
    if better(self, value, self.best, self.min_delta) then
      self.best = value
      self:keep(epoch)
      if not self.baseline or better(self, value, self.baseline, self.min_delta) then self.wait = 0 end
    elseif self.wait >= self.patience and epoch > 1 then
      self.stopped_epoch = epoch
      self.run:stop "early"
    end
  end,
  on_train_end = function(self)
    if self.stopped_epoch > 0 then say(self, "Epoch %d: early stopping", self.stopped_epoch) end
    if not self.best_weights then return end
    say(self, "Restoring the weights of epoch %d, the best", self.best_epoch)
    self.run.model:set_weights(self.best_weights)
  end,
})

define("ReduceLROnPlateau", {
  { "monitor", "val_loss", "what is watched" }, { "factor", 0.1, "of the new rate to the old one" },
  { "patience", 10, "epochs without improvement before" }, { "verbose", 0, "1: tells of it" },
  { "mode", "auto", "min, max; auto goes by the name" }, { "min_delta", 1e-4, "smaller changes are none" },
  { "cooldown", 0, "epochs after a change in which none are counted" }, { "min_lr", 0, "the least rate" },
}, {
  help = "makes the learning rate smaller when a value no longer becomes better",
  init = function(self, name)
    if self.factor >= 1 then core.fail "ReduceLROnPlateau: a factor below 1 expected" end
    self.upwards = rises(self.monitor, self.mode, name)
  end,
  on_train_begin = function(self)
    self.wait, self.cool, self.best = 0, 0, self.upwards and -math.huge or math.huge
  end,
  reduce = function(self, epoch)
    local rate = self.run.trainer:rate()
    if rate <= self.min_lr then return end
    rate = math.max(rate * self.factor, self.min_lr)
    self.run.trainer:set_rate(rate)
    say(self, "Epoch %d: the learning rate becomes %g", epoch, rate)
    self.cool, self.wait = self.cooldown, 0
  end,
  on_epoch_end = function(self, epoch, logs)
    logs.learning_rate = self.run.trainer:rate()
    local value = watched(self, logs)
    if not value then return end
    if self.cool > 0 then self.cool, self.wait = self.cool - 1, 0 end
    if better(self, value, self.best, self.min_delta) then
      self.best, self.wait = value, 0
    elseif self.cool <= 0 then
      self.wait = self.wait + 1
      if self.wait >= self.patience then self:reduce(epoch) end
    end
  end,
})

define("LearningRateScheduler", {
  { "schedule", nil, "a function of (epoch, rate) → rate; epochs count from 1", required = true },
  { "verbose", 0, "1: tells the rate of each epoch" },
}, {
  help = "sets the learning rate at the beginning of each epoch",
  init = function(self)
    if type(self.schedule) ~= "function" then core.fail "LearningRateScheduler: a function expected" end
  end,
  on_epoch_begin = function(self, epoch)
    local rate = self.schedule(epoch, self.run.trainer:rate())
    if type(rate) ~= "number" then
      core.fail(("LearningRateScheduler: the schedule gave a %s at epoch %d: a number expected"):format(type(rate), epoch))
    end
    self.run.trainer:set_rate(rate)
    say(self, "Epoch %d: the learning rate is %g", epoch, rate)
  end,
  on_epoch_end = function(self, _, logs) logs.learning_rate = self.run.trainer:rate() end,
})

define("TerminateOnNaN", {
  { "raise_error", false, "an error in the place of the training's end: callbacks are not told of an end" },
}, {
  help = "ends the training when the loss is no number any more",
  on_train_batch_end = function(self, batch)
    local loss = self.run.loss
    if loss == loss and loss ~= math.huge and loss ~= -math.huge then return end
    local text = ("Batch %d: the loss is %s: the training ends"):format(batch, loss ~= loss and "nan" or tostring(loss))
    if self.raise_error then core.fail(text) end
    print(text)
    self.run:stop "nan"
  end,
})

-- Where weights have averages in the trainer's state: {{weight, entry}, …}, and the state.
local function averages_of(run)
  local place, pairs_of, state = {}, {}, run.trainer:state(3)
  for i, name in ipairs(run.model:weight_names()) do place[name:gsub("/", "_")] = i end
  for i, slot in ipairs(state) do
    local weight = place[(slot.name:match "/(.*)_average$")]
    if weight then pairs_of[#pairs_of + 1] = { weight, i } end
  end
  if #pairs_of == 0 then core.fail "SwapEMAWeights: an optimizer with use_ema = true is needed" end
  return pairs_of, state
end

define("SwapEMAWeights", {
  { "swap_on_epoch", false, "at the end of epochs, too, so that what is saved then has the averages" },
}, {
  help = "puts the optimizer's averages (use_ema = true) in the weights' places while the model is tested",
  -- Weights and averages take each other's places; finally: the averages take both.
  swap = function(self, finally)
    local places, state = averages_of(self.run)
    local weights = self.run.model:get_weights()
    for _, at in ipairs(places) do
      local slot, before = state[at[2]], weights[at[1]]
      weights[at[1]] = slot.value
      if not finally then slot.value = before end
    end
    self.run.model:set_weights(weights)
    self.run.trainer:set_state(state)
    self.swapped = not self.swapped
  end,
  on_train_begin = function(self) self.swapped = nil end,
  on_epoch_begin = function(self) if self.swapped then self:swap() end end,
  on_epoch_end = function(self, epoch)
    if self.swap_on_epoch and not self.swapped then self:swap(epoch == self.run.epochs or self.run.stopped) end
  end,
  on_test_begin = function(self) if not self.swapped then self:swap() end end,
  on_test_end = function(self) if self.swapped then self:swap() end end,
})

define("LambdaCallback", {
  { "on_train_begin", nil, "(nil, nil, run)" }, { "on_train_end", nil, "(logs, nil, run)" },
  { "on_epoch_begin", nil, "(epoch, logs, run)" },
  { "on_epoch_end", nil, "(epoch, logs, run)" }, { "on_train_batch_begin", nil, "(batch, logs, run)" },
  { "on_train_batch_end", nil, "(batch, logs, run)" }, { "on_test_begin", nil, "(nil, nil, run)" },
  { "on_test_end", nil, "(logs, nil, run)" }, { "on_test_batch_begin", nil, "(batch, nil, run)" },
  { "on_test_batch_end", nil, "(batch, logs, run)" },
}, {
  help = "functions that get the same as those of other callbacks, and then the run in the place of self",
  init = function(self)
    for event, f in pairs(self) do
      if type(f) ~= "function" then core.fail(("LambdaCallback: %s is no function"):format(event)) end
      self[event] = function(callback, a, b) f(a, b, callback.run) end
    end
  end,
})

-- ---- files ----

local function csv_field(v, separator)
  local text = type(v) == "number" and ("%.9g"):format(v) or tostring(v):gsub("%s+", " ")
  return text:find(separator, 1, true) and '"' .. text .. '"' or text
end

define("CSVLogger", {
  { "filename", nil, "the file", required = true }, { "separator", ",", "between values" },
  { "append", false, "goes on behind what the file holds" },
}, {
  help = "writes the results of each epoch as a line of a file",
  init = function(self)
    if type(self.filename) ~= "string" then core.fail "CSVLogger: a file expected" end
  end,
  on_train_begin = function(self)
    local old = self.append and io.open(self.filename, "r")
    self.keys = nil
    if old then
      local head = old:read "*l"
      old:close()
      self.keys = head and {}
      for key in (head or ""):gmatch("[^" .. self.separator .. "]+") do
        if key ~= "epoch" then self.keys[#self.keys + 1] = key end
      end
    end
    local file, message = io.open(self.filename, self.append and "a" or "w")
    if not file then core.fail(("CSVLogger: %s"):format(message)) end
    self.file = file
  end,
  on_epoch_end = function(self, epoch, logs)
    if not self.keys then
      self.keys = {}
      for name in pairs(logs) do self.keys[#self.keys + 1] = name end
      table.sort(self.keys)
      self.file:write("epoch", self.separator, table.concat(self.keys, self.separator), "\n")
    end
    local line = { tostring(epoch) }
    for i, key in ipairs(self.keys) do
      line[i + 1] = logs[key] == nil and "NA" or csv_field(logs[key], self.separator)
    end
    if not self.file:write(table.concat(line, self.separator), "\n") or not self.file:flush() then
      core.fail(("CSVLogger: cannot write to %s"):format(self.filename))
    end
  end,
  on_train_end = function(self)
    self.file:close()
    self.file = nil
  end,
})

-- "{epoch:02d}-{val_loss:.2f}.keras", as Python's format does it.
local function fill_in(pattern, values)
  return (pattern:gsub("{([%w_]+):?([^}]*)}", function(name, format)
    local v = values[name]
    if v == nil then core.fail(('ModelCheckpoint: nothing is called "%s" in %s'):format(name, pattern)) end
    if format == "" then return tostring(v) end
    local ok, text = pcall(string.format, "%" .. format, v)
    if not ok then core.fail(('ModelCheckpoint: "{%s:%s}" is no format of a number'):format(name, format)) end
    return text
  end))
end

define("ModelCheckpoint", {
  { "filepath", nil, "of the file; {epoch:02d}, {val_loss:.2f} become values", required = true },
  { "monitor", "val_loss", "what is watched" }, { "verbose", 0, "1: tells of each file" },
  { "save_best_only", false, "when the value became better alone" },
  { "save_weights_only", false, "without the model" }, { "mode", "auto", "min, max; auto goes by the name" },
  { "save_freq", "epoch", "or a number of batches" },
  { "initial_value_threshold", nil, "what the first file must pass" },
}, {
  help = "saves the model after epochs or batches",
  init = function(self, name)
    if type(self.filepath) ~= "string" then core.fail "ModelCheckpoint: the path of a file expected" end
    if self.save_freq ~= "epoch" and (type(self.save_freq) ~= "number" or self.save_freq < 1) then
      core.fail 'ModelCheckpoint: save_freq is "epoch" or a number of batches'
    end
    self.upwards = rises(self.monitor, self.mode, name)
    self.best = self.initial_value_threshold or (self.upwards and -math.huge or math.huge)
    if self.save_freq ~= "epoch" then self.on_train_batch_end = self.after_batch end
  end,
  on_epoch_begin = function(self, epoch) self.epoch = epoch end,
  save = function(self, epoch, batch, logs)
    if self.save_best_only then
      local value = watched(self, logs)
      if not value or not better(self, value, self.best, 0) then return end
      self.best = value
    end
    local values = { epoch = epoch, batch = batch }
    for k, v in pairs(logs) do values[k] = v end
    local path = fill_in(self.filepath, values)
    if self.save_weights_only then self.run.model:save_weights(path) else self.run.model:save(path) end
    say(self, "Epoch %d: saved %s", epoch, path)
  end,
  after_batch = function(self, batch, logs)
    self.seen = (self.seen or 0) + 1
    if self.seen >= self.save_freq then
      self.seen = 0
      self:save(self.epoch, batch, logs)
    end
  end,
  on_epoch_end = function(self, epoch, logs)
    if self.save_freq == "epoch" then self:save(epoch, 0, logs) end
  end,
})

define("TensorBoard", {
  { "log_dir", "logs", "the folder: train and validation below it" },
  { "histogram_freq", 0, "epochs between histograms of the weights; 0: none" },
  { "update_freq", "epoch", "or a number of batches after which the batch's results are written, too" },
  { "write_steps_per_second", false, "how many batches a second run, of epochs and, with update_freq, of batches" },
  { "write_graph", false, "true is not supported" }, { "write_images", false, "true is not supported" },
  { "profile_batch", 0, "others are not supported" }, { "embeddings_freq", 0, "others are not supported" },
  { "embeddings_metadata", nil, "not supported" },
}, {
  help = "writes event files that TensorBoard shows",
  refuse = function(self, name, instead)
    local v = self[name]
    if v and v ~= 0 then core.fail(("TensorBoard: %s = %s is not supported: %s"):format(name, tostring(v), instead)) end
  end,
  init = function(self)
    self:refuse("write_graph", "model:summary() and cornu bench --svg show the graph")
    self:refuse("write_images", "histogram_freq shows weights, cornu.image.save writes pictures")
    self:refuse("profile_batch", "model:trainer():profile(inputs, targets) and cornu bench --layers measure")
    self:refuse("embeddings_freq", "layer:weights() of the Embedding, saved by cornu.save_npy, has the vectors")
    self:refuse("embeddings_metadata", "there is no projector of embeddings")
    if self.update_freq == "batch" then self.update_freq = 1 end
    if self.update_freq ~= "epoch" and (type(self.update_freq) ~= "number" or self.update_freq < 1) then
      core.fail 'TensorBoard: update_freq is "epoch" or a number of batches'
    end
    if self.update_freq ~= "epoch" then self.on_train_batch_end = self.after_batch end
    self.writers, self.step = {}, 0
  end,
  writer = function(self, part)
    if not self.writers[part] then
      self.writers[part] = require "cornu.tensorboard".writer(self.log_dir .. "/" .. part)
    end
    return self.writers[part]
  end,
  after_batch = function(self, _, logs)
    self.step = self.step + 1
    if self.step % self.update_freq ~= 0 then return end
    for name, v in pairs(logs) do
      if type(v) == "number" then self:writer "train":scalar("batch_" .. name, self.step, v) end
    end
    if self.write_steps_per_second then self:speed("batch_steps_per_second", self.step, "batch", self.update_freq) end
  end,
  -- Steps by the seconds since this was told last.
  speed = function(self, tag, step, since, steps)
    local now = core.clock()
    if self.since[since] then self:writer "train":scalar(tag, step, steps / (now - self.since[since])) end
    self.since[since] = now
  end,
  on_epoch_begin = function(self)
    self.since, self.batches = { epoch = core.clock(), batch = core.clock() }, self.run.trainer:steps()
  end,
  histograms = function(self, epoch)
    local names = self.run.model:weight_names()
    for i, w in ipairs(self.run.model:weights()) do self:writer "train":histogram(names[i], epoch - 1, w) end
  end,
  on_epoch_end = function(self, epoch, logs)
    self:writer "train":scalar("epoch_learning_rate", epoch - 1, self.run.trainer:rate())
    for name, v in pairs(logs) do
      local tested = name:match "^val_(.*)"
      if type(v) == "number" and name ~= "learning_rate" then
        self:writer(tested and "validation" or "train"):scalar("epoch_" .. (tested or name), epoch - 1, v)
      end
    end
    if self.write_steps_per_second then
      self:speed("epoch_steps_per_second", epoch - 1, "epoch", self.run.trainer:steps() - self.batches)
    end
    if self.histogram_freq > 0 and epoch % self.histogram_freq == 0 then self:histograms(epoch) end
    for _, writer in pairs(self.writers) do writer:flush() end
  end,
  on_train_end = function(self)
    for _, writer in pairs(self.writers) do writer:close() end
    self.writers = {}
  end,
})

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

define("BackupAndRestore", {
  { "backup_dir", nil, "the folder of the backup", required = true },
  { "save_freq", "epoch", "or a number of batches" },
  { "double_checkpoint", false, "the backup before the last one is kept, too, and used when the last cannot be read" },
  { "delete_checkpoint", true, "when the training is done" },
}, {
  help = "goes on where an interrupted training was: weights, optimizer, random numbers and epoch of the last backup",
  init = function(self)
    if self.save_freq ~= "epoch" and (type(self.save_freq) ~= "number" or self.save_freq < 1) then
      core.fail 'BackupAndRestore: save_freq is "epoch" or a number of batches'
    end
    self.path = self.backup_dir .. "/training.npz"
    self.older = self.path .. ".bkp"
    if self.save_freq ~= "epoch" then self.on_train_batch_end = self.after_batch end
  end,
  on_train_begin = function(self)
    core.make_folder(self.backup_dir)
    self.seen = 0
    local restore, older = require "cornu.backup".restore, exists(self.older)
    if not exists(self.path) and not older then return end
    local ok, message = pcall(restore, self.path, self.run)
    if not ok and older then return restore(self.older, self.run) end
    if not ok then error(message, 0) end
  end,
  save = function(self, epoch, batch)
    if self.double_checkpoint and exists(self.path) then os.rename(self.path, self.older) end
    require "cornu.backup".save(self.path, self.run, epoch, batch)
  end,
  on_epoch_begin = function(self, epoch) self.epoch = epoch end,
  after_batch = function(self, batch)
    self.seen = self.seen + 1
    if self.seen < self.save_freq then return end
    self.seen = 0
    self:save(self.epoch - 1, batch)
  end,
  on_epoch_end = function(self, epoch)
    if self.run.stopped ~= "interrupted" then self:save(epoch, 0) end -- else the epoch may not be whole
  end,
  on_train_end = function(self)
    if not self.delete_checkpoint or self.run.stopped == "interrupted" then return end
    os.remove(self.path)
    os.remove(self.older)
  end,
})

local refused = {
  CallbackList = "fit{callbacks = {…}} takes the list itself",
  OrbaxCheckpoint = "it writes files of JAX; ModelCheckpoint and BackupAndRestore save trainings",
  ProgbarLogger = "fit{verbose = 1} shows the bar",
  RemoteMonitor = "nothing is sent over networks; a LambdaCallback{on_epoch_end =} hands results on",
}

-- cornu.callbacks
function callbacks.constructors()
  local all = classes.constructors(family, make)
  all.History = callbacks.History
  -- Any table is a callback: for those who look for Keras's base class.
  function all.Callback(given) return given or {} end
  return setmetatable(all, { __index = function(_, name)
    if refused[name] then core.fail(("cornu.callbacks.%s is not supported: %s"):format(name, refused[name])) end
    local near = type(name) == "string" and options.nearest(name, classes.names(family))
    core.fail(('no callback "%s"%s'):format(tostring(name), near and (': did you mean "%s"?'):format(near) or
      ": there are " .. table.concat(classes.names(family), ", ")))
  end })
end

return callbacks
