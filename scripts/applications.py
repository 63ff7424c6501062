"""Compares full Keras Applications, as real Keras 3 makes and saves them, with Cornu: one row a file.

    python scripts/applications.py [NAME…] [--format keras|h5] [--tf-keras] [--size N] [--table FILE]

Without names every architecture runs, family by family. A row is: name, input size, format, largest error relative to
the largest output, ms to load, ms of the first run (two images), and what is wrong if anything is. The exit status is 0
when every error is at most 1e-4. The weights are random, so nothing is downloaded; each file is deleted after its row.
"""
import argparse
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np

TOLERANCE = 1e-4
FAMILIES = ("MobileNet", "EfficientNet", "DenseNet", "ResNet", "NASNet", "Inception", "Xception", "VGG", "ConvNeXt")
RUN = """
local cornu = require "cornu"
local x = cornu.load_npz(arg[2]).x
local start = cornu.clock()
local model = cornu.load(arg[1])
local loaded = cornu.clock()
local y = model(x)
local ran = cornu.clock()
cornu.save_npz(arg[3], { y = y })
print(1e3 * (loaded - start), 1e3 * (ran - loaded))
"""


def architectures(applications):
    """The names of the functions that make them, by family."""
    def family(name):
        return next((i for i, prefix in enumerate(FAMILIES) if name.startswith(prefix)), len(FAMILIES))
    names = [name for name in dir(applications) if name[0].isupper() and callable(getattr(applications, name))]
    return sorted(names, key=lambda name: (family(name), name))


def drawn(rng, name, shape):
    """Weights that keep activations near unit scale and that no mistake of layout or order leaves unnoticed."""
    if "variance" in name or "gamma" in name:
        return rng.uniform(0.6, 1.4, shape)
    if len(shape) < 2:
        return rng.normal(0, 0.15, shape)
    inputs = shape[:2] if "depthwise" in name else shape[:-1]
    return rng.normal(0, np.sqrt(2 / np.prod(inputs)), shape)


def soften(model):
    """Weakens what residual branches add, as training does: depth would else blow rounding up to visible differences."""
    order = getattr(model, "operations", model.layers)
    for add in [layer for layer in model.layers if type(layer).__name__ == "Add"]:
        ends = [tensor._keras_history[0] for tensor in add.input]
        ends = [end.input._keras_history[0] if type(end).__name__ == "Dropout" else end for end in ends]
        branch = max(ends, key=order.index)
        weights = branch.get_weights() if getattr(branch, "weights", None) else []
        if weights:  # scale and offset, or kernel and bias
            branch.set_weights([0.1 * w for w in weights[:2]] + weights[2:])


def calibrate(model, x, rng):
    """Takes the statistics of batch normalisations from x, off by some 20 % of their spread."""
    norms = [layer for layer in model.layers if hasattr(layer, "momentum")]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(x, training=True)
    for layer, momentum in zip(norms, momenta):
        layer.momentum = momentum
        *scales, mean, variance = layer.get_weights()
        mean = mean + rng.normal(0, 0.2, mean.shape) * np.sqrt(variance)
        layer.set_weights([*scales, mean, variance * rng.uniform(0.8, 1.2, variance.shape)])


def temper(keras, model, x):
    """Scales the classifier so that its softmax is neither flat nor one class alone, which would hide differences."""
    classifier = [layer for layer in model.layers if layer.weights][-1]
    activation, classifier.activation = classifier.activation, keras.activations.linear
    logits = np.asarray(keras.Model(model.input, classifier.output)(x))
    if not np.isfinite(logits).all():
        sys.exit("the random weights let the activations overflow")
    classifier.activation = activation
    classifier.set_weights([2 / logits.std() * w for w in classifier.get_weights()])


def randomise(keras, model, x, rng):
    for layer in model.layers:
        depthwise = "depthwise " if type(layer).__name__ == "DepthwiseConv2D" else ""
        names = [getattr(w, "path", w.name) for w in layer.weights]
        layer.set_weights([old if old.dtype.kind != "f" else drawn(rng, depthwise + name, old.shape)
                           for name, old in zip(names, layer.get_weights())])
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies of its weights
            layer.finalize_state()
    soften(model)
    calibrate(model, x, rng)
    temper(keras, model, x)


def measure(cornu, model, x, want, folder, extension):
    """(error, load ms, first run ms), or the message of what failed."""
    path, given, got = (os.path.join(folder, name) for name in ("model." + extension, "x.npz", "y.npz"))
    model.save(path)
    np.savez(given, x=x)
    script = os.path.join(folder, "run.lua")
    with open(script, "w") as file:
        file.write(RUN)
    done = subprocess.run([cornu, script, path, given, got], capture_output=True, text=True)
    os.unlink(path)
    if done.returncode:
        return done.stderr.strip().split("\n")[0]
    y = np.load(got)["y"]
    if y.shape != want.shape or not np.isfinite(y).all():
        return f"the outputs {y.shape} are not {want.shape}, or not finite"
    return (float(np.abs(y - want).max() / np.abs(want).max()), *map(float, done.stdout.split()))


def compare(keras, name, args):
    """Yields (row, whether something is wrong) for each format."""
    keras.backend.clear_session()
    rng = np.random.default_rng(1)
    shape = {"input_shape": (args.size, args.size, 3)} if args.size else {}
    model = getattr(keras.applications, name)(weights=None, **shape)
    size = model.input_shape[1] or 224
    pixels = any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers)
    x = rng.uniform(*(0, 255) if pixels else (-1, 1), (2, size, size, 3)).astype("float32")
    randomise(keras, model, x, rng)
    want = np.asarray(model(x, training=False))
    for extension in [args.format] if args.format else ["keras", "h5"]:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(args.cornu, model, x, want, folder, extension)
        wrong = result if isinstance(result, str) else "" if result[0] <= TOLERANCE else "differs"
        numbers = "" if isinstance(result, str) else "{:10.2e} {:8.1f} {:9.1f}".format(*result)
        yield f"{name:18} {size:4} {extension:5} {numbers} {wrong}".rstrip(), bool(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--format", choices=("keras", "h5"), help="one format instead of both")
    parser.add_argument("--tf-keras", action="store_true", help="applications of tf_keras, the Keras of TensorFlow 2")
    parser.add_argument("--size", type=int, help="height and width of the images instead of each network's own")
    parser.add_argument("--cornu", default="build/cornu")
    parser.add_argument("--table", help="append the rows to this file as well")
    args = parser.parse_args()
    if args.tf_keras:
        import tf_keras as keras
    else:
        import keras
    bad = 0
    for name in args.names or architectures(keras.applications):
        for line, wrong in compare(keras, name, args):
            print(line, flush=True)
            if args.table:
                with open(args.table, "a") as file:
                    file.write(line + "\n")
            bad += wrong
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
