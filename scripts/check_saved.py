"""Loads files that scripts/round_trip.lua --keep DIR left in real Keras and compares what they predict with the outputs that
the cases keep. usage: check_saved.py CASES DIR [COUNT] [SUFFIX] [KERAS], under the Python of that Keras.
COUNT: how many of the files, spread over all of them (0: all). SUFFIX: .keras or .h5 alone. KERAS: 3, tf_keras, or 2; files
that are not of it are left out. The last line is `N equal, N failed, N left out`."""
import json, os, sys, zipfile
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np

cases, folder = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 200
suffix = sys.argv[4] if len(sys.argv) > 4 else ".keras"
which = sys.argv[5] if len(sys.argv) > 5 else "3"
if which == "tf_keras":
    import tf_keras as keras
else:
    import keras
import h5py


def version(path):
    if path.endswith(".keras"):
        return "3"
    with h5py.File(path, "r") as f:
        v = f.attrs["keras_version"]
        v = v.decode() if isinstance(v, bytes) else v
    if v.startswith("3"):
        return "3"
    return "tf_keras" if "-tf" in v or int(v.split(".")[1]) >= 4 else "2"


def load(path):
    if which == "3":
        return keras.models.load_model(path, compile=False, safe_mode=False)
    return keras.models.load_model(path, compile=False)


def check(path, name):
    case = json.load(open(os.path.join(cases, name, "case.json")))
    io = np.load(os.path.join(cases, name, "io.npz"), allow_pickle=False)
    model = load(path)
    inputs = [io[i] for i in case["inputs"]]
    if which != "2":
        import tensorflow as tf
        if any(x.dtype.kind in "SU" for x in inputs):  # Keras takes no mixture
            inputs = [tf.constant(x.astype(object) if x.dtype.kind in "SU" else x) for x in inputs]
    if case.get("input_names"):
        inputs = dict(zip(case["input_names"], inputs))
    elif len(inputs) == 1:
        inputs = inputs[0]
    batch = len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs[0] if isinstance(inputs, list) else inputs)
    if case.get("call") or len({len(x) for x in (inputs.values() if isinstance(inputs, dict) else inputs if isinstance(
            inputs, list) else [inputs])}) > 1 or any(not isinstance(x, np.ndarray) for x in (inputs if isinstance(inputs, list) else [inputs])
                               if not isinstance(inputs, dict)):
        got = model(inputs)
    else:
        got = model.predict(inputs, batch_size=model.input_shape[0] if isinstance(model.input_shape, tuple)
                            and model.input_shape[0] else batch, verbose=0)
    if isinstance(got, dict):
        got = [got[k] for k in (case.get("output_names") or got)]
    if not isinstance(got, (list, tuple)):
        got = [got]
    for n, y in zip(case["outputs"], got):
        want, y = io[n], np.asarray(y)
        if want.shape != y.shape:
            raise ValueError("shape %s, expected %s" % (y.shape, want.shape))
        if want.dtype.kind in "SU":
            continue
        np.testing.assert_allclose(y.astype("float64"), want.astype("float64"), rtol=max(case.get("rtol", 1e-4), 1e-4) * 5,
                                   atol=max(case.get("atol", 1e-5), 1e-5) * 5)


rows = [line.rstrip("\n").split("\t") for line in open(os.path.join(folder, "list.txt")) if line.strip()]
rows = [r for r in rows if r[0].endswith(suffix)]
left = len(rows)
rows = [r for r in rows if version(r[0]) == which]
left -= len(rows)
if count and len(rows) > count:
    rows = [rows[int(i * len(rows) / count)] for i in range(count)]
equal = failed = 0
for path, name, _ in rows:
    try:
        check(path, name)
        equal += 1
    except Exception as e:  # noqa: BLE001
        failed += 1
        print("FAILED %s %s: %s" % (os.path.basename(path), name, " ".join(str(e).split())[-330:]), flush=True)
print("%d equal, %d failed, %d left out" % (equal, failed, left))
