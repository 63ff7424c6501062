-- The state of a training in one .npz file, which is replaced as a whole: what BackupAndRestore keeps.
local core = require "cornu.core"

local backup = {}

local function shape_text(t) return "(" .. table.concat(t:shape(), ", ") .. ")" end

-- epoch: how many are done; batch: how many of the next one
function backup.save(path, run, epoch, batch)
  local arrays = {
    epoch = core.tensor(epoch, "int64"), batch = core.tensor(batch, "int64"),
    runs = core.tensor(run.trainer:runs(), "int64"), -- from which random numbers follow
    seed = core.tensor(run.seed, "int64"), -- of the order of rows
  }
  for i, w in ipairs(run.model:weights()) do arrays["weights/" .. i] = w end
  for i, slot in ipairs(run.trainer:state()) do arrays["optimizer/" .. i] = slot.value end
  require "cornu".save_npz(path, arrays)
end

local function numbered(arrays, prefix)
  local list = {}
  while arrays[prefix .. #list + 1] do list[#list + 1] = arrays[prefix .. #list + 1] end
  return list
end

local function check(path, what, given, wanted)
  if #given ~= #wanted then
    core.fail(("%s: %d %s, this training has %d: remove the file to begin anew"):format(path, #given, what, #wanted))
  end
  for i, t in ipairs(given) do
    if shape_text(t) ~= shape_text(wanted[i]) then
      core.fail(("%s: array %d of the %s has shape %s, this training's has %s: remove the file to begin anew"):format(path,
        i, what, shape_text(t), shape_text(wanted[i])))
    end
  end
end

-- Puts the run where the backup was made.
function backup.restore(path, run)
  local arrays = core.load_npz(path)
  for _, name in ipairs { "epoch", "batch", "runs", "seed" } do
    if not arrays[name] then core.fail(('%s: no backup of a training: "%s" is missing'):format(path, name)) end
  end
  local weights, slots, present = numbered(arrays, "weights/"), numbered(arrays, "optimizer/"), {}
  for i, slot in ipairs(run.trainer:state()) do present[i] = slot.value end
  check(path, "weights", weights, run.model:weights())
  check(path, "optimizer", slots, present)
  run.model:set_weights(weights)
  run.trainer:set_state(slots)
  run.trainer:set_runs(arrays.runs:item())
  run.initial_epoch, run.initial_batch, run.seed = arrays.epoch:item(), arrays.batch:item(), arrays.seed:item()
end

return backup
