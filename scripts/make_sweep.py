"""Draws random small models with real Keras, with inputs and the outputs that Keras gives for them.

    python scripts/make_sweep.py OUT [--tf] [--first SEED] [--count N] [--match LAYER]

writes OUT/SEED for each seed, which `build/cornu scripts/conformance.lua OUT` compares. A seed always draws the same
model. --tf uses tf_keras instead of Keras 3; --match keeps only models with a layer of that class. Models are saved as
.keras, as .h5 or as JSON with .weights.h5, and the outputs are those of the model loaded again from these files. What
Keras refuses to build, to run on a CPU, to save or to load is drawn again.
"""
import argparse
import collections
import json
import os
import random
import shutil
import sys
import warnings

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
import numpy as np
import tensorflow as tf

if "--tf" in sys.argv:
    import tf_keras as keras
else:
    import keras

BIGGEST = 4000      # elements of a tensor
ONEDNN = os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
REFUSED = collections.Counter()


def refuse(e):
    REFUSED["%s: %s" % (type(e).__name__, str(e).split("\n")[0][:90])] += 1


# ---- Arguments: functions of the drawing and of the shape of the layer's input ----

def one(*choices):
    return lambda d, s: d.r.choice(choices)


def some(*choices):
    """A tuple of one choice per spatial dimension, or one choice for all of them."""
    return lambda d, s: (tuple(d.r.choice(choices) for _ in s[2:]) if d.r.random() < 0.5 else d.r.choice(choices))


def span(*choices):
    """A pair for each spatial dimension, or what `some` gives; one dimension takes a single pair."""
    def draw(d, s):
        pairs = tuple((d.r.choice(choices), d.r.choice(choices)) for _ in s[2:])
        return d.r.choice([some(*choices)(d, s), pairs if len(pairs) > 1 else pairs[0]])
    return draw


def number(low, high):
    return lambda d, s: round(d.r.uniform(low, high), 3)


def axes(d, s):
    axis = d.r.choice([a for a in range(-len(s) + 1, len(s)) if a])
    return d.r.choice([axis, axis, [axis], sorted(d.r.sample(range(1, len(s)), d.r.randint(1, len(s) - 1)))])


def axis(d, s):
    return d.r.choice([a for a in range(-len(s) + 1, len(s)) if a])


NAMES = ("relu tanh sigmoid softmax elu selu softplus softsign exponential hard_sigmoid linear gelu swish relu6 silu "
         "leaky_relu mish log_softmax hard_swish celu glu tanh_shrink hard_tanh soft_shrink hard_shrink threshold "
         "squareplus sparse_plus sparsemax log_sigmoid").split()


def activation(d, s):
    if d.r.random() < 0.15:
        return d.make(d.r.choice("LeakyReLU ELU ReLU Softmax".split()), s)
    return d.r.choice([None] + NAMES)


def permutation(d, s):
    dims = list(range(1, len(s)))
    d.r.shuffle(dims)
    return dims


def target(d, s):
    """A shape with as many elements, perhaps with -1 in it."""
    n, dims = int(np.prod(s[1:])), []
    while n > 1 and len(dims) < 3 and d.r.random() < 0.8:
        dims.append(d.r.choice([k for k in range(1, n + 1) if n % k == 0]))
        n //= dims[-1]
    dims.append(n)
    if d.r.random() < 0.5:
        dims[d.r.randrange(len(dims))] = -1
    return tuple(dims)


def equation(d, s):
    return d.r.choice({2: ["ab,bc->ac"], 3: ["abc,cd->abd", "abc,bd->adc", "abc,bcd->ad", "...x,xy->...y"],
                       4: ["abcd,de->abce", "abcd,cde->abe", "...x,xy->...y"]}[len(s)])


def einsum_shape(d, s):
    return tuple([None] * (d.r.randint(1, len(s) - 2)) + [d.r.randint(1, 4)]) if len(s) > 2 else (d.r.randint(1, 4),)


def cell(d, s):
    cells = [d.make(d.r.choice("SimpleRNNCell LSTMCell GRUCell".split()), s) for _ in range(d.r.randint(1, 3))]
    return cells[0] if len(cells) == 1 else d.r.choice([cells, d.K.layers.StackedRNNCells(cells)])


def inner(d, s):
    """A layer for the slices of a sequence."""
    return d.layer((s[0],) + tuple(s[2:]))


def recurrent(d, s):
    return d.make(d.r.choice("SimpleRNN LSTM GRU RNN".split() if len(s) == 3 else ["ConvLSTM%dD" % (len(s) - 3)]), s)


def crashes(args, s):
    """Whether Keras's longer window of an adaptive maximum leaves no position in the last spatial dimension."""
    n = s[-1] if args.get("data_format") == "channels_first" else s[-2]
    wanted = args["output_size"][-1] if isinstance(args["output_size"], tuple) else args["output_size"]
    return ONEDNN and n and -(-n // wanted) + 1 > n


def statistics(low, high):
    return lambda d, s: [round(d.r.uniform(low, high), 3) for _ in range(s[-1])]


flag, size, part = one(True, False), one(1, 2, 3, 4, 6), number(0.05, 0.95)
must = lambda draw: ("must", draw)      # an argument that is always given; others are given half of the time
order = one("channels_last", "channels_last", "channels_first")
pad, side = one("valid", "same"), one("zeros", "ones", "glorot_uniform", "he_normal")

DENSE = dict(activation=activation, use_bias=flag, kernel_initializer=side)
CONV = dict(DENSE, kernel_size=must(some(1, 2, 3)), strides=some(1, 2, 3), padding=pad, dilation_rate=some(1, 2, 3),
            data_format=order)
FILTERS = dict(CONV, filters=must(size), groups=one(1, 1, 2, 3))
DEPTH = dict(CONV, depth_multiplier=one(1, 2, 3))
DEPTH.pop("kernel_initializer")
CONVLSTM = dict(CONV, filters=must(size), recurrent_activation=activation)
UP = dict(FILTERS, output_padding=some(0, 1))
POOL = dict(pool_size=must(some(1, 2, 3)), strides=some(1, 2, 3), padding=pad, data_format=order)
TOTAL = dict(keepdims=flag, data_format=order)
CELL = dict(units=must(size), activation=activation, use_bias=flag, dropout=part)
GATED = dict(CELL, recurrent_activation=activation, implementation=one(1, 2))
GRU, LSTM = dict(GATED, reset_after=flag), dict(GATED, unit_forget_bias=flag)
RUN = dict(return_sequences=flag, return_state=flag, go_backwards=flag, unroll=flag, zero_output_for_mask=flag)
NORM = dict(axis=axes, epsilon=one(1e-3, 1e-2, 0.1), center=flag, scale=flag, momentum=part)
HEADS = dict(use_scale=flag, dropout=part, score_mode=one("dot", "concat"))
SHADE = dict(value_range=one((0, 255), (0, 1), (-1.0, 1.0)))
PLACE = dict(height=must(one(2, 3, 5)), width=must(one(2, 4, 5)), data_format=order, crop_to_aspect_ratio=flag,
             interpolation=one("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5"), antialias=flag,
             pad_to_aspect_ratio=flag)

# The layers: their class, the ranks of input that they take, their arguments.
LAYERS = {name: (ranks, args) for names, ranks, args in [
    ("Dense", "23345", dict(DENSE, units=must(size))),
    ("Activation", "2345", dict(activation=must(activation))),
    ("EinsumDense", "234", dict(DENSE, equation=must(equation), output_shape=must(einsum_shape), bias_axes=one(None, "b", "c"))),
    ("Conv1D", "333", dict(FILTERS, padding=one("valid", "same", "causal"))), ("Conv2D", "444", FILTERS),
    ("Conv3D", "555", FILTERS), ("Conv1DTranspose", "33", UP), ("Conv2DTranspose", "44", UP), ("Conv3DTranspose", "55", UP),
    ("DepthwiseConv1D", "33", DEPTH), ("DepthwiseConv2D", "44", DEPTH),
    ("SeparableConv1D", "33", dict(DEPTH, filters=must(size))), ("SeparableConv2D", "44", dict(DEPTH, filters=must(size))),
    ("LocallyConnected1D", "3", dict(FILTERS, implementation=one(1, 2, 3))),
    ("LocallyConnected2D", "4", dict(FILTERS, implementation=one(1, 2, 3))),
    ("MaxPooling1D AveragePooling1D", "3", POOL), ("MaxPooling2D AveragePooling2D", "44", POOL),
    ("MaxPooling3D AveragePooling3D", "55", POOL), ("GlobalMaxPooling1D GlobalAveragePooling1D", "3", TOTAL),
    ("GlobalMaxPooling2D GlobalAveragePooling2D", "4", TOTAL), ("GlobalMaxPooling3D GlobalAveragePooling3D", "5", TOTAL),
    ("AdaptiveMaxPooling1D AdaptiveAveragePooling1D", "3", dict(output_size=must(some(1, 2, 3)), data_format=order)),
    ("AdaptiveMaxPooling2D AdaptiveAveragePooling2D", "4", dict(output_size=must(some(1, 2, 3)), data_format=order)),
    ("AdaptiveMaxPooling3D AdaptiveAveragePooling3D", "5", dict(output_size=must(some(1, 2, 3)), data_format=order)),
    ("UpSampling1D", "3", dict(size=one(1, 2, 3))), ("UpSampling3D", "5", dict(size=some(1, 2), data_format=order)),
    ("UpSampling2D", "4", dict(size=some(1, 2, 3), data_format=order, interpolation=one("nearest", "bilinear", "bicubic"))),
    ("ZeroPadding1D", "3", dict(padding=span(0, 1, 2), data_format=order)), ("Cropping1D", "3", dict(cropping=span(0, 1))),
    ("ZeroPadding2D", "4", dict(padding=span(0, 1, 2), data_format=order)),
    ("ZeroPadding3D", "5", dict(padding=span(0, 1, 2), data_format=order)),
    ("Cropping2D", "4", dict(cropping=span(0, 1), data_format=order)), ("Cropping3D", "5", dict(cropping=span(0, 1), data_format=order)),
    ("BatchNormalization", "2345", dict(NORM, axis=axis, renorm=flag)),
    ("LayerNormalization", "2345", dict(NORM, rms_scaling=flag)), ("UnitNormalization", "2345", dict(axis=axes)),
    ("GroupNormalization", "345", dict(NORM, axis=axis, groups=must(one(-1, 1, 2, 3)))),
    ("RMSNormalization", "234", dict(axis=axis, epsilon=one(1e-3, 1e-2))),
    ("SpectralNormalization", "2", dict(layer=must(lambda d, s: d.make("Dense", s)), power_iterations=one(1, 2))),
    ("Normalization", "234", dict(axis=one(-1), mean=must(statistics(-1, 1)), variance=must(statistics(0.3, 2)), invert=flag)),
    ("ReLU", "234", dict(max_value=number(0.5, 2), negative_slope=part, threshold=number(-0.5, 0.5))),
    ("LeakyReLU", "2345", dict(negative_slope=part, alpha=part)), ("ELU", "234", dict(alpha=part)),
    ("PReLU", "2345", dict(shared_axes=axes)), ("Softmax", "2345", dict(axis=axes)), ("ThresholdedReLU", "23", dict(theta=part)),
    ("Flatten", "345", dict(data_format=order)), ("Permute", "345", dict(dims=must(permutation))),
    ("Reshape", "2345", dict(target_shape=must(target))), ("RepeatVector", "22", dict(n=must(one(1, 2, 3)))),
    ("Masking", "3", dict(mask_value=one(0.0, 0.0, 0.5))), ("Rescaling", "24", dict(scale=must(number(-2, 2)), offset=number(-1, 1))),
    ("Dropout AlphaDropout GaussianDropout", "23", dict(rate=must(part))), ("SpatialDropout2D", "4", dict(rate=must(part))),
    ("GaussianNoise", "23", dict(stddev=must(part))), ("ActivityRegularization", "2", dict(l2=part)),
    ("Identity", "2", {}), ("Discretization", "23", dict(bin_boundaries=must(one([-1.0, 0.0, 0.5], [0.1])), output_mode=one("int", "one_hot", "multi_hot", "count"))),
    ("Resizing", "44", PLACE), ("CenterCrop", "4", dict(height=must(one(2, 3, 5)), width=must(one(2, 3, 6)), data_format=order)),
    ("RandomFlip", "4", {}), ("RandomRotation", "4", dict(factor=must(part))), ("RandomZoom", "4", dict(height_factor=must(part))),
    ("RandomCrop", "4", dict(height=must(one(2, 3)), width=must(one(2, 3)))), ("RandomContrast", "4", dict(SHADE, factor=must(part))),
    ("SimpleRNN", "3", dict(CELL, **RUN)), ("LSTM", "3", dict(LSTM, **RUN)), ("GRU", "3", dict(GRU, **RUN)),
    ("SimpleRNNCell", "", CELL), ("LSTMCell", "", LSTM), ("GRUCell", "", GRU),
    ("RNN", "33", dict(RUN, cell=must(cell))),
    ("ConvLSTM1D", "4", dict(CONVLSTM, **RUN)),
    ("ConvLSTM2D", "5", dict(CONVLSTM, **RUN)),
    ("Bidirectional", "33345", dict(layer=must(recurrent), merge_mode=one("sum", "mul", "ave", "concat", None))),
    ("TimeDistributed", "3345", dict(layer=must(inner))),
    ("Concatenate", "", dict(axis=axis)), ("Add Average Maximum Minimum Multiply Subtract", "", {}),
    ("Dot", "", dict(axes=must(lambda d, s: d.r.choice([1, -1, len(s) - 1, (1, 1), (1, 2), (2, 1)])), normalize=flag)),
    ("Attention", "", HEADS), ("AdditiveAttention", "", dict(use_scale=flag, dropout=part)),
    ("MultiHeadAttention", "", dict(num_heads=must(one(1, 2, 3)), key_dim=must(size), value_dim=size, use_bias=flag, dropout=part,
                                    output_shape=size, use_gate=flag, sigmoid_gate=flag)),
    ("GroupQueryAttention", "", dict(num_query_heads=must(one(4, 2)), num_key_value_heads=must(one(1, 2)), head_dim=must(size), use_bias=flag)),
    ("Embedding", "", dict(input_dim=must(one(9)), output_dim=must(size), mask_zero=flag)),
    ("CategoryEncoding", "", dict(num_tokens=must(one(9)), output_mode=one("multi_hot", "one_hot", "count"))),
    ("IntegerLookup", "", dict(vocabulary=must(one([1, 3, 4, 8], [5, 2])), output_mode=one("int", "one_hot", "multi_hot", "count"),
                               num_oov_indices=one(0, 1, 2), mask_token=one(None, 0), invert=flag)),
    ("Hashing", "", dict(num_bins=must(one(3, 7)), mask_value=one(0, 1), salt=one(5, [2, 9]), output_mode=one("int", "one_hot", "count"))),
] for name in names.split()}

PAIRS = "Concatenate Concatenate Add Average Maximum Minimum Multiply Subtract Dot Attention AdditiveAttention MultiHeadAttention GroupQueryAttention".split()
TOKENS = "Embedding Embedding Embedding CategoryEncoding IntegerLookup Hashing".split()


# ---- The graph ----

class Tensor:
    """A symbolic tensor with a value, which shows at once whether Keras can run what made it."""
    def __init__(self, symbol, value):
        self.symbol, self.value, self.shape, self.used = symbol, value, tuple(symbol.shape), False


class Drawing:
    def __init__(self, seed):
        self.K, self.r, self.n = keras, random.Random(seed), np.random.RandomState(seed)
        self.batch, self.fixed = self.r.randint(1, 4), self.r.random() < 0.1
        self.classes, self.shared = [], []

    def make(self, name, shape):
        args = {}
        if name.startswith("ConvLSTM"):
            shape = shape[:1] + shape[2:]
        for key, draw in LAYERS[name][1].items():
            if isinstance(draw, tuple):
                args[key] = draw[1](self, shape)
            elif self.r.random() < 0.4:
                args[key] = draw(self, shape)
        if name.startswith("AdaptiveMax") and crashes(args, shape):
            raise ValueError("an empty maximum over the last dimension: oneDNN ends the process")
        return getattr(self.K.layers, name)(**args)

    def layer(self, shape):
        names = [n for n, (ranks, _) in LAYERS.items() if hasattr(self.K.layers, n) for rank in ranks if int(rank) == len(shape)]
        return self.make(self.r.choice(names), shape)

    def apply(self, function, tensors, **options):
        """The outputs of a layer or function, or None where Keras refuses."""
        given = [[t.symbol for t in tensors], [t.value for t in tensors]]
        if len(tensors) == 1:
            given = [g[0] for g in given]
        try:
            results = [function(*g) if options.get("apart") else function(g) for g in given]
            results = [self.K.utils.tree.flatten(y) if hasattr(self.K.utils, "tree") else tf.nest.flatten(y) for y in results]
            if any(np.prod(np.shape(v)) > BIGGEST or 0 in np.shape(v) or not np.all(np.isfinite(v)) for v in results[1]):
                return None
        except Exception as e:
            return refuse(e)
        for t in tensors:
            t.used = True
        return [Tensor(y, v) for y, v in zip(*results)]

    def input(self):
        kind = self.r.choice("tokens tokens 2 3 3 3 4 4 4 5".split())
        rank = self.r.choice([2, 2, 2, 3]) if kind == "tokens" else int(kind)
        shape = [self.r.randint(1, {2: 7, 3: 8, 4: 7, 5: 5}[rank]) for _ in range(rank - 1)]
        value = self.n.randn(self.batch, *shape).astype("float32")
        if kind == "tokens":
            value = self.n.randint(0, 9, value.shape).astype("int32")
        elif rank == 3:
            value[self.n.rand(*value.shape[:2]) < 0.3] = 0      # steps for masks
        batch = self.batch if self.fixed else None
        if rank > 2 and self.r.random() < 0.1:
            shape[0] = None
        symbol = self.K.Input(batch_shape=[batch] + shape, dtype=str(value.dtype))
        return Tensor(symbol, self.K.ops.convert_to_tensor(value) if hasattr(self.K, "ops") else tf.constant(value))

    def operator(self, t, pool):
        c = round(self.r.uniform(-2, 2), 3)
        same = self.r.choice([p for p in pool if p.shape == t.shape and p.value.dtype == t.value.dtype])
        f = self.r.choice([lambda x: x * c, lambda x: c - x, lambda x: x[:, :2], lambda x: x[..., -1:], lambda x: -x,
                           lambda x: x[:, ::-1], lambda x: abs(x), lambda x: x / 3.0, lambda x: x[..., 0], lambda x: x ** 2])
        g = self.r.choice([lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y])
        return self.apply(f, [t]) if self.r.random() < 0.6 else self.apply(g, [t, same], apart=True)

    def step(self, pool, depth):
        """New tensors made from those of the pool, or None."""
        t = pool[-1] if self.r.random() < 0.7 else self.r.choice(pool)
        what = self.r.random()
        if "int" in str(t.value.dtype):
            if np.min(t.value) < 0:
                return None
            return self.apply(self.make(self.r.choice([n for n in TOKENS if hasattr(self.K.layers, n)]), t.shape), [t])
        if what < 0.12 and not self.chain:
            return self.operator(t, pool)
        if what < 0.3 and not self.chain:
            same = [p for p in pool if len(p.shape) == len(t.shape) and p.value.dtype == t.value.dtype]
            parts = [t] + [self.r.choice(same) for _ in range(self.r.choice([1, 1, 1, 2]))]
            name = self.r.choice([n for n in PAIRS if hasattr(self.K.layers, n)])
            apart = name in ("MultiHeadAttention", "GroupQueryAttention")
            return self.apply(self.make(name, t.shape), parts, apart=apart)
        if what < 0.37 and depth < 2 and len(t.shape) > 1:
            return self.apply(self.model([self.again(t)], depth + 1), [t])
        if what < 0.44 and self.shared and not self.chain:
            layer, shape = self.r.choice(self.shared)
            fits = [p for p in pool if p.shape == shape]
            return self.apply(layer, [self.r.choice(fits)]) if fits else None
        if what < 0.5 and len(t.shape) == 3 and not self.chain:
            return self.stateful(t, pool)
        layer = self.layer(t.shape)
        made = self.apply(layer, [t])
        if made:
            self.shared.append((layer, t.shape))
        return made

    def stateful(self, t, pool):
        """A recurrent layer that begins with tensors of the model."""
        flat = [p for p in pool if len(p.shape) == 2 and "float" in str(p.value.dtype)]
        if not flat:
            return None
        name, first = self.r.choice(["SimpleRNN", "GRU", "LSTM"]), self.r.choice(flat)
        states = [first] + ([self.r.choice([p for p in flat if p.shape == first.shape])] if name == "LSTM" else [])
        layer = getattr(self.K.layers, name)(first.shape[-1], return_sequences=self.r.random() < 0.5)
        return self.apply(lambda x, *s: layer(x, initial_state=list(s)), [t] + states, apart=True)

    def again(self, t):
        return Tensor(self.K.Input(batch_shape=t.shape, dtype=t.symbol.dtype), t.value)

    def model(self, inputs, depth):
        self.chain, outer = self.r.random() < (0.35 if len(inputs) == 1 else 0), getattr(self, "chain", False)
        shared, self.shared = self.shared, []
        pool, tries, layers = list(inputs), 0, self.r.randint(1, 3 if depth else 8)
        while layers and tries < 40:
            if self.chain:
                pool = pool[-1:]
            tries += 1
            try:
                made = self.step(pool, depth)
            except Exception as e:
                made = refuse(e)
            if made and not (self.chain and len(made) > 1):
                pool += made
                layers -= 1
        chain, self.chain, self.shared = self.chain, outer, shared
        outputs = [t for t in pool if not t.used] or pool[-1:]
        one = lambda tensors: [t.symbol for t in tensors] if len(tensors) > 1 else tensors[0].symbol
        model = self.K.Model(one(inputs), one(outputs[-1:] if depth else outputs))
        return self.K.Sequential(model.layers) if chain and self.r.random() < 0.8 else model


def randomize(model, n):
    """Weights such that nothing is zero, and no activation far from one."""
    for w in model.weights:
        shape, name = tuple(w.shape), getattr(w, "path", w.name)
        if "float" not in str(w.dtype):
            continue
        if "variance" in name or "stddev" in name:
            w.assign(n.uniform(0.3, 2, shape))
        else:
            w.assign(n.randn(*shape) * (1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.5))


# ---- Files ----

def save(model, folder, how):
    """Saves the model and loads it again; the entries of case.json that name the files."""
    path = lambda name: os.path.join(folder, name)
    if how != "json":
        model.save(path("model." + how))
        return keras.models.load_model(path("model." + how), compile=False), {"model": "model." + how}
    with open(path("model.json"), "w") as f:
        f.write(model.to_json())
    model.save_weights(path("model.weights.h5"))
    again = keras.models.model_from_json(model.to_json())
    again.load_weights(path("model.weights.h5"))
    return again, {"model": "model.json", "weights": "model.weights.h5"}


def run(model, xs):
    y = model(xs if len(xs) > 1 else xs[0], training=False)
    return [np.asarray(v) for v in (y if isinstance(y, (list, tuple)) else [y])]


def draw(seed, out, match):
    """One model of the seed: whether Keras could make it, save it and load it."""
    keras.backend.clear_session()
    d = Drawing(seed)
    inputs = [d.input() for _ in range(d.r.choice([1, 1, 1, 2, 3]))]
    folder = os.path.join(out, "%06d" % seed)
    try:
        model = d.model(inputs, 0)
        randomize(model, d.n)
        if match and match not in model.to_json():
            return False
        os.makedirs(folder, exist_ok=True)
        try:
            model, info = save(model, folder, ("keras", "h5", "json")[seed % 3])
        except Exception as e:      # .h5 and JSON hold no operations
            refuse(e)
            for name in os.listdir(folder):
                os.remove(os.path.join(folder, name))
            model, info = save(model, folder, "keras")
        xs = [np.asarray(t.value) for t in inputs]
        ys = run(model, xs)
        if not all(np.all(np.isfinite(y)) for y in ys):
            raise ValueError("not finite")
    except Exception as e:
        refuse(e)
        shutil.rmtree(folder, ignore_errors=True)
        return False
    names = [["i%d" % i for i in range(len(xs))], ["o%d" % i for i in range(len(ys))]]
    np.savez_compressed(os.path.join(folder, "io.npz"), **dict(zip(names[0] + names[1], xs + ys)))
    info.update(inputs=names[0], outputs=names[1], dtypes=[str(y.dtype) for y in ys], keras=keras.__version__,
                atol=1e-5, rtol=1e-4, tags=sorted({type(l).__name__ for l in model.layers}))
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump(info, f, indent=1, sort_keys=True)
    return True


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--tf", action="store_true")
    ap.add_argument("--first", type=int, default=1)
    ap.add_argument("--count", type=int, default=100)
    ap.add_argument("--match")
    ap.add_argument("--refused", action="store_true", help="tell what Keras refused")
    args = ap.parse_args()
    warnings.simplefilter("ignore")
    made = sum(draw(seed, args.out, args.match) for seed in range(args.first, args.first + args.count))
    for reason, n in REFUSED.most_common(30) if args.refused else []:
        print("%5d %s" % (n, reason))
    print("%d of %d models" % (made, args.count))


if __name__ == "__main__":
    main()
