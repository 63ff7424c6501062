"""Makes what tests/lua/test_layers_train.lua compares: small models that real Keras trains for some steps of SGD.

    python scripts/make_training.py [CASE…]    default: all that the installed Keras has

The Keras that is installed decides the suite, as in make_fixtures.py (KERAS_API=tf_keras for tf.keras). Each suite is
tests/training/layers/SUITE.json, {case: {model, rate, frozen}}, and SUITE.npz with the arrays case/x0 (x1 …), case/y,
case/before/LAYER/WEIGHT, case/losses (one of each step) and case/after/LAYER/WEIGHT. Keras 1 runs on Theano
(KERAS_BACKEND=theano: TensorFlow reads variables while it updates them), whose weights are in SUITE_CASE_before.h5 and
SUITE_CASE_after.h5.
"""
import importlib
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np

keras = importlib.import_module(os.environ.get("KERAS_API", "keras"))
if keras.__version__[0] == "1":
    importlib.import_module("theano.ifelse")  # which Keras 1 uses without importing it
L, R = keras.layers, keras.regularizers
MAJOR = int(keras.__version__.split(".")[0])
TF = keras.__name__ == "tf_keras"
SUITE = "tfkeras2" if TF else "keras%d" % MAJOR
C = importlib.import_module(keras.__name__ + ".constraints")
Input, Model, Sequential = L.Input, keras.models.Model, keras.models.Sequential
RATE = 0.1
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "training", "layers")
cases = {}


def case(*suites):
    def add(make):
        if not suites or SUITE in suites:
            cases[make.__name__] = make
        return make
    return add


MODERN = ("keras3", "tfkeras2", "keras2")


# ---- Regularizers ----

@case(*MODERN)
def regularizers():
    """Of kernels, biases and what comes out; a shared layer's weights count once, its results at each call."""
    x = Input((5,), name="in")
    shared = L.Dense(5, kernel_regularizer=R.l2(0.02), bias_regularizer=R.l1(0.03), activity_regularizer=R.l2(0.01),
                     activation="tanh")
    y = L.Dense(3, kernel_regularizer=R.L1L2(l1=0.01, l2=0.02))(shared(shared(x)))
    return Model(x, L.ActivityRegularization(l1=0.01, l2=0.02)(y))


@case("keras1")
def regularizers_1():
    x = Input((5,))
    shared = L.Dense(5, W_regularizer=R.l2(0.02), b_regularizer=R.l1(0.03), activity_regularizer=R.activity_l2(0.01),
                     activation="tanh")
    y = L.Dense(3, W_regularizer=R.EigenvalueRegularizer(0.1))(shared(shared(x)))
    return Model(x, L.ActivityRegularization(l1=0.01, l2=0.02)(y))


@case(*MODERN)
def regularizer_names():
    """Numbers that come with a name alone."""
    return Sequential([L.Dense(4, input_shape=(3,), kernel_regularizer="l1", bias_regularizer="l2"),
                       L.Dense(3, kernel_regularizer="OrthogonalRegularizer" if MAJOR == 3 else "l1_l2")])


@case("keras3", "tfkeras2")
def orthogonal():
    return Sequential([L.Dense(4, input_shape=(3,), kernel_regularizer=R.OrthogonalRegularizer(0.1)),
                       L.Dense(3, kernel_regularizer=R.OrthogonalRegularizer(0.2, mode="columns"))])


@case(*MODERN)
def regularized_parts():
    """Layers that have regularizers of their own names, frozen ones among them."""
    x = Input((6,), dtype="int32")
    y = L.Embedding(7, 4, embeddings_regularizer=R.l2(0.03))(x)
    y = L.SeparableConv1D(5, 3, depthwise_regularizer=R.l1(0.02), pointwise_regularizer=R.l2(0.02),
                          bias_regularizer=R.l2(0.1))(y)
    y = L.BatchNormalization(gamma_regularizer=R.l2(0.03), beta_regularizer=R.l1(0.02))(y)
    y = L.TimeDistributed(L.Dense(2, kernel_regularizer=R.l2(0.02), activity_regularizer=R.l1(0.03)))(y)
    frozen = L.Dense(2, kernel_regularizer=R.l2(0.5))
    frozen.trainable = False
    return Model(x, frozen(y))


# ---- Constraints ----

@case(*MODERN)
def constraints():
    x = Input((4, 4, 2))
    y = L.Conv2D(3, 3, kernel_constraint=C.MaxNorm(0.7, axis=[0, 1, 2]), bias_constraint=C.NonNeg())(x)
    y = L.Flatten()(y)
    y = L.Dense(4, kernel_constraint=C.UnitNorm(), bias_constraint="non_neg")(y)
    return Model(x, L.Dense(2, kernel_constraint=C.MinMaxNorm(0.5, 0.8, rate=0.6, axis=1))(y))


@case("tfkeras2")
def radial():
    x = Input((5, 5, 2))
    y = L.Conv2D(2, 2, kernel_constraint=C.RadialConstraint())(L.Conv2D(3, 3, kernel_constraint=C.RadialConstraint())(x))
    return Model(x, y)


@case("keras1")
def constraints_1():
    """Axes count in Keras 1's shapes of kernels."""
    x = Input((2, 5, 5))
    y = L.Convolution2D(3, 3, 3, W_constraint=C.maxnorm(0.4), dim_ordering="th")(x)
    y = L.Reshape((9, 3))(y)
    y = L.Convolution1D(4, 3, W_constraint=C.MaxNorm(0.5, axis=[0, 1, 2]), b_constraint="nonneg")(y)
    return Model(x, L.Dense(2, W_constraint=C.unitnorm())(L.Flatten()(y)))


@case("keras3", "tfkeras2")
def regularized_attention():
    x = Input((4, 3))
    y = L.MultiHeadAttention(2, 3, kernel_regularizer=R.l2(0.02), bias_regularizer=R.l1(0.02),
                             activity_regularizer=R.l2(0.03))(x, x)
    return Model(x, y)


@case(*MODERN)
def regularized_recurrent():
    x = Input((4, 3))
    y = L.LSTM(3, kernel_regularizer=R.l2(0.02), recurrent_regularizer=R.l1(0.02), bias_regularizer=R.l2(0.03),
               activity_regularizer=R.l2(0.05), recurrent_constraint=C.MaxNorm(0.7), return_sequences=True)(x)
    return Model(x, L.Bidirectional(L.GRU(2, activity_regularizer=R.l1(0.02), kernel_regularizer=R.l2(0.02)))(y))


# ---- Statistics ----

def normalised(shape, **more):
    x = Input(shape)
    y = L.BatchNormalization(momentum=0.7, **more)(x)
    return Model(x, L.Dense(2)(L.Flatten()(y)))


@case()
def norm_vectors():
    x = Input((4,))
    return Model(x, L.Dense(2)(L.BatchNormalization(momentum=0.7)(x)))


@case()
def norm_images():
    return normalised((3, 2, 4))


@case()
def norm_second_axis():
    return normalised((3, 2, 4), axis=1)


@case(*MODERN)
def norm_volumes():
    return normalised((2, 3, 2, 2), scale=False)


@case()
def norm_frozen():
    x = Input((4,))
    norm = L.BatchNormalization(momentum=0.7)
    norm.trainable = False
    return Model(x, L.Dense(2)(norm(L.Dense(4)(x))))


@case("keras1")
def norm_by_batch():
    x = Input((4,))
    return Model(x, L.Dense(2)(L.BatchNormalization(mode=1)(L.BatchNormalization(mode=2)(x))))


@case("tfkeras2")
def norm_places():
    return normalised((3, 2, 4), axis=[1, 3])


@case("tfkeras2")
def norm_parts():
    norm = L.BatchNormalization(momentum=0.7, virtual_batch_size=3)
    return Sequential([Input((2, 2)), norm, L.Flatten(), L.Dense(2)]), 3, None, 6


@case("keras3", "tfkeras2")
def norm_renormalised():
    return normalised((3, 2), renorm=True, renorm_momentum=0.6, renorm_clipping={"rmax": 1.5, "rmin": 0.4, "dmax": 0.3})


@case("keras3", "tfkeras2", "keras2")
def norm_masked():
    x = Input((5,), dtype="int32")
    y = L.BatchNormalization(momentum=0.7)(L.Embedding(7, 3, mask_zero=True)(x))
    ids = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [6, 1, 2, 3, 4]], "int32")
    return Model(x, L.GlobalAveragePooling1D()(y)), 3, [ids]


@case("keras3")
def norm_spectral():
    x = Input((4,))
    return Model(x, L.SpectralNormalization(L.Dense(3, kernel_regularizer=R.l2(0.02)), power_iterations=2)(x))


@case("tfkeras2")
def added_loss():
    x = Input((4,))
    y = L.Dense(3)(x)
    model = Model(x, y)
    model.add_loss(0.1 * keras.backend.mean(y))
    return model


# ---- Augmentation: amounts that leave nothing to chance ----

def changed(name, size=(5, 7, 3), **config):
    """One layer; what it makes of images."""
    def make():
        x = Input(size)
        return Model(x, getattr(L, name)(**config)(x))
    make.__name__ = "image_%s_%d" % (name, sum(k.startswith("image_" + name + "_") for k in cases))
    make.changes = True
    if hasattr(L, name):
        cases[make.__name__] = make


if SUITE in ("keras3", "tfkeras2"):
    changed("RandomBrightness", factor=[0.2, 0.2], value_range=[0, 4])
    changed("RandomRotation", factor=[0.1, 0.1], fill_mode="reflect")
    changed("RandomRotation", factor=[-0.2, -0.2], fill_mode="constant", fill_value=1.5, interpolation="nearest")
    changed("RandomTranslation", height_factor=[0.2, 0.2], width_factor=[-0.3, -0.3], fill_mode="wrap")
    changed("RandomZoom", height_factor=[0.3, 0.3], fill_mode="nearest")
    changed("RandomZoom", height_factor=[0.3, 0.3], width_factor=[-0.2, -0.2])
if SUITE == "tfkeras2":
    changed("RandomHeight", factor=[0.3, 0.3])
    changed("RandomWidth", factor=[-0.4, -0.4], interpolation="nearest")
if SUITE == "keras3":
    changed("RandomSaturation", factor=[0.4, 0.4], value_range=[0, 1])
    changed("RandomInvert", factor=[1, 1], value_range=[0, 2])
    changed("RandomPosterization", factor=[3, 3], value_range=[0, 1])
    changed("RandomSharpness", factor=[0.8, 0.8], value_range=[-3, 3])
    changed("RandomGrayscale", factor=1.0)
    changed("RandomErasing", factor=[1, 1], scale=[1, 1], fill_value=0.5, value_range=[0, 1])
    changed("RandomPerspective", scale=0.0)
    changed("RandomElasticTransform", scale=0.0, value_range=[0, 1])
    changed("RandomGaussianBlur", factor=[1, 1], kernel_size=[3, 5], sigma=[0.7, 0.7], value_range=[-3, 3])
    changed("RandomGaussianBlur", factor=[1, 1], kernel_size=7, sigma=[0.9, 0.9], value_range=[0, 2])
    changed("RandomColorDegeneration", factor=[0.6, 0.6], value_range=[-1, 1])
    changed("RandomColorJitter", value_range=[0, 1], brightness_factor=[0.2, 0.2], contrast_factor=[-0.3, 0.3],
            saturation_factor=[0.4, 0.4], hue_factor=[0, 0])
    # Keras 3.15 hands out the input itself as what comes out, so that the layer is in no graph.
    L.Equalization.compute_output_spec = lambda self, x, **kwargs: keras.KerasTensor(x.shape, x.dtype)
    changed("Equalization", value_range=[0, 1])
    changed("Equalization", value_range=[0, 1], bins=20)
    changed("Equalization", size=(9, 11, 2), value_range=[-2, 2], bins=100)
    changed("Solarization", value_range=[0, 1])


# ---- Running ----

def numbers(t, rng, batch=3):
    shape = [batch if d is None else d for d in (t.shape if MAJOR == 3 else keras.backend.int_shape(t))]
    if "int" in str(t.dtype):
        return rng.randint(1, 7, shape).astype("int32")
    return rng.randn(*shape).astype("float32")


def keep(model, name, when, arrays):
    """Adds the weights to the arrays, or writes them to a file."""
    if MAJOR == 1:
        model.save_weights(os.path.join(FOLDER, "%s_%s_%s.h5" % (SUITE, name, when)), overwrite=True)
    else:
        arrays.update({when + "/" + k: v for k, v in weights(model).items()})


def weights(model):
    """Those that train first, as Cornu lists them."""
    def values(layer):
        if MAJOR < 3:
            return layer.get_weights()
        return [np.array(w) for w in layer.trainable_weights + layer.non_trainable_weights]
    return {"%s/%d" % (layer.name, i): w for layer in model.layers for i, w in enumerate(values(layer))}


def train(model, x, y):
    """One step of SGD without momentum."""
    if MAJOR == 3:
        model.reset_metrics()
    loss = model.train_on_batch(x if len(x) > 1 else x[0], y)
    return float(loss[0] if isinstance(loss, list) else loss)


def optimizer():
    o = keras.optimizers
    return o.SGD(lr=RATE) if MAJOR == 1 or (MAJOR == 2 and not TF) else o.SGD(RATE)


def run(name):
    rng = np.random.RandomState(sum(map(ord, name)))
    getattr(keras.backend, "clear_session", int)()
    made = cases[name]()
    made = made if isinstance(made, tuple) else (made,)
    model, steps, given, batch = made + (3, None, 3)[len(made) - 1:]
    positive = ("var", "stddev", "running_std")
    for layer in model.layers:
        fresh = [rng.randn(*v.shape) * 0.5 for v in layer.get_weights()]
        names = [getattr(v, "name", "") for v in layer.weights]
        layer.set_weights([abs(v) + 0.5 if any(k in n for k in positive) else v for v, n in zip(fresh, names)])
    arrays = {}
    keep(model, name, "before", arrays)
    x = given if given else [numbers(t, rng, batch) for t in model.inputs]
    arrays.update({"x%d" % i: v for i, v in enumerate(x)})
    out = model.outputs[0]
    arrays["y"] = numbers(out, rng, batch)
    if getattr(cases[name], "changes", False):
        bounded = ("Saturation", "Poster", "Jitter", "Equal", "Solar")
        arrays["x0"] = np.abs(x[0]) % 1 if any(word in name for word in bounded) else x[0]
        arrays["y"] = np.array(model(arrays["x0"], training=True))
        return {"model": json.loads(model.to_json()), "changes": True}, arrays
    model.compile(optimizer(), "mse", **({"run_eagerly": True} if TF else {}))
    arrays["losses"] = np.array([train(model, x, arrays["y"]) for _ in range(steps)], "float32")
    keep(model, name, "after", arrays)
    frozen = [layer.name for layer in model.layers if not layer.trainable]
    known = '"name": "EigenvalueRegularizer"'  # Keras 1 forgets its factor
    text = json.loads(model.to_json().replace(known, known + ', "k": 0.1'))
    return {"model": text, "rate": RATE, "frozen": frozen}, arrays


def main():
    path = os.path.join(FOLDER, SUITE)
    texts, arrays = {}, {}
    if os.path.exists(path + ".json"):
        texts, arrays = json.load(open(path + ".json")), dict(np.load(path + ".npz"))
    for name in sys.argv[1:] or cases:
        texts[name], made = run(name)
        arrays = {k: v for k, v in arrays.items() if k.split("/")[0] != name}
        arrays.update({name + "/" + k: np.asarray(v) for k, v in made.items()})
        print(SUITE, name, made.get("losses", ""))
    texts = {k: texts[k] for k in sorted(texts)}
    with open(path + ".json", "w") as f:
        json.dump(texts, f, indent=None, sort_keys=True)
        f.write("\n")
    np.savez_compressed(path + ".npz", **{k: arrays[k] for k in sorted(arrays)})


if __name__ == "__main__":
    main()
