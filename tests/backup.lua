-- A training with BackupAndRestore, to be killed and begun again: usage: cornu tests/backup.lua FOLDER OUT.npz
-- The final weights and the loss of its last epoch go to OUT.npz.
local cornu = require "cornu"
local L = cornu.layers
local folder, out = arg[1], arg[2]

cornu.manual_seed(9)
local x = cornu.randn { 256, 12 }
local y = x:matmul(cornu.randn { 12, 3 }):argmax(-1) - 1
local model = cornu.Sequential {
  cornu.Input { shape = { 12 } }, L.Dense { 24, "relu" }, L.BatchNormalization {}, L.Dropout { 0.2 },
  L.Dense { 3, "softmax" },
}
model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", seed = 3 }
local history = model:fit(x, y, {
  epochs = 120, batch_size = 32, verbose = 0,
  callbacks = { cornu.callbacks.BackupAndRestore { folder, save_freq = tonumber(os.getenv "SAVE_FREQ") or "epoch" } },
})
local arrays = {}
if not tonumber(os.getenv "SAVE_FREQ") then -- else the loss is that of the rest of an epoch
  arrays.loss = cornu.tensor(history.loss[#history.loss])
end
for i, w in ipairs(model:weights()) do arrays["w" .. i] = w end
cornu.save_npz(out, arrays)
