"""Makes the small models of tests/models with real Keras, with inputs and the outputs that Keras gives for them.

    python scripts/make_fixtures.py [OUT [PART…]]    OUT: default tests/models; PART: functions of this file, default all

The Keras that is installed decides the suite. The suites are committed, so that the tests need no Python:

    keras3     pip install keras tensorflow                                   (3.15)
    tfkeras2   pip install tf_keras tensorflow, run with KERAS_API=tf_keras   (2.21)
    keras2     pip install keras==2.3.1 tensorflow==1.15 'h5py<3'             (Python 3.7)
    keras1     pip install keras==1.2.2 tensorflow==1.15 'h5py<3'             (Python 3.6, 3.7)
    theano1    the same with pip install theano, run with KERAS_BACKEND=theano

Each case is a folder with case.json (which files, the names of inputs and outputs in io.npz, tolerances), the model and
io.npz. All weights are random, biases and moving statistics with them, so that no part of a model is without effect.
"""
import importlib
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np

keras = importlib.import_module(os.environ.get("KERAS_API", "keras"))
L = keras.layers
MAJOR = int(keras.__version__.split(".")[0])
THEANO = MAJOR == 1 and keras.backend.backend() == "theano"
SUITE = {1: "theano1" if THEANO else "keras1", 2: "tfkeras2" if keras.__name__ == "tf_keras" else "keras2", 3: "keras3"}[MAJOR]
Input, Model, Sequential = L.Input, keras.models.Model, keras.models.Sequential
OUT = os.path.join(sys.argv[1] if len(sys.argv) > 1 else "tests/models", SUITE)


# ---- Writing a case ----

def leaves(layer):
    """The layers that have weights of their own."""
    inner = getattr(layer, "layers", None)
    if inner is None:
        return [layer]
    return [leaf for part in inner for leaf in leaves(part)]


def randomise(model, rng):
    for layer in leaves(model):
        values = layer.get_weights()
        names = [w.name for w in layer.weights]
        fresh = [rng.randn(*v.shape) * 0.5 for v in values]
        layer.set_weights([abs(v) + 0.5 if "var" in n or "std" in n else v for v, n in zip(fresh, names)])


def data(model, rng, given):
    """Inputs: given ones, else normal numbers for a batch of two."""
    if given is not None:
        return [np.asarray(x) for x in given]
    shapes = [t._keras_shape if MAJOR == 1 else keras.backend.int_shape(t) if MAJOR == 2 else t.shape
              for t in model.inputs]
    return [rng.randn(*[2 if d is None else d for d in shape]).astype("float32") for shape in shapes]


def flat(y):
    return [leaf for part in y for leaf in flat(part)] if isinstance(y, (list, tuple)) else [y]


def strings(model, xs):
    """Outputs of a model with string inputs, which predict does not take."""
    import tensorflow as tf
    ys = [np.asarray(y) for y in flat(model([tf.constant(x) for x in xs]))]
    return [np.vectorize(lambda s: s.decode("utf-8"))(y) if y.dtype == object else y for y in ys]


def save(name, model, inputs=None, formats=None, prepare=None, **more):
    """formats: "full" (.keras or .h5), "h5", "parts" (JSON and weights), "yaml" (YAML and weights), "shards"
    (JSON, weights in several files); prepare(model): after weights are random."""
    rng = np.random.RandomState(sum(map(ord, name)))
    randomise(model, rng)
    if prepare:
        prepare(model)
    xs = data(model, rng, inputs)
    keyed = more.pop("input_names", None)
    if any(x.dtype.kind == "U" for x in xs):
        y = strings(model, xs)
    else:
        y = model.predict(dict(zip(keyed, xs)) if keyed else xs if len(xs) > 1 else xs[0])
    names = sorted(y) if isinstance(y, dict) else None
    ys = [y[k] for k in names] if names else flat(y)
    for kind in formats or ("full",):
        folder = os.path.join(OUT, name + ("" if kind == "full" else "_" + kind))
        os.makedirs(folder, exist_ok=True)
        case = {"inputs": ["i%d" % i for i in range(len(xs))], "outputs": ["o%d" % i for i in range(len(ys))],
                "atol": 1e-5, "rtol": 1e-4, "keras": keras.__version__}
        case.update(more)
        if keyed:
            case["input_names"] = keyed
        if names:
            case["output_names"] = names
        if kind not in ("parts", "yaml", "shards"):
            case["model"] = "model.keras" if MAJOR == 3 and kind == "full" else "model.h5"
            model.save(os.path.join(folder, case["model"]))
        else:
            case["model"] = "config.yaml" if kind == "yaml" else "config.json"
            case["weights"] = "model.weights.h5"
            with open(os.path.join(folder, case["model"]), "w") as f:
                f.write(model.to_yaml() if kind == "yaml" else model.to_json())
            if kind == "shards":
                case["weights"] = "model.weights.json"
                model.save_weights(os.path.join(folder, case["weights"]), max_shard_size=1e-6)
            else:
                model.save_weights(os.path.join(folder, case["weights"]))
        np.savez_compressed(os.path.join(folder, "io.npz"), **{k: v for k, v in zip(case["inputs"] + case["outputs"],
                                                                                    xs + list(ys))})
        with open(os.path.join(folder, "case.json"), "w") as f:
            json.dump(case, f, indent=1, sort_keys=True)
    print(SUITE, name)


# ---- Keras 2 and 3 ----

def images():
    x = i = Input((9, 7, 2))
    x = L.Conv2D(3, (3, 2), strides=2, padding="same", activation="relu")(x)
    x = L.DepthwiseConv2D((2, 3), padding="same", depth_multiplier=2)(x)
    a = L.SeparableConv2D(4, 3, padding="same", dilation_rate=2, depth_multiplier=2, use_bias=False)(x)
    a = L.BatchNormalization(scale=False)(a)
    x = L.Conv2DTranspose(3, (4, 3), strides=(2, 1), padding="valid")(a)
    b = L.Conv2DTranspose(2, 2, strides=3, padding="same", activation="tanh")(a)
    x = L.ZeroPadding2D(((1, 2), (0, 1)))(x)
    x = L.Cropping2D(((0, 1), (1, 0)))(x)
    x = L.UpSampling2D((2, 3))(x)
    c = L.AveragePooling2D((3, 2), strides=2, padding="same")(x)
    x = L.MaxPooling2D(3, strides=(2, 1), padding="same")(x)
    save("images", Model(i, [x, c, b, L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(c)]),
         formats=("full", "parts"))


def even_kernels():
    i = Input((8, 10, 1))
    outs = []
    for size in (2, 4):
        for strides, dilation in ((1, 1), (2, 1), (3, 1), (1, 3)):
            outs.append(L.Conv2D(1, size, strides=strides, dilation_rate=dilation, padding="same")(i))
        outs.append(L.AveragePooling2D(size, strides=3, padding="same")(i))
        outs.append(L.Conv2DTranspose(1, size, strides=2, padding="same")(i))
    save("even_kernels", Model(i, outs))


def sequences():
    x = i = Input((12, 3))
    x = L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="elu")(x)
    x = L.SeparableConv1D(5, 2, strides=2, padding="same", depth_multiplier=2)(x)
    a = L.MaxPooling1D(3, strides=2, padding="same")(x)
    b = L.AveragePooling1D(2, padding="valid")(x)
    x = L.ZeroPadding1D((2, 1))(x)
    x = L.UpSampling1D(2)(L.Cropping1D((0, 3))(x))
    x = L.BatchNormalization()(x)
    save("sequences", Model(i, [x, a, b, L.GlobalMaxPooling1D()(x), L.GlobalAveragePooling1D()(a)]))


def volumes():
    x = i = Input((5, 6, 4, 2))
    x = L.Conv3D(3, (2, 3, 1), padding="same", strides=(1, 2, 1))(x)
    x = L.ZeroPadding3D(1)(x)
    x = L.Cropping3D(((1, 0), (0, 1), (1, 1)))(x)
    a = L.MaxPooling3D((2, 2, 1), padding="same")(x)
    save("volumes", Model(i, [L.UpSampling3D((1, 2, 2))(x), a, L.AveragePooling3D(2)(x), L.GlobalMaxPooling3D()(x),
                              L.GlobalAveragePooling3D()(x)]))


def recurrent():
    i = Input((5, 3))
    outs = []
    for cell, extra in ((L.SimpleRNN, {}), (L.GRU, {}), (L.LSTM, {})):
        outs.append(cell(2, return_sequences=True, go_backwards=True, **extra)(i))
        outs += cell(3, return_state=True, use_bias=False)(i)
        outs.append(cell(2, activation="relu", unroll=True)(i))
    outs.append(L.GRU(2, reset_after=True)(i))
    outs.append(L.GRU(2, reset_after=False, recurrent_activation="hard_sigmoid")(i))
    outs.append(L.LSTM(2, recurrent_activation="hard_sigmoid", unit_forget_bias=False)(i))
    h, c = Input((3,)), Input((3,))
    outs.append(L.LSTM(3, return_sequences=True)(i, initial_state=[h, c]))
    outs.append(L.SimpleRNN(3)(i, initial_state=h))
    save("recurrent", Model([i, c, h], outs))


def cells():
    i = Input((4, 3))
    stack = L.RNN([L.LSTMCell(3), L.GRUCell(2), L.SimpleRNNCell(4)], return_sequences=True, return_state=True)
    save("cells", Model(i, flat(stack(i)) + [L.RNN(L.GRUCell(2), go_backwards=True)(i)]))


def masks():
    i = Input((6, 3))
    x = L.Masking(0.5)(i)
    a = L.LSTM(4, return_sequences=True)(x)
    b = L.TimeDistributed(L.Dense(3, activation="softmax"))(a)
    c = L.GRU(3)(b)
    d = L.Bidirectional(L.SimpleRNN(2, return_sequences=True))(x)
    e = L.Add()([a, d])
    values = np.random.RandomState(1).randn(3, 6, 3).astype("float32")
    values[0, 4:] = values[1, :2] = values[2, 3] = 0.5
    save("masks", Model(i, [a, b, c, d, L.LSTM(2)(e)]), [values])


def embedded():
    i = Input((5,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    outs = [x]
    for mode in ("concat", "sum", "mul", "ave"):
        outs.append(L.Bidirectional(L.GRU(2, return_sequences=mode == "sum"), merge_mode=mode)(x))
    outs += L.Bidirectional(L.LSTM(2), merge_mode=None)(x)
    ids = np.array([[1, 2, 3, 0, 0], [8, 0, 7, 4, 0], [5, 5, 5, 5, 5]], "int32")
    save("embedded", Model(i, outs), [ids], formats=("parts",))


def merges():
    a, b, c = Input((4, 3)), Input((4, 3)), Input((1, 3))
    outs = [L.Add()([a, b, c]), L.Multiply()([a, c]), L.Average()([a, b]), L.Maximum()([a, b, c]),
            L.Minimum()([c, a]), L.Subtract()([a, b]), L.Concatenate(axis=1)([a, b, c]), L.Concatenate()([b, a]),
            L.Dot(axes=2)([a, b]), L.Dot(axes=(1, 1), normalize=True)([a, b])]
    save("merges", Model([c, a, b], outs))


def shapes():
    i = Input((4, 6))
    x = L.Permute((2, 1))(i)
    y = L.Reshape((3, -1))(x)
    z = L.RepeatVector(3)(L.Flatten()(y))
    drop = L.GaussianDropout(0.3)(L.GaussianNoise(0.2)(L.Dropout(0.5)(i)))
    drop = L.ActivityRegularization(0.1)(L.SpatialDropout1D(0.4)(L.AlphaDropout(0.1)(drop)))
    save("shapes", Model(i, [x, y, z, drop]))


def activations():
    i = Input((3, 5))
    names = ["elu", "exponential", "hard_sigmoid", "linear", "relu", "selu", "sigmoid", "softmax", "softplus",
             "softsign", "tanh"]
    if MAJOR == 3:
        names += ["celu", "gelu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid",
                  "log_softmax", "mish", "relu6", "silu", "soft_shrink", "sparse_plus", "sparsemax", "squareplus",
                  "tanh_shrink"]
    outs = [L.Activation(n)(i) for n in names]
    outs += [L.LeakyReLU(0.2)(i), L.PReLU(shared_axes=[1])(i), L.ELU(0.7)(i), L.Softmax(axis=1)(i),
             L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2)(i)]
    values = np.random.RandomState(2).randn(2, 3, 5).astype("float32") * 3
    save("activations", Model(i, outs), [values])


def normalised():
    i = Input((4, 3, 2))
    outs = [L.BatchNormalization(axis=1, epsilon=0.1)(i), L.BatchNormalization(center=False, scale=False)(i)]
    if SUITE != "keras2":
        outs += [L.LayerNormalization()(i), L.LayerNormalization(axis=[1, 3], epsilon=0.05)(i),
                 L.LayerNormalization(axis=2, center=False)(i), L.LayerNormalization(scale=False)(i)]
    save("normalised", Model(i, outs))


def nested():
    inner = Sequential(name="inner")
    inner.add(L.Dense(4, activation="tanh", input_shape=(3,)) if MAJOR == 2 else L.Dense(4, activation="tanh"))
    inner.add(L.BatchNormalization())
    if MAJOR == 3:
        inner.build((None, 3))
    a = Input((3,))
    middle = Model(a, [L.Dense(3)(inner(a)), inner(a)], name="middle")
    x, y = Input((3,), name="x"), Input((3,), name="y")
    p, q = middle(x)
    r, s = middle(y)
    shared = L.Dense(2, name="shared")
    save("nested", Model([y, x], [shared(p), shared(r), L.Add()([q, s]), inner(p)]), formats=("full", "parts"))


def siamese():
    """A nested model and a layer that are called twice; parts.npz holds what their layers give, by the paths of Cornu."""
    i = Input((6, 6, 3), name="pixels")
    a = L.Conv2D(4, 3, activation="relu", padding="same", name="conv1")(i)
    b = L.Conv2D(4, 3, padding="same", name="conv2")(a)
    s = L.Add(name="skip")([a, b])
    encoder = Model(i, [s, L.GlobalAveragePooling2D(name="pool")(s)], name="encoder")
    left, right = Input((6, 6, 3), name="left"), Input((6, 6, 3), name="right")
    shared = L.Dense(5, activation="tanh", name="shared")
    x, y = shared(encoder(left)[1]), shared(encoder(right)[1])
    z = L.Concatenate(name="join")([x, y])
    h = Input((10,), name="features")
    head = Model(h, L.Dense(3, activation="softmax", name="softmax")(L.Dense(6, activation="relu", name="fc")(h)),
                 name="head")
    model = Model([left, right], [head(z), L.Subtract(name="gap")([x, y])], name="siamese")
    save("siamese", model)
    io = np.load(os.path.join(OUT, "siamese", "io.npz"))
    parts = {}
    names = ["conv1", "conv2", "skip", "pool"]
    inner = Model(encoder.inputs, [encoder.get_layer(n).output for n in names])
    for call, given in enumerate(["i0", "i1"]):
        parts.update({"encoder[%d]/%s" % (call + 1, n): v for n, v in zip(names, inner.predict(io[given]))})
    values = Model(model.inputs, [x, y, z]).predict([io["i0"], io["i1"]])
    parts.update(zip(["shared[1]", "shared[2]", "join"], values))
    parts["head/fc"] = Model(head.inputs, head.get_layer("fc").output).predict(values[2])
    np.savez_compressed(os.path.join(OUT, "siamese", "parts.npz"), **parts)


def orders():
    a, b = Input((2,), name="zebra"), Input((3,), name="ant")
    p = L.Dense(2, name="second")(b)
    q = L.Dense(2, name="first")(a)
    both = L.Concatenate(name="both")([p, q])
    save("orders", Model([b, a], [both, q, p]))


def names():
    """Attributes of more than 64 kB, which Keras 2 writes in pieces."""
    model = Sequential(name="names")
    length = 40 if MAJOR == 3 else 2000
    for n in range(34):
        first = {"input_shape": (2,)} if n == 0 and MAJOR == 2 else {}
        model.add(L.Dense(2, name="layer_%d_%s" % (n, "x" * length), **first) if n % 17 == 0
                  else L.Activation("linear", name="layer_%d_%s" % (n, "y" * length)))
    if MAJOR == 3:
        model.build((None, 2))
    save("names", model, formats=("full",) if MAJOR == 3 else ("parts",))


def by_name():
    i = Input((4,))
    x = L.Dense(3, name="kept")(i)
    source = Model(i, L.Dense(2, name="gone")(L.Dense(3, name="also_kept", activation="tanh")(x)))
    randomise(source, np.random.RandomState(3))
    i = Input((4,))
    x = L.Dense(3, name="kept")(i)
    target = Model(i, L.Dense(3, name="also_kept", activation="tanh")(x))
    folder = os.path.join(OUT, "by_name")
    os.makedirs(folder, exist_ok=True)
    weights = os.path.join(folder, "weights.h5")
    source.save_weights(weights)
    target.load_weights(weights, by_name=True)
    x = np.random.RandomState(4).randn(2, 4).astype("float32")
    np.savez_compressed(os.path.join(folder, "io.npz"), i0=x, o0=target.predict(x))
    with open(os.path.join(folder, "config.json"), "w") as f:
        f.write(target.to_json())
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({"inputs": ["i0"], "outputs": ["o0"], "atol": 1e-5, "rtol": 1e-4, "keras": keras.__version__,
                   "model": "config.json", "weights": "weights.h5", "by_name": True}, f, indent=1, sort_keys=True)
    print(SUITE, "by_name")


def skipped():
    """Weights of which some do not fit and are skipped: by name in Keras 2, by object in Keras 3. What is left alone is 1."""
    def make(wide, outputs):
        ones = {"kernel_initializer": "ones", "bias_initializer": "ones"}
        j = Input((3,))
        inner = Model(j, L.Dense(4, name="b", **ones)(L.Dense(wide, name="a", activation="tanh", **ones)(j)), name="inner")
        i = Input((3,))
        return Model(i, L.Dense(outputs, name="c", **ones)(inner(i)))
    source, target = make(5, 2), make(6, 2)
    randomise(source, np.random.RandomState(3))
    folder = os.path.join(OUT, "skipped")
    os.makedirs(folder, exist_ok=True)
    weights = "model.weights.h5" if MAJOR == 3 else "weights.h5"
    source.save_weights(os.path.join(folder, weights))
    how = {"skip_mismatch": True} if MAJOR == 3 else {"skip_mismatch": True, "by_name": True}
    target.load_weights(os.path.join(folder, weights), **how)
    x = np.random.RandomState(4).randn(2, 3).astype("float32")
    np.savez_compressed(os.path.join(folder, "io.npz"), i0=x, o0=target.predict(x))
    with open(os.path.join(folder, "config.json"), "w") as f:
        f.write(target.to_json())
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump(dict(how, inputs=["i0"], outputs=["o0"], atol=1e-5, rtol=1e-4, keras=keras.__version__,
                       model="config.json", weights=weights), f, indent=1, sort_keys=True)
    print(SUITE, "skipped")


def dicts():
    a, b = Input((2,), name="left"), Input((3,), name="right")
    outputs = {"sum": L.Add()([L.Dense(2)(a), L.Dense(2)(b)]), "all": L.Concatenate()([b, a])}
    save("dicts", Model({"right": b, "left": a}, outputs), input_names=["left", "right"],
         inputs=[np.ones((2, 2), "float32"), np.arange(6, dtype="float32").reshape(2, 3)])


def spectral():
    i, j = Input((5, 4, 2)), Input((3,))
    x = L.SpectralNormalization(L.Conv2D(3, 2, padding="same"), power_iterations=2)(i)
    y = L.SpectralNormalization(L.Embedding(7, 2))(j)
    save("spectral", Model([i, j], [L.Dense(2)(L.BatchNormalization()(x)), y]),
         inputs=[np.arange(80, dtype="float32").reshape(2, 5, 4, 2) / 40 - 1, np.array([[1, 2, 0], [6, 3, 3]], "float32")])


def doubles():
    """float64 in every family of layers; then layers with policies of their own."""
    i, j, d = Input((6, 5, 4)), Input((5, 3)), {"dtype": "float64"}
    x = L.BatchNormalization(**d)(L.Conv2D(6, 3, padding="same", activation="elu", **d)(i))
    x = L.MaxPooling2D(2, padding="same", **d)(L.DepthwiseConv2D(2, depth_multiplier=2, activation="softplus", **d)(x))
    x = L.AveragePooling2D(2, strides=1, **d)(L.Conv2DTranspose(3, 3, strides=2, **d)(x))
    y = L.Bidirectional(L.LSTM(4, return_sequences=True, **d), **d)(L.Conv1D(4, 2, activation="hard_sigmoid", **d)(j))
    y = L.LayerNormalization(**d)(L.MultiHeadAttention(2, 3, **d)(y, y))
    z = L.GRU(3, reset_after=False, **d)(L.PReLU(**d)(L.SimpleRNN(5, return_sequences=True, **d)(y)))
    last = L.Dense(3, activation="softmax", **d)(L.Multiply(**d)([z, L.GlobalAveragePooling2D(**d)(x)]))
    save("doubles", Model([i, j], [x, y, last]), rtol=1e-11, atol=1e-13, dtypes=["float64"] * 3)

    i, policy = Input((4,)), getattr(keras, "DTypePolicy", None) or keras.mixed_precision.Policy
    x = L.Dense(5, activation="gelu", dtype="float64")(L.Dense(6, activation="tanh", dtype=policy("mixed_float16"))(i))
    half = L.Dense(3, dtype="bfloat16")(L.Concatenate(dtype="float32")([x, L.Dense(2, dtype="float16")(x)]))
    inner = Input((3,), dtype="float64")
    nested = Model(inner, L.Dense(4, activation="sigmoid", dtype="float64")(inner))
    y = nested(L.Activation("linear", dtype="float32")(half))
    save("policies", Model(i, [x, y]), rtol=2e-2, atol=2e-2, dtypes=["float64"] * 2)


def quantised():
    """Dense, EinsumDense and the two embeddings in every mode that Keras reads back itself, and low-rank weights."""
    q, ids = keras.quantizers, [np.array([[1, 2, 0, 6], [6, 3, 3, 5]], "float32")]
    modes = {"int8": "int8", "int8_weights": q.Int8QuantizationConfig(activation_quantizer=None),
             "int4": q.Int4QuantizationConfig(block_size=-1), "int4_groups": q.Int4QuantizationConfig(block_size=2),
             "float8": "float8"}
    for name, mode in modes.items():
        i = Input((4,))
        outs = [L.Embedding(7, 3, mask_zero=True)(i)] if name != "float8" else [L.Reshape((4, 1))(i)]
        x = L.EinsumDense("abc,cde->abde", (None, 3, 5), bias_axes="de")(L.Dense(6, activation="relu")(outs[0]))
        outs.append(L.EinsumDense("abcd,cde->abe", (None, 3))(x))
        for tied in (True, False) if name != "float8" else ():
            table = L.ReversibleEmbedding(7, 3, tie_weights=tied, logit_soft_cap=2.0 if tied else None)
            outs += [table(i), table(outs[1], reverse=True)]
        save("quantised_" + name, Model(i, outs), inputs=ids, prepare=lambda m: m.quantize(config=mode))


def adapted():
    i, j = Input((4,)), Input((5, 2))
    layers = [L.Embedding(7, 3), L.Dense(4), L.EinsumDense("abc,cd->abd", (None, 2)), L.Conv1D(2, 2)]
    x = layers[2](layers[1](layers[0](i)))

    def prepare(model):
        for layer in layers:
            layer.enable_lora(2, lora_alpha=3)
            for weight in layer.trainable_variables:
                weight.assign(np.random.RandomState(len(weight.path)).randn(*weight.shape))

    save("adapted", Model([i, j], [x, layers[3](j)]), formats=("full", "h5"), prepare=prepare,
         inputs=[np.array([[1, 2, 0, 6], [6, 3, 3, 5]], "float32"), np.arange(20, dtype="float32").reshape(2, 5, 2) / 10])


def pictures():
    """Images resized, cut and changed, of floats and of bytes."""
    i, j = Input((9, 8, 3)), Input((7, 6, 3), dtype="uint8")
    three = MAJOR == 3
    more = {"antialias": True} if three else {}
    outs = [L.Resizing(4, 11, m, **more)(i) for m in ("bilinear", "bicubic", "lanczos3", "nearest", "area")]
    outs += [L.Resizing(5, 3, "lanczos5", crop_to_aspect_ratio=True)(k) for k in (i, j)]
    for k in (i, j):
        outs += [L.CenterCrop(4, 5)(k), L.CenterCrop(10, 4)(k), L.RandomFlip("horizontal")(k), L.RandomContrast(0.2)(k)]
        outs += [L.RandomRotation((-0.1, 0.2), fill_mode="wrap")(k), L.RandomZoom(0.1, None)(k)]
    if three:
        outs += [L.Resizing(4, 9, pad_to_aspect_ratio=True, fill_value=3, data_format="channels_first")(i)]
        outs += [L.AutoContrast()(k) for k in (i, j)] + [L.AutoContrast(value_range=(-1, 300))(i)]
        outs += [L.ContrastLimitedAdaptiveHistogramEqualization(clip_limit=2.0, tile_grid_size=(2, 3))(j),
                 L.Solarization(0.1, (0.2, 0.3))(j), L.RandAugment()(i), L.RandomColorJitter(hue_factor=0.1)(j),
                 L.Pipeline([L.Resizing(4, 3), L.Dense(2), L.CutMix()])(i)]
        outs += [L.AdaptiveAveragePooling2D((4, 3))(i), L.AdaptiveMaxPooling2D((4, 2), data_format="channels_first")(i)]
    else:
        outs += [L.RandomCrop(3, 7)(j), L.RandomHeight(0.2)(j), L.Resizing(3, 3, "GAUSSIAN", dtype="uint8")(j)]
    rng = np.random.RandomState(9)
    save("pictures", Model([i, j], outs), inputs=[(rng.rand(2, 9, 8, 3) * 255).astype("float32"),
                                                  (rng.rand(2, 7, 6, 3) ** 2 * 255).astype("uint8")])


def sounds():
    i, j = Input((40, 2)), Input((70,))
    same = {"frame_length": 7, "frame_step": 3, "padding": "same", "expand_dims": True}
    outs = [L.STFTSpectrogram(mode, 8, 3)(i) for mode in ("log", "magnitude", "psd", "real")]
    outs += [L.STFTSpectrogram(mode, **same, data_format=order)(i)
             for mode in ("imag", "stft") for order in ("channels_first", "channels_last")]
    outs += [L.MelSpectrogram(16, 5, sampling_rate=1000, num_mel_bins=4)(j),
             L.MelSpectrogram(17, 4, 9, "hamming", 1000, 5, 0.0, 300.0, False, mag_exp=1.5)(j),
             L.MelSpectrogram(16, 5, 8, None, 1000, 4, top_db=10.0, ref_power=0.3)(j)]
    save("sounds", Model([i, j], outs))


def mask_ends():
    """Layers that hand no mask on, and an initial state, beside which Keras 3 ignores the mask."""
    i, j, h = Input((5, 3)), Input((5, 12)), Input((2,))
    x = L.Masking()(i)
    outs = [L.SimpleRNN(2)(L.EinsumDense("abc,cd->abd", (None, 3))(x)), L.SimpleRNN(2)(L.RMSNormalization()(x)),
            L.SimpleRNN(2, return_sequences=True)(x, initial_state=h)]
    y = L.TimeDistributed(L.Reshape((6, 2)))(L.Masking()(j))
    outs.append(L.Bidirectional(L.ConvLSTM1D(2, 2, return_sequences=True))(y))
    x = np.random.RandomState(0).randn(2, 5, 15) * (np.arange(10).reshape(2, 5, 1) % 3 > 0)
    save("mask_ends", Model([i, j, h], outs), inputs=[x[..., :3].astype("float32"), x[..., 3:].astype("float32"),
                                                      np.array([[1, -1], [2, 0]], "float32")])


def movie_cells():
    """Keras 2 alone has cells of convolutional LSTMs."""
    from keras.layers.convolutional_recurrent import ConvLSTM2DCell, ConvRNN2D
    i = Input((3, 4, 5, 2))
    cell = ConvLSTM2DCell(2, (2, 3), padding="same", recurrent_activation="sigmoid", activation="relu")
    save("movie_cells", Model(i, ConvRNN2D(cell, return_sequences=True, go_backwards=True)(i)))


def texts():
    """Strings and categories, vocabularies from configs and, in Keras 3, from assets."""
    lines = np.array([["Hello, World! hello"], ["the Quick  brown\tfox"], ["\u00dcn\u00efcode \u00c0\u00c9 don't !!! a-b"], [""]])
    words = np.array([["a", "b", "zz"], ["c", "", "\u65e5\u672c"], ["a", "a", "a"], ["q", "c", "b"]])
    numbers = np.array([[12, 7, -4], [36, 0, 5], [12, 12, 1], [2 ** 40, 9, 7]])
    known = ["hello", "brown fox", "\u00fcn\u00efcode", "dont", "ab"]
    i, j, k = Input((1,), dtype="string"), Input((3,), dtype="string"), Input((3,), dtype="int64")
    vocabulary = ["a", "b", "c"]
    outs = [L.TextVectorization(vocabulary=known)(i),
            L.TextVectorization(vocabulary=known, ngrams=2, output_mode="tf_idf", idf_weights=[.1, .2, .3, .4, .5])(i),
            L.TextVectorization(vocabulary=["h", " ", "\u00ef"], split="character", output_sequence_length=5)(i),
            L.StringLookup(vocabulary=vocabulary, num_oov_indices=2, mask_token="")(j),
            L.StringLookup(vocabulary=vocabulary, output_mode="count", max_tokens=6, pad_to_max_tokens=True)(j),
            L.StringLookup(vocabulary=vocabulary, invert=True)(L.StringLookup(vocabulary=vocabulary)(j)),
            L.IntegerLookup(vocabulary=[12, 7], num_oov_indices=3, output_mode="multi_hot")(k),
            L.Hashing(7, mask_value="")(j), L.Hashing(7, salt=[137, 133], output_mode="multi_hot")(k),
            L.HashedCrossing(31)([i, i]),
            L.Discretization([0., 5., 10.], output_mode="count")(L.Rescaling(1. / 2)(k)),
            L.CategoryEncoding(8, output_mode="count")(L.Hashing(8)(j), count_weights=L.Rescaling(1. / 4)(L.Hashing(3)(j)))]
    save("texts", Model([i, j, k], outs), inputs=[lines, words, numbers], formats=("full", "h5")[:MAJOR - 1])


def vocabularies():
    """Learned ones, which Keras 3 keeps as assets; the archive, and the same as a folder."""
    import zipfile
    words = np.array([["a", "b", "b"], ["c", "c", "\u65e5\u672c"]])
    i, j = Input((3,), dtype="string"), Input((3,), dtype="int64")
    lookup, numbers, text = L.StringLookup(), L.IntegerLookup(output_mode="tf_idf"), L.TextVectorization(split=None)
    lookup.adapt(words)
    numbers.adapt(np.array([[5, 6, 6], [7, 7, 7]]))
    text.adapt(words)
    inner = Model(i, text(i))
    save("vocabularies", Model([i, j], [lookup(i), numbers(j), inner(i)]),
         inputs=[np.array([["a", "zz", "c"], ["b", "\u65e5\u672c", ""]]), np.array([[5, 9, 6], [7, 6, 6]])])
    folder = os.path.join(OUT, "vocabularies")
    other = folder + "_folder"
    with zipfile.ZipFile(os.path.join(folder, "model.keras")) as archive:
        archive.extractall(os.path.join(other, "model"))
    for name in ("case.json", "io.npz"):
        with open(os.path.join(folder, name), "rb") as f:
            content = f.read()
        with open(os.path.join(other, name), "wb") as f:
            f.write(content.replace(b'"model.keras"', b'"model"'))


# ---- Keras 1 ----

def keras1_images():
    for order, shape in (("tf", (8, 7, 2)), ("th", (2, 8, 7))):
        x = i = Input(shape)
        if order == "tf":
            x = L.Convolution2D(3, 3, 2, border_mode="same", subsample=(2, 1), activation="relu", dim_ordering=order)(x)
            x = L.BatchNormalization(axis=-1)(x)
            x = L.AtrousConvolution2D(2, 2, 2, atrous_rate=(2, 2), dim_ordering=order)(x)
        x = L.ZeroPadding2D((1, 2), dim_ordering=order)(x)
        x = L.Cropping2D(((0, 1), (1, 0)), dim_ordering=order)(x)
        x = L.UpSampling2D((2, 1), dim_ordering=order)(x)
        y = L.MaxPooling2D((2, 2), border_mode="same", dim_ordering=order)(x)
        save("images_" + order, Model(i, [y, L.Dense(3)(L.Flatten()(y))]), backend="tensorflow")


def keras1_recurrent():
    i = Input((5, 3))
    outs = []
    for consume in ("cpu", "mem", "gpu"):
        outs += [L.LSTM(2, consume_less=consume)(i), L.GRU(2, consume_less=consume, return_sequences=True)(i),
                 L.SimpleRNN(2, consume_less=consume, go_backwards=True)(i)]
    outs.append(L.Bidirectional(L.LSTM(2), merge_mode="mul")(i))
    outs.append(L.TimeDistributed(L.Dense(2))(L.Masking(0.0)(i)))
    save("recurrent", Model(i, outs), backend="tensorflow")


def keras1_merges():
    a, b = Input((4, 3)), Input((4, 3))
    outs = [L.merge([a, b], mode=m) for m in ("sum", "mul", "ave", "max")]
    outs += [L.merge([a, b], mode="concat", concat_axis=1), L.merge([a, b], mode="dot", dot_axes=(2, 2)),
             L.merge([a, b], mode="cos", dot_axes=(1, 1))]
    save("merges", Model([a, b], outs), backend="tensorflow")
    left, right = Sequential(), Sequential()
    left.add(L.Dense(3, input_dim=2, activation="tanh"))
    right.add(L.Dense(3, input_dim=4))
    both = Sequential()
    both.add(L.Merge([left, right], mode="concat"))
    both.add(L.Highway(activation="relu"))
    both.add(L.MaxoutDense(2, nb_feature=3))
    save("merge_layer", both, backend="tensorflow")


def keras1_movies():
    """Convolutional LSTMs; Theano's kernels are those of true convolutions."""
    for order, shape in (("tf", (3, 4, 5, 2)), ("th", (3, 2, 4, 5))):
        i = Input(shape)
        outs = [L.ConvLSTM2D(2, 3, 2, border_mode="same", return_sequences=True, dim_ordering=order)(i),
                L.ConvLSTM2D(3, 2, 2, inner_activation="sigmoid", go_backwards=True, dim_ordering=order)(i)]
        save("movies_" + order, Model(i, outs))


def yaml():
    """What PyYAML marks: tuples, aliases, NumPy's numbers, words that would be bools."""
    one = MAJOR == 1
    x = i = Input((5, 4, 2))
    x = L.Convolution2D(3, 2, 2, subsample=(2, 2), dim_ordering="tf")(x) if one else L.Conv2D(3, 2, strides=(2, 2))(x)
    x = L.LeakyReLU(0.1)(x) if one else L.ReLU(6.0, 0.1, 0.05)(x)
    x = L.BatchNormalization(name="yes")(x)
    x = L.Dense(2, name="off" if one else "1_0")(L.Flatten()(x))
    save("words", Model(i, x), formats=("yaml",), **({"backend": "tensorflow"} if one else {}))


def divided():
    i = Input((5, 4))
    x = L.GRU(7)(L.Bidirectional(L.LSTM(6, return_sequences=True))(i))
    inner = Sequential([Input((7,)), L.Dense(8), L.BatchNormalization(), L.Dense(9)])
    save("divided", Model(i, inner(x)), formats=("shards",))


def main():
    if THEANO:
        cases = [keras1_movies]
    elif MAJOR == 1:
        cases = [keras1_images, keras1_recurrent, keras1_merges, keras1_movies]
    else:
        cases = [images, even_kernels, sequences, volumes, recurrent, cells, masks, embedded, merges, shapes,
                 activations, normalised, nested, siamese, orders]
        cases += [names] if SUITE != "tfkeras2" else []
        cases += [by_name] if MAJOR == 2 else [dicts, quantised, adapted, mask_ends]
        cases += [pictures] if SUITE in ("tfkeras2", "keras3") else []
        cases += [sounds] if SUITE == "keras3" else []
        cases += [spectral, doubles, texts] if SUITE in ("tfkeras2", "keras3") else [movie_cells]
        cases += [vocabularies] if SUITE == "keras3" else []
    cases += [divided] if SUITE == "keras3" else []
    cases += [skipped] if SUITE in ("keras2", "keras3") else []
    cases += [yaml] if SUITE in ("keras1", "keras2") else []
    for case in cases:
        if sys.argv[2:] and case.__name__ not in sys.argv[2:]:
            continue
        if not THEANO:
            keras.backend.clear_session()
        case()


main()
