"""Makes what tests/lua/test_gradients.lua compares: gradients of small Keras 3 models by TensorFlow's GradientTape.

    python scripts/make_gradients.py [CASE…]    default: all

tests/training/gradients.json is {case: {layer, model, training}}; gradients.npz has case/x0 (x1 …), case/r0 (one of
each output: the loss is the sum of outputs times these), case/w/LAYER/N (the layer's weights), case/loss, case/dx0 …
of the inputs that are floats, and case/dw0 … of the trainable weights in the order of model.trainable_weights.
"""
import json
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np
import keras
import tensorflow as tf
from keras import layers as L, ops

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "training", "gradients")
cases = {}


class Case:
    """make() gives (model, inputs or None); layer: what the error is told of."""
    def __init__(self, layer, make, training=False, low=-1.0, high=1.0):
        self.layer, self.make, self.training, self.low, self.high = layer, make, training, low, high


def add(name, layer, make, **how):
    assert name not in cases, name
    cases[name] = Case(layer, make, **how)


def one(layer_class, shape, *variants, dtype="float32", **how):
    """A model of one layer for each variant, which is its arguments."""
    for args in variants or [{}]:
        def make(args=args):
            x = keras.Input(shape, dtype=dtype)
            return keras.Model(x, getattr(L, layer_class)(**args)(x))
        add("%s_%d" % (layer_class, sum(c.layer == layer_class for c in cases.values())), layer_class, make, **how)


def functional(name, layer, *shapes, **how):
    """Decorates f(inputs…) → output or outputs."""
    def decorate(f):
        def make():
            x = [keras.Input(s[0], dtype=s[1]) if isinstance(s[0], tuple) else keras.Input(s) for s in shapes]
            return keras.Model(x if len(x) > 1 else x[0], f(*x))
        add(name, layer, make, **how)
        return f
    return decorate


def v(**args):
    return args


# ---- Core ----

one("Dense", (4,), v(units=3), v(units=3, activation="tanh", use_bias=False), v(units=2, activation="softmax"))
one("Dense", (2, 3, 4), v(units=3, activation="gelu"))
one("EinsumDense", (3, 4), v(equation="abc,cd->abd", output_shape=(None, 5), bias_axes="d", activation="relu"),
    v(equation="abc,bcd->abd", output_shape=(3, 2)))
one("Embedding", (5,), v(input_dim=7, output_dim=3), dtype="int32")
for act in ("relu relu6 elu selu celu sigmoid hard_sigmoid log_sigmoid tanh hard_tanh tanh_shrink softplus "
            "softsign exponential silu hard_silu gelu mish soft_shrink hard_shrink squareplus sparse_plus "
            "sparse_sigmoid softmax log_softmax sparsemax glu linear leaky_relu").split():
    def make(act=act):
        x = keras.Input((6,))
        return keras.Model(x, L.Activation(act)(x))
    add("Activation_" + act, "Activation", make, low=-2.5, high=2.5)
one("PReLU", (3, 4), v(), v(shared_axes=[1]))
one("LeakyReLU", (5,), v(negative_slope=0.2))
one("ELU", (5,), v(alpha=0.7))
one("ReLU", (5,), v(max_value=0.6, negative_slope=0.1, threshold=0.1))
one("Softmax", (3, 4), v(axis=1), v(axis=[1, 2]))

# ---- Convolutions ----

one("Conv1D", (9, 3), v(filters=4, kernel_size=3), v(filters=4, kernel_size=3, strides=2, padding="same"),
    v(filters=2, kernel_size=3, dilation_rate=2, padding="causal", activation="relu"))
one("Conv1D", (9, 4), v(filters=6, kernel_size=3, groups=2))
one("Conv2D", (6, 7, 3), v(filters=4, kernel_size=3), v(filters=4, kernel_size=(3, 2), strides=(2, 1), padding="same"),
    v(filters=2, kernel_size=3, dilation_rate=2, use_bias=False),
    v(filters=3, kernel_size=3, padding="same", activation="tanh"))
one("Conv2D", (6, 6, 4), v(filters=6, kernel_size=3, groups=2, padding="same"), v(filters=4, kernel_size=1, strides=2))
one("Conv2D", (3, 6, 7), v(filters=4, kernel_size=3, data_format="channels_first", padding="same"))
one("Conv3D", (4, 5, 4, 2), v(filters=3, kernel_size=2), v(filters=2, kernel_size=3, strides=2, padding="same"))
one("SeparableConv1D", (9, 3), v(filters=4, kernel_size=3, depth_multiplier=2))
one("SeparableConv2D", (6, 6, 3), v(filters=4, kernel_size=3, padding="same"), v(filters=4, kernel_size=3, strides=2))
one("DepthwiseConv1D", (9, 3), v(kernel_size=3, padding="same"))
one("DepthwiseConv2D", (6, 7, 3), v(kernel_size=3, padding="same"), v(kernel_size=3, strides=2, depth_multiplier=2),
    v(kernel_size=2, dilation_rate=2))
one("Conv1DTranspose", (5, 3), v(filters=4, kernel_size=3, strides=2, padding="same"))
one("Conv2DTranspose", (4, 5, 3), v(filters=4, kernel_size=3, strides=2),
    v(filters=2, kernel_size=3, padding="same", strides=2))
one("Conv3DTranspose", (3, 3, 3, 2), v(filters=2, kernel_size=2, strides=2))

# ---- Pooling ----

for d, shape in ((1, (9, 3)), (2, (6, 7, 3)), (3, (4, 5, 4, 2))):
    for kind in ("Max", "Average"):
        one("%sPooling%dD" % (kind, d), shape, v(pool_size=2), v(pool_size=3, strides=2, padding="same"))
        one("Global%sPooling%dD" % (kind, d), shape, v(keepdims=True))
        one("Adaptive%sPooling%dD" % (kind, d), shape, v(output_size=3))

# ---- Recurrent ----

for rnn in ("SimpleRNN", "LSTM", "GRU"):
    one(rnn, (5, 3), v(units=4), v(units=4, return_sequences=True, go_backwards=True),
        v(units=4, activation="relu", use_bias=False), v(units=4, unroll=True, return_sequences=True))
one("LSTM", (5, 3), v(units=4, recurrent_activation="hard_sigmoid", activation="softsign"),
    v(units=3, activation="softmax"))
one("GRU", (5, 3), v(units=4, reset_after=False),
    v(units=4, reset_after=False, return_sequences=True, recurrent_activation="hard_sigmoid"),
    v(units=3, activation="softmax", reset_after=False))


def masked(rnn, **args):
    def make():
        ids = keras.Input((6,), dtype="int32")
        x = L.Embedding(5, 3, mask_zero=True)(ids)
        data = np.array([[1, 2, 0, 3, 0, 0], [0, 4, 1, 2, 3, 4], [2, 1, 3, 4, 4, 0], [0, 0, 0, 0, 0, 2]], "int32")
        return keras.Model(ids, rnn(**args)(x)), [data]
    return make


for i, args in enumerate((v(), v(return_sequences=True), v(return_sequences=True, zero_output_for_mask=True),
                          v(go_backwards=True))):
    for rnn in (L.SimpleRNN, L.LSTM, L.GRU):
        add("%s_masked_%d" % (rnn.__name__, i), rnn.__name__, masked(rnn, units=4, **args))
add("GRU_masked_before", "GRU", masked(L.GRU, units=4, reset_after=False, return_sequences=True))
for mode in ("concat", "sum", "mul", "ave"):
    add("Bidirectional_" + mode, "Bidirectional",
        masked(lambda mode=mode: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=mode)))
one("Bidirectional", (5, 3), v(layer=L.GRU(3)), v(layer=L.SimpleRNN(3, return_sequences=True), merge_mode="concat"))


def masking():
    x = keras.Input((4, 3))
    data = np.array([[[0.5, -1, 2], [0, 0, 0], [1, 0, 0], [0, 0, 0]],
                     [[0, 0, 0], [1, 2, 3], [-1, 1, 0], [0.3, 0.2, 0.1]]])
    return keras.Model(x, L.GRU(3, return_sequences=True)(L.Masking()(x))), [data.astype("float32")]


add("Masking_0", "Masking", masking)
add("GlobalAveragePooling1D_masked", "GlobalAveragePooling1D", masked(L.GlobalAveragePooling1D))
add("BatchNormalization_masked", "BatchNormalization", masked(L.BatchNormalization), training=True)
add("TimeDistributed_masked", "TimeDistributed", masked(lambda: L.TimeDistributed(L.Dense(2))))
add("LSTM_stateful", "LSTM", lambda: keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), L.LSTM(3, stateful=True)]))


@functional("LSTM_states", "LSTM", (5, 3), (4,), (4,))
def lstm_states(x, h, c):
    return L.LSTM(4, return_sequences=True, return_state=True)(x, initial_state=[h, c])


@functional("GRU_states", "GRU", (5, 3), (4,))
def gru_states(x, h):
    return L.GRU(4, return_state=True)(x, initial_state=h)


@functional("Encoder_decoder", "LSTM", (5, 3), (4, 2))
def encoder_decoder(x, z):
    _, h, c = L.LSTM(4, return_state=True)(x)
    return L.Dense(2)(L.LSTM(4, return_sequences=True)(z, initial_state=[h, c]))


one("RNN", (5, 3), v(cell=[L.LSTMCell(4), L.GRUCell(3)], return_sequences=True), v(cell=L.SimpleRNNCell(4)),
    v(cell=L.GRUCell(4, reset_after=False)))
one("TimeDistributed", (4, 3), v(layer=L.Dense(2, activation="tanh")))
one("TimeDistributed", (3, 5, 5, 2), v(layer=L.Conv2D(2, 3)))
one("ConvLSTM1D", (3, 5, 2), v(filters=2, kernel_size=3, padding="same", return_sequences=True))
one("ConvLSTM2D", (3, 4, 4, 2), v(filters=2, kernel_size=2),
    v(filters=2, kernel_size=3, padding="same", return_sequences=True))
one("ConvLSTM3D", (2, 3, 3, 3, 1), v(filters=1, kernel_size=2))

# ---- Normalisation ----

one("BatchNormalization", (4,), v())
one("BatchNormalization", (4,), v(), training=True)
one("BatchNormalization", (3, 3, 2), v(scale=False), v(axis=1), training=True)
one("LayerNormalization", (3, 4), v(), v(axis=[1, 2]), v(rms_scaling=True), v(center=False, scale=False))
one("GroupNormalization", (3, 3, 4), v(groups=2), v(groups=-1))
one("RMSNormalization", (3, 4), v())
one("UnitNormalization", (3, 4), v(), v(axis=[1, 2]))
one("SpectralNormalization", (4,), v(layer=L.Dense(3)))
one("Normalization", (3,), v(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5]))

# ---- Attention ----


@functional("Attention_0", "Attention", (4, 3), (5, 3))
def attention(q, k):
    return L.Attention(use_scale=True)([q, k])


@functional("Attention_1", "Attention", (4, 3), (4, 3), (4, 3))
def attention_causal(q, k, x):
    return L.Attention(score_mode="concat", use_scale=True)([q, k, x], use_causal_mask=True)


@functional("AdditiveAttention_0", "AdditiveAttention", (4, 3), (5, 3))
def additive(q, k):
    return L.AdditiveAttention()([q, k])


@functional("MultiHeadAttention_0", "MultiHeadAttention", (4, 6), (5, 6))
def heads(q, k):
    return L.MultiHeadAttention(2, 3)(q, k)


@functional("MultiHeadAttention_1", "MultiHeadAttention", (5, 6))
def heads_causal(x):
    return L.MultiHeadAttention(2, 3, value_dim=2)(x, x, use_causal_mask=True)


def heads_masked():
    ids = keras.Input((6,), dtype="int32")
    x = L.Embedding(5, 4, mask_zero=True)(ids)
    data = np.array([[1, 2, 0, 3, 0, 0], [0, 4, 1, 2, 3, 4], [2, 1, 3, 4, 4, 0]], "int32")
    return keras.Model(ids, L.MultiHeadAttention(2, 2)(x, x)), [data]


add("MultiHeadAttention_2", "MultiHeadAttention", heads_masked)


@functional("GroupQueryAttention_0", "GroupQueryAttention", (4, 8))
def groups(x):
    return L.GroupQueryAttention(3, 4, 2)(x, x)


@functional("Transformer", "MultiHeadAttention", (5, 8))
def transformer(x):
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x)]))
    return L.LayerNormalization()(L.Add()([x, L.Dense(8)(L.Dense(12, activation="gelu")(x))]))


# ---- Shapes ----

one("Cropping1D", (7, 2), v(cropping=(1, 2)))
one("Cropping2D", (6, 5, 2), v(cropping=((1, 2), (0, 1))))
one("Cropping3D", (4, 4, 4, 1), v(cropping=1))
one("ZeroPadding1D", (4, 2), v(padding=(1, 2)))
one("ZeroPadding2D", (3, 4, 2), v(padding=((1, 2), (0, 1))))
one("ZeroPadding3D", (2, 2, 2, 1), v(padding=1))
one("UpSampling1D", (4, 2), v(size=3))
one("UpSampling2D", (3, 4, 2), v(size=(2, 3)), v(size=2, interpolation="bilinear"), v(size=2, interpolation="bicubic"))
one("UpSampling3D", (2, 2, 3, 1), v(size=2))
one("Flatten", (2, 3), v())
one("Identity", (3,), v())
one("ReversibleEmbedding", (4,), v(input_dim=5, output_dim=3), dtype="int32")
one("SpatialDropout1D", (4, 2), v(rate=0.4))
one("Reshape", (2, 6), v(target_shape=(3, 4)))
one("Permute", (2, 3, 4), v(dims=(3, 1, 2)))
one("RepeatVector", (3,), v(n=4))
one("Rescaling", (3,), v(scale=2.5, offset=-1.0))
one("Resizing", (5, 6, 2), v(height=3, width=9), v(height=7, width=4, interpolation="nearest"),
    v(height=8, width=8, interpolation="bicubic"))
one("CenterCrop", (6, 6, 2), v(height=3, width=4))
one("GaussianNoise", (3,), v(stddev=0.3))
one("Dropout", (3,), v(rate=0.3))
one("STFTSpectrogram", (40, 1), v(mode="magnitude", frame_length=16, frame_step=8, fft_length=16),
    v(mode="real", frame_length=8, frame_step=4, fft_length=8))
one("MelSpectrogram", (64,), v(fft_length=32, sequence_stride=16, num_mel_bins=4, sampling_rate=100,
                                min_freq=5, max_freq=50))

# ---- Merging ----

for merge in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
    def make(merge=merge):
        x = [keras.Input((3, 2)) for _ in range(2)]
        return keras.Model(x, getattr(L, merge)()(x))
    add(merge + "_0", merge, make)


@functional("Dot_0", "Dot", (3, 2), (4, 2))
def dot(a, b):
    return L.Dot(axes=2, normalize=True)([a, b])


@functional("Nested", "Model", (4,))
def nested(x):
    inner = keras.Sequential([keras.Input((4,)), L.Dense(5, activation="tanh"), L.Dense(4)])
    return inner(inner(x)), L.Dense(2)(x)


def frozen():
    m = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="relu"), L.BatchNormalization(), L.Dense(2)])
    m.layers[0].trainable = False
    return m


add("Frozen", "Model", frozen, training=True)

# ---- Operations ----


def operation(name, f, *shapes, **how):
    functional("op_" + name, "operations", *shapes, **how)(f)


operation("matmul", lambda a, b: ops.matmul(a, b), (3, 4), (4, 2))
operation("einsum", lambda a, b: ops.einsum("bij,bkj->bik", a, b), (3, 4), (2, 4))
operation("sort", lambda x: ops.sort(x, axis=-1), (6,))
operation("top_k", lambda x: ops.top_k(x, 3)[0], (6,))
operation("take_along_axis", lambda x, i: ops.take_along_axis(x, i, axis=1), (5, 2), ((3, 2), "int32"))
operation("cumsum", lambda x: ops.cumsum(x, axis=1), (4, 3))
operation("cumprod", lambda x: ops.cumprod(x, axis=1), (4, 3), low=0.3)
operation("logsumexp", lambda x: ops.logsumexp(x, axis=1), (4, 3))
operation("var", lambda x: ops.var(x, axis=1), (4, 3))
operation("std", lambda x: ops.std(x, axis=1), (4, 3))
operation("prod", lambda x: ops.prod(x, axis=1), (4, 3))
operation("max", lambda x: ops.max(x, axis=1), (4, 3))
operation("norm", lambda x: ops.norm(x, axis=-1), (4, 3))
operation("inv", lambda x: ops.inv(x), (3, 3))
operation("det", lambda x: ops.det(x), (3, 3))
operation("solve", lambda a, b: ops.solve(a, b), (3, 3), (3, 2))
operation("cholesky", lambda x: ops.cholesky(ops.matmul(x, ops.transpose(x, (0, 2, 1))) + np.eye(3, dtype="float32")),
          (3, 3))
operation("qr", lambda x: ops.qr(x), (4, 3))
operation("svd", lambda x: ops.svd(x, full_matrices=False, compute_uv=False), (4, 3))
operation("eigh", lambda x: ops.eigh(ops.matmul(x, ops.transpose(x, (0, 2, 1))))[0], (3, 3))
operation("fft", lambda a, b: ops.fft((a, b)), (6,), (6,))
operation("rfft", lambda x: ops.rfft(x), (8,))
operation("irfft", lambda a, b: ops.irfft((a, b)), (5,), (5,))
operation("erfinv", lambda x: ops.erfinv(x), (4,), low=-0.8, high=0.8)
operation("power", lambda a, b: ops.power(a, b), (4,), (4,), low=0.2, high=2.0)
operation("clip", lambda x: ops.clip(x, -0.4, 0.5), (6,))
operation("where", lambda a, b: ops.where(a > b, a * b, a - b), (4,), (4,))
operation("depth", lambda x: ops.image.extract_patches(x, 2), (4, 4, 2))
operation("rgb_to_hsv", lambda x: ops.image.rgb_to_hsv(x), (3, 3, 3), low=0.1, high=0.9)
operation("resize", lambda x: ops.image.resize(x, (5, 3), antialias=True), (7, 6, 2))
operation("quantile", lambda x: ops.quantile(x, 0.3, axis=1), (6, 2))


# ---- Running ----

def numbers(t, rng, case):
    shape = [d if d else 4 if t.dtype == "int32" and len(t.shape) == 2 else 2 for d in t.shape]
    if t.dtype == "int32":
        return rng.randint(0, 3, shape).astype("int32")
    return rng.uniform(case.low, case.high, shape).astype("float32")


def kept(layer):
    """The weights, those that train first."""
    return [w for w in layer.trainable_weights + layer.non_trainable_weights if "seed" not in w.path]


def run(name):
    case = cases[name]
    keras.backend.clear_session()
    rng = np.random.RandomState(sum(map(ord, name)))
    made = case.make()
    model, x = made if isinstance(made, tuple) else (made, None)
    x = x or [numbers(t, rng, case) for t in model.inputs]
    for w in model.weights:
        if "float" in str(w.dtype):
            near_one = "variance" in w.path or "gamma" in w.path
            w.assign(rng.uniform(0.5, 1.5, w.shape) if near_one else rng.uniform(-0.7, 0.7, w.shape))
    arrays = {"x%d" % i: v for i, v in enumerate(x)}
    arrays.update({"w/%s/%d" % (layer.name, i): w.numpy() for layer in model.layers for i, w in enumerate(kept(layer))})
    given = [tf.constant(v) for v in x]
    with tf.GradientTape() as tape:
        for t in given:
            if t.dtype.is_floating:
                tape.watch(t)
        y = tf.nest.flatten(model(given if len(given) > 1 else given[0], training=case.training))
        weights = [rng.uniform(-1, 1, t.shape).astype("float32") for t in y]
        loss = tf.add_n([tf.reduce_sum(t * r) for t, r in zip(y, weights)])
    of = [t for t in given if t.dtype.is_floating] + [w.value for w in model.trainable_weights]
    grads = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, of)]
    arrays.update({"r%d" % i: r for i, r in enumerate(weights)})
    arrays["loss"] = np.float32(loss)
    floats = [i for i, t in enumerate(given) if t.dtype.is_floating]
    arrays.update({"dx%d" % i: g for i, g in zip(floats, grads)})
    arrays.update({"dw%d" % i: g for i, g in enumerate(grads[len(floats):])})
    return {"layer": case.layer, "model": json.loads(model.to_json()), "training": case.training}, arrays


def main():
    texts, arrays = {}, {}
    if sys.argv[1:]:
        texts, arrays = json.load(open(PATH + ".json")), dict(np.load(PATH + ".npz"))
    for name in sys.argv[1:] or cases:
        try:
            texts[name], made = run(name)
        except (tf.errors.OpError, LookupError, NotImplementedError, ValueError, TypeError) as e:
            print("left out:", name, str(e).strip().split("\n")[0][:150])
            continue
        arrays = {k: a for k, a in arrays.items() if k.split("/")[0] != name}
        arrays.update({name + "/" + k: np.asarray(a) for k, a in made.items()})
    with open(PATH + ".json", "w") as f:
        json.dump({k: texts[k] for k in sorted(texts)}, f, sort_keys=True, separators=(",", ":"))
        f.write("\n")
    np.savez_compressed(PATH + ".npz", **{k: arrays[k] for k in sorted(arrays)})
    print(len(texts), "cases")


if __name__ == "__main__":
    main()
