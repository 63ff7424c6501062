"""What Keras's SwapEMAWeights makes of a training: tests/training/swap.json. Run with Keras 3's Python."""
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras

rng = np.random.default_rng(3)
x, y = rng.normal(size=(24, 3)).astype("float32"), rng.normal(size=(24, 1)).astype("float32")
kernel = rng.normal(size=(3, 1)).astype("float32")
cases = []
for swap in (False, True):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="fc"), keras.layers.BatchNormalization()])
    model.layers[0].kernel.assign(kernel)
    model.compile(optimizer=keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8), loss="mse")
    saved = []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(model.layers[0].kernel.numpy().tolist()))
    history = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, validation_data=(x, y), verbose=0,
                        callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=swap), look])
    cases.append({"swap_on_epoch": swap, "history": history.history, "kernels": saved,
                  "last": model.layers[0].kernel.numpy().tolist()})
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/training/")
with open(folder + "swap.json", "w") as f:
    json.dump({"x": x.tolist(), "y": y.tolist(), "kernel": kernel.tolist(), "cases": cases}, f)
    f.write("\n")
