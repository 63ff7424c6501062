"""Training goes on from saved files: Keras trains and saves, Cornu goes on from the file and saves, Keras goes on from that;
each time the weights are those of Keras training on without a break. usage: check_resume.py CORNU [tf_keras]"""
import os, subprocess, sys, tempfile
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np

tf = len(sys.argv) > 2
if tf:
    import tf_keras as keras
else:
    import keras
script = """
local cornu = require "cornu"
local path, data, out, extension = arg[1], cornu.load_npz(arg[2]), arg[3], arg[4]
local model = cornu.load(path)
for i = 1, 2 do model:train_on_batch(data.x[{ { 8 * i + 17, 8 * i + 24 } }], data.y[{ { 8 * i + 17, 8 * i + 24 } }]) end
model:save(out)
"""
rng = np.random.default_rng(1)
x, y = rng.normal(size=(64, 6)).astype("float32"), rng.normal(size=(64, 2)).astype("float32")
failed = 0
optimizers = [("SGD", lambda: keras.optimizers.SGD(0.05, momentum=0.9)), ("Adam", lambda: keras.optimizers.Adam(0.01)),
                        ("RMSprop", lambda: keras.optimizers.RMSprop(0.01)), ("AdamW", lambda: keras.optimizers.AdamW(0.01)),
                        ("Adagrad", lambda: keras.optimizers.Adagrad(0.05)), ("Nadam", lambda: keras.optimizers.Nadam(0.01))]
for name, optimizer in [o for o in optimizers if o[0] in os.environ.get("ONLY", o[0]).split()]:
    for extension in [".h5"] if tf else [".keras"]:  # Keras 3 itself cannot train on after its own .h5
        with tempfile.TemporaryDirectory() as d:
            keras.utils.set_random_seed(3)
            model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(8, activation="tanh"),
                                      keras.layers.BatchNormalization(), keras.layers.Dense(2)])
            model.compile(optimizer(), keras.losses.MeanSquaredError(), metrics=["accuracy"])
            for i in range(3):
                model.train_on_batch(x[8 * i:8 * i + 8], y[8 * i:8 * i + 8])
            model.save(d + "/first" + extension)
            np.savez(d + "/data.npz", x=x, y=y)
            open(d + "/go.lua", "w").write(script)
            run = subprocess.run([sys.argv[1], d + "/go.lua", d + "/first" + extension, d + "/data.npz", d + "/second" + extension],
                                 capture_output=True, text=True)
            if run.returncode:
                failed += 1
                print("FAILED", name, extension, run.stderr.strip()[-400:])
                continue
            other = keras.models.load_model(d + "/second" + extension)
            worst = []
            for i in range(3, 7):
                batch = x[8 * i:8 * i + 8], y[8 * i:8 * i + 8]
                if i >= 5:
                    other.train_on_batch(*batch)
                model.train_on_batch(*batch)
                if i >= 4:
                    worst.append(max(float(np.abs(a - b).max()) for a, b in zip(model.get_weights(), other.get_weights())))
            good = max(worst) < 1e-5
            failed += not good
            print("ok" if good else "FAILED", name, extension, ["%.1e" % w for w in worst])
print("%d failed" % failed)
sys.exit(failed > 0)
