"""Draws models of keras.ops with real Keras 3, with inputs and the outputs that Keras gives for them.

    python scripts/make_operation_cases.py [OUT] [--family NAME] [--match TEXT] [--each] [--sweep]

OUT: default tests/models/operations, where each family is one folder: one model whose outputs are all its cases, so that
the fixtures stay small. --each gives every case a folder of its own, --sweep adds the cases that are not committed: both
find what differs, as in

    python scripts/make_operation_cases.py /tmp/cases --family linalg --each --sweep
    build/cornu scripts/conformance.lua /tmp/cases

A case is C(operation, *arguments, **options): the operation by its name in keras.ops or a function, with X(…) where a
tensor of the model is. What Keras itself cannot call, save or load again is reported and left out. To add a family, add
a list to FAMILIES (committed) or SWEEPS.
"""
import argparse
import dataclasses
import itertools
import json
import os
import re
import sys
import tempfile
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
from math import inf
import numpy as np
import keras
from keras import ops


# ---- Inputs ----

def normal(rng, shape):
    return rng.randn(*shape)


def unit(rng, shape):
    """In (-1, 1)."""
    return rng.uniform(-0.95, 0.95, shape)


def positive(rng, shape):
    return rng.uniform(0.2, 3, shape)


def whole(rng, shape):
    return rng.randint(-4, 5, shape)


def count(rng, shape):
    """0, 1 or 2: indices, and shifts."""
    return rng.randint(0, 3, shape)


def shade(rng, shape):
    return rng.randint(0, 256, shape)


def special(rng, shape):
    """Numbers with NaN, infinities and zeros of both signs among them."""
    x = rng.randn(*shape).reshape(-1)
    for at, v in zip(range(0, x.size, 3), itertools.cycle([np.nan, 0.0, np.inf, -0.0, -np.inf, 2.5, -1.5])):
        x[at] = v
    return x.reshape(shape)


def definite(rng, shape):
    """Symmetric positive definite matrices."""
    a = rng.randn(*shape)
    return a @ np.swapaxes(a, -1, -2) + 0.5 * np.eye(shape[-1])


def symmetric(rng, shape):
    a = rng.randn(*shape)
    return a + np.swapaxes(a, -1, -2)


@dataclasses.dataclass(frozen=True)
class Tensor:
    shape: tuple
    dtype: str
    make: object
    batch: bool       # the first dimension is unknown when the model is made

    def input(self):
        if self.batch:
            return keras.Input(self.shape[1:], dtype=self.dtype)
        return keras.Input(batch_shape=self.shape, dtype=self.dtype)

    def value(self, rng):
        x = np.asarray(self.make(rng, self.shape))
        return x > 0 if self.dtype == "bool" else x.astype(self.dtype)


def X(*shape, dtype="float32", make=None, value=None):
    """A tensor of the model; a shape that begins with None has the batch dimension 2. value: these very numbers."""
    batch = bool(shape) and shape[0] is None
    if value is not None:
        value = np.asarray(value)
        batch, shape = batch, value.shape
        numbers = value.tolist()
        make = Fixed(json.dumps(numbers))
    if make is None:
        make = whole if dtype != "bool" and "float" not in dtype else normal
    return Tensor((2,) + tuple(shape[1:]) if batch and value is None else tuple(shape), dtype, make, batch)


@dataclasses.dataclass(frozen=True)
class Fixed:
    text: str

    def __call__(self, rng, shape):
        return np.asarray(json.loads(self.text)).reshape(shape)


# ---- Cases ----

@dataclasses.dataclass
class Case:
    operation: object
    arguments: tuple
    options: dict
    label: str = ""
    rtol: float = 1e-4


def text_of(v):
    if isinstance(v, Tensor):
        dims = ["b" if v.batch and i == 0 else str(d) for i, d in enumerate(v.shape)]
        return "%s(%s)" % ("" if v.dtype == "float32" else v.dtype, ",".join(dims))
    if isinstance(v, (list, tuple)):
        return "[%s]" % ",".join(map(text_of, v))
    if isinstance(v, np.ndarray):
        return "array" + text_of(v.shape)
    return str(v)


def C(operation, *arguments, label=None, **options):
    name = operation if isinstance(operation, str) else label or operation.__name__
    text = " ".join([name] + [text_of(a) for a in arguments] + ["%s=%s" % (k, text_of(v)) for k, v in options.items()])
    return Case(operation, arguments, options, text)


def product(operation, *arguments, **choices):
    """A case for each combination of the options' values."""
    keys = list(choices)
    return [C(operation, *arguments, **dict(zip(keys, values))) for values in itertools.product(*choices.values())]


def swap(v, given):
    """Arguments with the model's inputs in place of tensors."""
    if isinstance(v, Tensor):
        return given(v)
    if isinstance(v, (list, tuple)):
        return type(v)(swap(part, given) for part in v)
    return v


def call(case, pool):
    """Calls the operation on inputs from the pool, which equal tensors of different cases share."""
    seen = {}

    def given(tensor):
        seen[tensor] = seen.get(tensor, 0) + 1
        key = (tensor, seen[tensor])
        if key not in pool:
            pool[key] = tensor.input()
        return pool[key]

    arguments = swap(case.arguments, given)
    options = {k: swap(v, given) for k, v in case.options.items()}
    function = getattr(ops, case.operation) if isinstance(case.operation, str) else case.operation
    y = function(*arguments, **options)
    return [leaf for leaf in keras.tree.flatten(y)]


def values_of(pool):
    rng = np.random.RandomState(len(pool))
    return [tensor.value(rng) for tensor, _ in pool]


def run(model, values):
    """Outputs of the model as arrays with their dtypes; what NumPy cannot store is kept as float32."""
    y = keras.tree.flatten(model(values))
    dtypes = [keras.backend.standardize_dtype(v.dtype) for v in y]
    return [ops.convert_to_numpy(ops.cast(v, "float32") if d == "bfloat16" else v) for v, d in zip(y, dtypes)], dtypes


def pack(path):
    """Compresses a .keras file, which Keras only stores."""
    with zipfile.ZipFile(path) as f:
        parts = {name: f.read(name) for name in f.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as f:
        for name in sorted(parts):
            f.writestr(zipfile.ZipInfo(name), parts[name], zipfile.ZIP_DEFLATED)


def write(folder, cases):
    """Makes, saves, loads again and runs one model; an exception tells what Keras refused."""
    pool, outputs, labels = {}, [], []
    for case in cases:
        y = call(case, pool)
        outputs += y
        labels += [case.label] if len(y) == 1 else ["%s #%d" % (case.label, i + 1) for i in range(len(y))]
    model = keras.Model(list(pool.values()), outputs)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.keras")
    try:
        model.save(path)
        pack(path)
        again = keras.saving.load_model(path)
        values = values_of(pool)
        ys, dtypes = run(again, values)
    except Exception:
        if os.path.exists(path):
            os.remove(path)
        os.rmdir(folder)
        raise
    names = ["i%d" % i for i in range(len(values))], ["o%d" % i for i in range(len(ys))]
    half = any(d in ("float16", "bfloat16") for d in dtypes)
    # "call": the inputs have no common batch dimension, so that the model is called as it is
    info = {"model": "model.keras", "inputs": names[0], "outputs": names[1], "labels": labels, "dtypes": dtypes,
            "call": True, "atol": 2e-3 if half else 1e-5, "rtol": 2e-3 if half else max(c.rtol for c in cases),
            "keras": keras.__version__}
    np.savez_compressed(os.path.join(folder, "io.npz"), **dict(zip(names[0] + names[1], values + ys)))
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump(info, f, indent=0 if len(cases) > 1 else 1, sort_keys=True)


def possible(case, folder):
    """Whether Keras can call, save and load it; tells when not."""
    try:
        keras.backend.clear_session()
        write(folder, [case])
        return True
    except Exception as e:
        print("refused by Keras: %s: %s" % (case.label, str(e).strip().split("\n")[0][:150]), flush=True)
        return False


# ---- Families ----

def linalg():
    a, b, wide, tall = X(None, 3, 3), X(None, 3), X(None, 2, 4), X(None, 4, 2)
    good, even, plain = X(None, 3, 3, make=definite), X(None, 4, 4, make=symmetric), X(5, 3)
    return (product("cholesky", good, upper=[False, True]) + product("cholesky_inverse", a, upper=[False, True])
            + [C("det", a), C("slogdet", a), C("inv", a), C("solve", a, b), C("solve", a, X(None, 3, 2)), C("lu_factor", X(4, 4))]
            + product("solve_triangular", a, b, lower=[False, True])
            + [C("qr", x, mode=mode) for x in (a, wide, tall) for mode in ("reduced", "complete")]
            + [C("svd", x, full_matrices=f) for x in (a, wide, tall) for f in (False, True)]
            + [C("svd", wide, compute_uv=False), C("eigh", even), C("pinv", tall), C("pinv", wide, rcond=0.5)]
            + [C("lstsq", plain, X(5)), C("lstsq", plain, X(5, 2), rcond=0.6), C("matrix_rank", tall)]
            + [C("norm", b, ord=o, axis=-1, keepdims=o == 2) for o in (None, 0, 1, 2, 3, -1, -2, inf, -inf, 0.5)]
            + [C("norm", wide, ord=o, axis=[2, 1], keepdims=o in (2, 1))
               for o in (None, "fro", "nuc", 1, -1, 2, -2, inf, -inf)])


def linalg_sweep():
    cases = []
    for dtype in ("float64", "float16", "bfloat16", "int32", "bool", "int64"):
        x, good = X(None, 3, 3, dtype=dtype), X(None, 3, 3, dtype=dtype, make=definite)
        cases += [C(op, good) for op in ("cholesky", "cholesky_inverse", "det", "inv", "qr", "svd", "eigh", "pinv",
                                         "matrix_rank", "logdet", "eig", "lu_factor")]
        cases += [C("solve", x, x), C("solve_triangular", x, x), C("norm", x, axis=1), C("norm", x, axis=[1, 2])]
        cases += [C("norm", x, axis=[1, 2], ord="nuc"), C("norm", x, axis=1, ord=3), C("norm", x, axis=-1, ord=0)]
        cases += [C("lu_factor", X(4, 4, dtype=dtype)), C("lstsq", X(4, 3, dtype=dtype), X(4, dtype=dtype))]
    for n in (1, 2, 3, 5, 8, 15, 16, 17, 24, 40):
        x, even = X(3, n, n), X(3, n, n, make=symmetric)
        cases += [C("qr", x), C("eigh", even), C("svd", x), C("det", x), C("inv", x), C("solve", x, X(3, n)),
                  C("lu_factor", X(n, n)), C("cholesky", X(3, n, n, make=definite)), C("matrix_rank", x)]
        cases += [C(op, X(3, *shape), **o) for shape in ((n, 2), (2, n), (n + 3, n), (n, n + 9))
                  for op, o in (("qr", {}), ("qr", {"mode": "complete"}), ("svd", {}), ("svd", {"full_matrices": False}),
                                ("svd", {"compute_uv": False}), ("pinv", {}), ("matrix_rank", {}))]
    for ord, axis, keepdims, shape in itertools.product(
            (None, 0, 1, 2, -2, -1, 0.5, 3, 2.5, inf, -inf, "fro", "nuc"),
            (None, 0, 1, 2, -1, [0], [0, 1], [1, 0], [-1, 0], [2, 1], [0, 2]), (False, True), ((3,), (4, 3), (2, 3, 4))):
        rank = len(shape)
        if axis is None or all(a < rank for a in np.ravel(axis)):
            cases.append(C("norm", X(*shape), ord=ord, axis=axis, keepdims=keepdims))
    cases += [C("slogdet", X(2, 0, 0)), C("slogdet", X(value=np.ones((2, 2)))), C("slogdet", X(2, 2, 5, 5, dtype="float64")),
              C("svd", X(0, 3, 3)), C("qr", X(0, 3, 2)), C("det", X(0, 3, 3)), C("inv", X(2, 0, 0)), C("det", X(2, 0, 0)),
              C("solve", X(2, 3, 3), X(1, 3, 3)), C("solve", X(3, 3), X(2, 3)), C("solve_triangular", X(2, 3, 3), X(1, 3, 2)),
              C("solve_triangular", X(3, 3), X(2, 3, 2)), C("solve", X(2, 2, 3, 3), X(2, 2, 3)),
              C("lstsq", X(3, 5), X(3)), C("lstsq", X(3, 5), X(3, 2), rcond=-1.0), C("matrix_rank", X(2, 4, 3), tol=1.5),
              C("pinv", X(2, 2, 4, 3), rcond=1e-3), C("det", X(None, None, 3, 3)),
              C("svd", X(2, 3, 3, value=np.ones((2, 3, 3)))), C("eigh", X(3, 3, value=np.eye(3))),
              C("matrix_rank", X(value=np.arange(12.0).reshape(3, 4))), C("pinv", X(value=np.ones((3, 4)))),
              C("cholesky", X(None, 4, 4)), C("logdet", X(None, 4, 4, make=definite)), C("inv", X(value=np.ones((2, 2)))),
              C("svd", X(2, 3, 3, value=np.zeros((2, 3, 3)))), C("jvp", ops.sin, [X(3)], [X(3)]), C("eig", X(3, 3))]
    return cases


def kernel(*shape):
    """A constant of a model: an array, as Keras writes it into the config."""
    return np.random.RandomState(len(shape)).randn(*shape).astype("float32")


def distribution(rng, shape):
    p = rng.uniform(0.05, 1, shape)
    return p / p.sum(-1, keepdims=True)


def nn():
    x, image, first = X(None, 4, 6), X(None, 6, 5, 4), X(None, 4, 6, 5)
    cases = [C(name, x) for name in
             ("relu relu6 sigmoid sparse_sigmoid softplus softsign soft_shrink sparse_plus silu squareplus log_sigmoid "
              "leaky_relu hard_sigmoid hard_silu elu selu gelu celu glu tanh_shrink hard_tanh hard_shrink").split()]
    cases += [C("threshold", x, 0.1, -3.0), C("gelu", x, approximate=False), C("glu", x, axis=1), C("elu", x, alpha=0.3),
              C("celu", x, alpha=0.3), C("leaky_relu", x, negative_slope=0.5), C("squareplus", x, b=2),
              C("soft_shrink", x, threshold=0.2), C("hard_shrink", x, threshold=1.0), C("relu", X(None, 3, dtype="int32"))]
    cases += product("softmax", x, axis=[-1, 1, None]) + product("log_softmax", x, axis=[-1, None]) + [C("sparsemax", x)]
    for name in ("max_pool", "average_pool"):
        cases += product(name, image, pool_size=[2, (3, 2)], strides=[None, 2], padding=["valid", "same"])
        cases += [C(name, first, 2, padding="same", data_format="channels_first"), C(name, X(None, 7, 2), 3, 2)]
    cases += product("conv", image, kernel(3, 2, 4, 3), strides=[1, 2], padding=["valid", "same"])
    cases += [C("conv", image, kernel(3, 2, 4, 3), dilation_rate=2), C("conv", X(None, 7, 2), kernel(3, 2, 4)),
              C("conv", first, kernel(2, 2, 4, 3), data_format="channels_first"),
              C("depthwise_conv", image, kernel(3, 2, 4, 2), 2, "same"),
              C("separable_conv", image, kernel(2, 3, 4, 2), kernel(1, 1, 8, 3), padding="same"),
              C("batch_normalization", x, kernel(6), kernel(6) ** 2, -1, scale=kernel(6)),
              C("batch_normalization", x, kernel(4), kernel(4) ** 2, 1, offset=kernel(4), scale=kernel(4), epsilon=0.1),
              C("layer_normalization", x, kernel(6), kernel(6)), C("layer_normalization", x, kernel(4), axis=1),
              C("layer_normalization", x, axis=[1, 2], epsilon=0.1), C("rms_normalization", x, kernel(6)),
              C("rms_normalization", x, axis=[1, 2]), C("moments", x, [1]), C("moments", x, [0, 2], keepdims=True)]
    cases += product("normalize", x, axis=[-1, 1], order=[1, 2, 3]) + [C("normalize", x, axis=[1, 2], order=1)]
    p, ids = X(3, 5, make=distribution), X(3, value=[1, 4, 0], dtype="int32")
    cases += [C(op, p, y, from_logits=f) for op in ("categorical_crossentropy", "binary_crossentropy")
              for y, f in ((p, False), (X(3, 5), True))]
    cases += [C("sparse_categorical_crossentropy", ids, y, from_logits=f) for y, f in ((p, False), (X(3, 5), True))]
    cases += [C("psnr", X(3, 5), p, 2.0), C("one_hot", ids, 5), C("one_hot", ids, 4, axis=0, dtype="bool"),
              C("multi_hot", X(2, 3, make=count, dtype="int32"), 4), C("depth_to_space", image, 2),
              C("space_to_depth", X(None, 4, 6, 2), 2), C("unfold", first, (3, 2), 1, 1, 2),
              C("fold", X(None, 12, 12), (7, 5), (3, 2), 1, 1, 2)]
    frames, lengths = X(2, 7, 4), X(2, value=[7, 5], dtype="int32")
    labels = X(2, 3, value=[[1, 2, 2], [3, 1, 0]], dtype="int32"), X(2, value=[3, 2], dtype="int32")
    cases += [C("ctc_loss", labels[0], frames, labels[1], lengths), C("ctc_decode", frames, lengths),
              C("ctc_decode", frames, lengths, mask_index=3, merge_repeated=False),
              C("ctc_decode", frames, lengths, strategy="beam_search", beam_width=5, top_paths=2)]
    query, key, mask = X(2, 3, 4, 2), X(2, 5, 2, 2), X(2, 4, 3, 5, dtype="bool")
    return cases + [C("dot_product_attention", query, key, key, bias=kernel(3, 5), scale=0.3),
                    C("dot_product_attention", query, key, key, mask=mask, is_causal=True)]


def image():
    a, first, gray = X(None, 6, 7, 3, make=unit), X(None, 3, 6, 7, make=unit), X(None, 6, 7, 3, dtype="uint8", make=shade)
    op = keras.ops.image
    cases = [C(f, x) for f in (op.rgb_to_grayscale, op.rgb_to_hsv, op.hsv_to_rgb)
             for x in (a, X(2, 5, 3, make=positive))] + [C(op.rgb_to_grayscale, gray)]
    for method in "bilinear nearest lanczos3 lanczos5 bicubic area".split():
        cases += [C(op.resize, a, (4, 9), interpolation=method, antialias=b) for b in (False, True)]
    cases += [C(op.resize, gray, (3, 10), interpolation="nearest"), C(op.resize, a, (8, 4), crop_to_aspect_ratio=True),
              C(op.resize, first, (4, 9), pad_to_aspect_ratio=True, fill_value=0.5, data_format="channels_first")]
    matrix = np.array([[1, 0.2, -1, 0.1, 0.9, 0.5, 0.001, -0.002], [0.8, 0, 9, 0.2, 1.3, -11, 0, 0]], "float32")
    cases += [C(op.affine_transform, a, matrix, interpolation=i, fill_mode=m, fill_value=0.3)
              for i in ("bilinear", "nearest") for m in ("constant", "nearest", "wrap", "reflect")]
    corners = [[0, 0], [0, 6], [5, 0], [5, 6]]
    points = X(2, 4, 2, value=[corners, [[1, 0], [0, 5], [5, 1], [6, 6]]])
    cases += [C(op.perspective_transform, a, points, X(2, 4, 2, value=[[[1, 1], [0, 5], [4, 1], [5, 6]], corners]))]
    places = X(3, 4, make=positive)
    cases += [C(op.map_coordinates, X(4, 3, 2), places, order=o, fill_mode=m, fill_value=0.7)
              for o in (0, 1) for m in ("constant", "nearest", "wrap", "reflect")]
    cases += [C(op.extract_patches, a, (2, 3), strides=2, padding=p) for p in ("valid", "same")]
    cases += [C(op.extract_patches, first, 2, strides=1, dilation_rate=2, data_format="channels_first"),
              C(op.extract_patches, X(None, 4, 5, 3, 2), (2, 3, 1)),
              C(op.pad_images, gray, 1, 2, target_height=9, target_width=12), C(op.pad_images, a, 1, 0, 2, 1),
              C(op.crop_images, gray, 1, 2, target_height=3, target_width=4), C(op.crop_images, a, 1, 0, 2, 1),
              C(op.gaussian_blur, a, (3, 5), (2.0, 0.7)), C(op.sobel_edges, a),
              C(op.ssim, a, X(None, 6, 7, 3, make=positive), 2.0, 5, 0.8)]
    scale, move = np.array([1.6, 0.6], "float32"), np.array([0.3, -0.6], "float32")
    return cases + [C(op.scale_and_translate, X(2, 6, 7, 3), (2, 9, 5, 3), scale, move, (1, 2), m, b)
                    for m in ("linear", "cubic", "lanczos3", "lanczos5") for b in (False, True)]


def einops():
    return [C("rearrange", X(2, 3, 4, 5), "b h w c -> b c (w h)"), C("rearrange", X(2, 3, 5), "b t c -> c b t"),
            C("rearrange", X(2, 4, 6, 3), "b (h p) (w q) c -> b (h w) (p q c)", p=2, q=3)]


def math():
    x, i, pair = X(None, 3, 4), X(5, dtype="int32", make=count), [X(None, 6), X(None, 6)]
    cases = product("logsumexp", x, axis=[None, 1, -1], keepdims=[False, True])
    cases += [C(name, X(None, 5, make=positive)) for name in ("rsqrt", "erf", "erfc")] + [C("erfinv", X(None, 5, make=unit))]
    for op in ("segment_sum", "segment_max", "segment_min", "segment_prod"):
        cases += [C(op, X(5, 2), i, num_segments=4), C(op, X(5, 2), np.array([0, 0, 3, 3, 3]), sorted=True)]
    cases += [C("in_top_k", X(4, dtype="int32", make=count), X(4, 3), k) for k in (1, 2)]
    cases += [C("top_k", x, 2), C("cdist", x, X(None, 2, 4)), C("logdet", X(None, 3, 3, make=definite))]
    cases += [C("extract_sequences", X(None, 10), 4, 3), C("fft", pair), C("fft2", [X(None, 3, 4), X(None, 3, 4)])]
    cases += [C("ifft2", [X(None, 3, 4), X(None, 3, 4)]), C("rfft", X(None, 7)), C("rfft", X(None, 7), fft_length=10)]
    cases += [C("irfft", pair), C("irfft", pair, fft_length=7), C("stft", X(None, 16), 4, 2, 6)]
    cases += [C("stft", X(None, 16), 5, 2, 5, window="hamming", center=False), C("istft", [X(None, 5, 4), X(None, 5, 4)], 6, 2, 6)]
    return cases + [C("istft", [X(None, 5, 4), X(None, 5, 4)], 4, 3, 6, window=None, center=False, length=9)]


def math_sweep():
    cases = []
    for dtype in ("float16", "bfloat16", "float64", "int32", "int64", "uint8", "bool", "int8"):
        x, i = X(None, 5, dtype=dtype), X(6, dtype="int32", make=count)
        cases += [C(op, X(None, 5, dtype=dtype, make=positive)) for op in ("rsqrt", "erf", "erfc", "logsumexp")]
        cases += [C("erfinv", X(None, 5, dtype=dtype, make=unit)), C("top_k", x, 3), C("in_top_k", X(2, dtype="int64", make=count), X(2, 5, dtype=dtype), 2)]
        cases += [C(op, X(6, 2, dtype=dtype), i, num_segments=5) for op in ("segment_sum", "segment_max", "segment_min", "segment_prod")]
        cases += [C(op, X(6, 2, dtype=dtype), [0, 0, 2, 2, 2, 4], sorted=True) for op in ("segment_sum", "segment_max", "segment_min", "segment_prod")]
        cases += [C("cdist", X(3, 2, dtype=dtype), X(4, 2, dtype=dtype)), C("cdist", X(3, 2, dtype=dtype), X(4, 2)), C("extract_sequences", x, 2, 2)]
        cases += [C("fft", [x, x]), C("rfft", x), C("irfft", [x, x]), C("fft2", [X(3, 4, dtype=dtype)] * 2), C("ifft2", [X(3, 4, dtype=dtype)] * 2)]
        cases += [C("stft", x, 2, 1, 4), C("istft", [X(3, 3, dtype=dtype)] * 2, 2, 1, 4), C("logdet", X(3, 3, dtype=dtype, make=definite))]
        cases += [C("view_as_complex", X(None, 2, dtype=dtype)), C("view_as_real", x)]
    for n in (2, 3, 5, 8, 11):
        for length in (None, 1, 5, 8, 13):
            cases += [C("rfft", X(None, n), fft_length=length), C("irfft", [X(None, n), X(None, n)], fft_length=length)]
        cases += [C("fft", [X(None, n), X(None, n)]), C("fft2", [X(2, n, 3)] * 2), C("ifft2", [X(2, 5, n)] * 2)]
    for length, stride, size, window, center in itertools.product((1, 4, 5), (1, 3, 7), (4, 5, 8), ("hann", "hamming", None), (True, False)):
        if length <= size:
            cases += [C("stft", X(None, 17), length, stride, size, window=window, center=center),
                      C("istft", [X(None, 6, size // 2 + 1)] * 2, length, stride, size, window=window, center=center)]
    cases += [C("istft", [X(None, 6, 5)] * 2, 8, 3, 8, length=k, center=c) for k in (1, 5, 12, 23, 40) for c in (True, False)]
    cases += [C("stft", X(None, 2, 17), 4, 2, 6, window=[0.5, 1.0, 2.0, 0.25]), C("istft", [X(None, 3, 6, 4)] * 2, 4, 2, 6, window=[0.5, 1.0, 2.0, 0.25])]
    cases += [C("istft", [X(None, 6, 7)] * 2, 8, 3, 8), C("stft", X(None, 3), 4, 2, 8), C("stft", X(20), 4, 2, 8), C("stft", X(None, 17, dtype="float64"), 4, 2, 8, window=[1.0, 2.0, 3.0, 4.0])]
    cases += [C("extract_sequences", X(None, 2, 11), n, k) for n in (1, 3, 11, 12) for k in (1, 2, 5, 20)] + [C("extract_sequences", X(7), 3, 2)]
    for op in ("segment_sum", "segment_max", "segment_min", "segment_prod"):
        cases += [C(op, X(6, 2), [0, 2, 2, 5, 0, 1]), C(op, X(6), np.array([3, 3, 3, 1, 1, 3])), C(op, X(6, 2, 2), [0, 0, 1, 1, 4, 4], sorted=True),
                  C(op, X(6, 2), [-1, 0, 1, -1, 1, 2], num_segments=3), C(op, X(6), X(6, dtype="int64", make=count), num_segments=3),
                  C(op, X(6), X(6, dtype="int32", make=count)), C(op, X(6), X(6, dtype="int32", make=count), sorted=True),
                  C(op, X(None, 3), X(None, dtype="int32", make=count), num_segments=3), C(op, X(0, 3), X(0, dtype="int32"), num_segments=2),
                  C(op, X(6, 2), [0, 1, 1, 0, 2, 2], num_segments=2), C(op, X(2), [0, 1], num_segments=3, sorted=True)]
    cases += [C("top_k", x, k, sorted=s) for x in (X(None, 9), X(4), X(2, 3, 5)) for k in (1, 3, 4) for s in (True, False)]
    cases += [C("top_k", X(value=[[1.0, 3, 3, 2, 3, 1]]), 4), C("top_k", X(2, 9, make=special), 5), C("top_k", X(3), 0)]
    cases += [C("in_top_k", X(value=[0, 1, 2, 3, -1], dtype=d), X(5, 3, value=[[1, 1, 0], [0, inf, 1], [2, 1, 0], [1, 2, 3], [1, 2, 3]]), k)
              for k in (0, 1, 2, 3, 5) for d in ("int32", "int64")]
    cases += [C("cdist", X(None, 3, 4), X(1, 2, 4)), C("cdist", X(2, 1, 3, 4), X(5, 2, 4)), C("cdist", X(3, 4), X(2, 4))]
    cases += [C("logsumexp", X(2, 3, 4), axis=a, keepdims=k) for a in (0, [0, 1], [-1, 0], -2, [1]) for k in (True, False)]
    cases += [C("logsumexp", X(2, 6, make=special), axis=1), C("logsumexp", X(2, 0), axis=1), C("logsumexp", X(value=[[-inf, -inf], [1e4, 1e4]]), axis=1)]
    cases += [C(op, X(3, 7, make=special)) for op in ("rsqrt", "erf", "erfc", "erfinv")] + [C("logdet", X(2, 2, 3, 3, make=definite))]
    cases += [C("fft", [X(None, 2, 6), X(None, 2, 6)]), C("fft", [X(5), X(5)]), C("fft", [X(0, 4), X(0, 4)])]
    return cases


def core():
    x, cube, i = X(None, 3, 4), X(4, 3, 2), X(3, dtype="int32", make=count)
    big = X(None, 5, value=[[-1e10, -1.5, 0.7, 300.2, 1e10], [-inf, 70000, -70000, 2.5, inf]])
    cases = [C("cast", x, dtype) for dtype in ("float64", "int32", "bool", "float16")] + [C("stop_gradient", x)]
    cases += [C("saturate_cast", big, dtype) for dtype in ("uint8", "int16", "float16", "bool")]
    cases += [C("saturate_cast", X(None, 2, dtype="int32", value=[[-5, 300], [70000, 7]]), "int8")]
    cases += [C("convert_to_tensor", x), C("convert_to_tensor", x, dtype="int32"), C("unstack", cube, axis=1)]
    cases += [C("unstack", cube, num=2, axis=-1)]
    cases += [C("scatter", [[0], [2], [0]], X(3, 4), [5, 4]), C("scatter", X(4, 2, dtype="int32", make=count), X(4), (3, 3))]
    cases += [C("scatter_update", X(3, 4), X(5, 2, dtype="int32", make=count), X(5), reduction=r)
              for r in (None, "add", "max", "min", "mul")]
    cases += [C("scatter_update", cube, [[1], [3]], X(2, 3, 2)), C("scatter_update", X(3, 4), [[0, 1], [1, 1]], [1, 2])]
    return cases + [C("slice", cube, [1, 0, 1], [2, -1, 1]), C("slice", cube, i, [2, 1, 0]), C("slice", cube, np.array([1, 1, 0]), [1, 2, 2]),
                    C("slice_update", cube, [1, 2, 0], X(2, 1, 2)), C("slice_update", cube, i, X(3, 2, 2)),
                    C("slice", cube, [1, X(dtype="int32", make=count), 0], [2, 1, 2])]


def core_sweep():
    dtypes = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
              "uint64", "bool")
    numbers = [-1e20, -3e9, -70000.0, -200.5, -1.5, -0.5, 0.0, 0.5, 1.5, 130.0, 254.9, 40000.0, 70000.0, 3e9, 5e9, 1e20]
    cases = [C(op, X(16, dtype=a, value=np.clip(numbers, 0 if a[0] == "u" else -100, 127) if "int" in a else numbers), b)
             for op in ("cast", "saturate_cast") for a in dtypes for b in dtypes]
    cases += [C("saturate_cast", X(4, dtype="int64", value=[-2**40, 2**40, 2**33, 7]), b) for b in dtypes]
    for dtype in dtypes:
        x, i = X(3, 4, dtype=dtype), X(5, 2, dtype="int32", make=count)
        cases += [C("scatter_update", x, i, X(5, dtype=dtype), reduction=r) for r in (None, "add", "max", "min", "mul")]
        cases += [C("scatter", i, X(5, dtype=dtype), (4, 4)), C("slice_update", x, [1, 1], X(2, 2, dtype=dtype)),
                  C("slice", x, [0, 1], [-1, 2]), C("unstack", x), C("convert_to_tensor", x, dtype="float32")]
    x, cube = X(None, 3, 4), X(4, 3, 2)
    cases += [C("unstack", x, axis=a) for a in (1, 2, -1, -2, 0)] + [C("unstack", x, num=2), C("unstack", X(0, 3))]
    cases += [C("unstack", X(3, 0), axis=1), C("unstack", X(3, 70), axis=1), C("convert_to_tensor", x, dtype="bool")]
    cases += [C("convert_to_tensor", x, sparse=False, ragged=False)]
    for begin in ([1, 2, 0], [5, 0, 0], [-1, 0, 1], [0, 0, 0], [3, 2, 1], np.array([1, 1, 1], "int64"), (2, 1, 0)):
        cases += [C("slice_update", cube, begin, X(2, 2, 1)), C("slice", cube, begin, [1, 1, 1]), C("slice", cube, begin, [2, -1, 0])]
    i64 = X(3, dtype="int64", make=count)
    cases += [C("slice_update", cube, i64, X(4, 3, 2)), C("slice", cube, i64, [2, 1, 0]), C("slice", cube, i64, [-1, 1, 0]),
              C("slice_update", x, [0, 1, 1], X(2, 2, 2)), C("slice", x, [0, 1, 1], [2, 2, 2]), C("slice", x, [1, 1, 1], [-1, 2, 2]),
              C("slice_update", cube, [0, 0, 0], np.ones((1, 2, 2), "float32")),
              C("slice_update", X(4, 3), [0, X(dtype="int32", make=count)], X(2, 2))]
    j = X(2, 3, 1, dtype="int64", make=count)
    cases += [C("scatter_update", X(3, 4), j, X(2, 3, 4), reduction=r) for r in (None, "add", "max", "min")]
    cases += [C("scatter", j, X(2, 3, 4), (3, 4)), C("scatter", X(0, 1, dtype="int32"), X(0, 4), (3, 4)),
              C("scatter", [[7]], X(1, 4), (3, 4)), C("scatter", [[-1]], X(1, 4), (3, 4)),
              C("scatter_update", X(3), [[0], [2]], [1.5, 2.5], reduction="MAX"), C("scatter_update", X(3, dtype="int32"), [[0], [2]], [1, 2]),
              C("scatter_update", x, [[0, 1, 1]], [9.0]), C("scatter_update", X(3, 4), [[0, 1]], X(1, dtype="int32")),
              C("scatter", np.array([[1], [0]]), X(2, dtype="int64"), [4]), C("scatter_update", X(3, 4), [[0]], np.ones((1, 4), "float32"))]
    return cases


def numpy_math():
    x, i = X(None, 3, 4), X(None, 3, 4, dtype="int32")
    same = [C(n, x)



























                                                                                                                        for n in ("abs fabs negative sign signbit square exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh "
                              "sinc floor ceil trunc isfinite real imag conj angle deg2rad rad2deg "
                              "zeros_like ones_like").split()]
    same += [C(n, X(None, 3, 4, make=positive))
             for n in "sqrt cbrt reciprocal log log2 log10 log1p arccosh i0".split()]
    same += [C(n, X(None, 3, 4, make=unit)) for n in "arcsin arccos arctanh".split()]
    same += [C(n, X(None, 7, make=special)) for n in "isnan isinf isposinf isneginf isfinite nan_to_num".split()]
    same += [C("round", x, d) for d in (0, 2)] + [C("clip", x, -0.5, 0.7), C("nan_to_num", X(None, 7, make=special),
             1.0, 2.0, -3.0)]
    pairs = [C(n, x, X(None, 3, 4))
             for n in ("add subtract multiply divide true_divide floor_divide mod fmod maximum minimum "
                                              "fmax fmin arctan2 hypot logaddexp logaddexp2 nextafter equal not_equal less "
                                              "less_equal greater greater_equal heaviside isclose allclose").split()]
    pairs += [C(n, i, X(None, 3, 4, dtype="int32")) for n in ("gcd lcm bitwise_and bitwise_or bitwise_xor "
                                                             "equal add").split()]
    pairs += [C(n, i, X(None, 3, 4, dtype="int32", make=count))
              for n in "bitwise_left_shift bitwise_right_shift power ldexp".split()]
    pairs += [C("bitwise_not", i), C("power", X(None, 3, 4, make=positive), 1.5), C("divide_no_nan", x, i)]
    b = X(None, 3, 4, dtype="bool")
    return same + pairs + [C(n, b, X(None, 3, 4, dtype="bool"))
        for n in "logical_and logical_or logical_xor".split()] + [C("logical_not", b)]


def numpy_reduce():
    x = X(None, 3, 4)
    names = "sum mean prod max min any all var std ptp argmax argmin".split()
    plain = [C(n, x, axis=1) for n in names] + [C(n, x) for n in names]
    plain += [C(n, x, axis=-1, keepdims=True) for n in names]
    plain += [C("count_nonzero", X(None, 3, 4, dtype="int32"), axis=1), C("max", x, axis=1, initial=0.5)]
    plain += [C("average", x, axis=1), C("average", x, axis=1, weights=X(None, 3, 4, make=positive))]
    plain += [C(n, x, axis=1) for n in "cumsum cumprod".split()]
    plain += [C(n, X(None, 3, 4, dtype=d), axis=1) for d in ("int32", "bool", "uint8", "int64")
              for n in "sum mean prod max min any std argmax cumsum average median ptp".split()]
    some = X(3, 4, value=[[1, float("nan"), 3, -2], [float("nan")] * 4, [0.5, 2, float("nan"), 7]])
    return plain + [C("nan" + n, some, axis=1)
        for n in "sum prod mean var std max min cumsum cumprod median".split()] + [
        C("nanargmax", some, axis=0), C("nanargmin", some, axis=0)]


def numpy_shape():
    x, y = X(None, 3, 4), X(None, 3, 4)
    return ([C("reshape", x, (-1, 12)), C("ravel", x), C("transpose", x, (0, 2, 1)), C("transpose", x),
             C("expand_dims", x, (1, -1)),
             C("squeeze", X(None, 1, 4), 1), C("broadcast_to", X(1, 4), (3, 4)), C("swapaxes", x, 1, 2),
             C("moveaxis", x, (1, 2), (2, 1)),
             C("flip", x), C("flip", x, axis=1), C("fliplr", x), C("flipud", x), C("append", x, y), C("append", x, y,
             axis=1),
             C("tile", x, (1, 2, 1)), C("tile", x, 2), C("repeat", x, 2, axis=1), C("repeat", x, 2), C("repeat", x,
             [1, 0, 2], axis=1),
             C("roll", x, 1, axis=1), C("roll", x, 5), C("roll", x, (1, 2), axis=(1, 2))]
            + [C("rot90", X(3, 4, 2), k, axes) for k in (-1, 0, 1, 2, 3) for axes in ((0, 1), (1, 0), (0, 2))]
            + [C(n, [x, y]) for n in "concatenate stack hstack vstack dstack".split()]
            + [C(n, [X(3), X(3)]) for n in "vstack dstack".split()]
            + [C("concatenate", [x, y], axis=-1), C("stack", [x, y], axis=1)]
            + [C("split", X(None, 6), 3, axis=1), C("split", X(None, 6), [1, 4], axis=1), C("array_split", X(None,
               7), 3, axis=1),
               C("hsplit", X(None, 6), 2), C("vsplit", X(4, 3), 2), C("dsplit", X(2, 3, 4), 2)]
            + [C("pad", x, ((0, 0), (1, 2), (2, 1)), mode=m) for m in ("constant", "reflect", "symmetric")]
            + [C("pad", x, ((0, 0), (1, 0), (0, 1)), constant_values=3)])


def numpy_select():
    x = X(None, 3, 6)
    q = [C(n, x, v, axis=a, keepdims=k) for n, v in (("quantile", 0.3), ("percentile", 40.0), ("nanquantile", 0.6),
         ("nanpercentile", 75.0))
         for a, k in ((None, False), (1, True), ((1, 2), False))]
    methods = [C("percentile", x, [10.0, 35.0, 80.0], axis=2, method=m) for m in ("linear", "lower", "higher",
               "midpoint", "nearest")]
    return ([C("where", X(None, 3, dtype="bool"), X(None, 3), X(None, 3)), C("where", X(None, 3, dtype="bool"), 1.0,
             X(None, 3)),
             C("select", [X(None, 3, dtype="bool"), X(None, 3, dtype="bool")], [X(None, 3), X(None, 3)], 7.0),
             C("take", x, [0, -1, 2], axis=1), C("take", x, X(4, dtype="int32", make=count), axis=2), C("take", x,
             [[1, 2], [3, 0]]),
             C("take_along_axis", x, X(None, 3, 2, dtype="int32", make=count), axis=2),
             C("take_along_axis", x, X(None, 1, 6, dtype="int32", make=count), axis=1),
             C("searchsorted", X(5, value=[-1.0, 0, 0, 0.5, 2]), X(4)), C("searchsorted", X(5, value=[-1.0, 0, 0,
             0.5, 2]), X(4), side="right"),
             C("isin", X(None, 4, dtype="int32"), [1, 2, -3]), C("isin", X(None, 4, dtype="int32"), [1, 2],
             invert=True),
             C("unravel_index", X(6, dtype="int32", make=count), (2, 3)),
             C("argpartition", X(7, dtype="int32"), 2)]
            + [C(n, x, axis=a) for n in ("sort", "argsort") for a in (None, 1, -1)]
            + [C("sort", X(None, 7, dtype="int32")), C("argsort", X(None, 7, dtype="int32"))]
            + [C("median", x, axis=a, keepdims=k) for a in (None, 1, (1, 2)) for k in (False, True)] + q + methods)


def numpy_product():
    a, b = X(None, 3, 4), X(None, 4, 2)
    return ([C("matmul", a, b), C("matmul", X(None, 3, 4, dtype="int32"), X(None, 4, 2, dtype="int32")), C("matmul",
             X(4), X(4)), C("matmul", a, X(4)),
             C("dot", X(3, 4), X(4, 2)), C("dot", X(4), X(4)), C("dot", X(2, 3, 4), X(5, 4, 2)), C("dot", X(3, 4),
             2.0), C("inner", X(3, 4), X(2, 4)),
             C("vdot", X(3, 4), X(3, 4)), C("outer", X(3), X(2, 2)), C("kron", X(2, 3), X(3, 2)), C("kron", X(2),
             X(3, 2)),
             C("tensordot", X(3, 4, 2), X(4, 2, 5)), C("tensordot", X(3, 4), X(4, 5), axes=1), C("tensordot", X(3,
             4), X(5, 3), axes=[[0], [1]]),
             C("tensordot", X(3), X(4), axes=0), C("tensordot", X(3, 4, 2), X(2, 5, 3), axes=[[0, 2], [2, 0]])]
            + [C("einsum", e, *t) for e, t in (("bij,bjk->bik", (a, b)), ("...ij,jk", (a, X(4, 5))), ("ij->ji", (X(3,
               4),)), ("ii->i", (X(3, 3),)),
                                               ("ii", (X(3, 3),)), ("ij,jk,kl->il", (X(2, 3), X(3, 4), X(4, 2))),
                                                   ("i,j->ij", (X(3), X(4))),
                                               ("bij->b", (a,)), ("b...->...b", (X(2, 3, 4),)), ("ij,ij->i", (X(3,
                                                   4), X(3, 4))), ("iij->j", (X(3, 3, 2),)))]
            + [C("cross", X(None, 3), X(None, 3)), C("cross", X(None, 2), X(None, 2)), C("cross", X(None, 2), X(None,
               3)), C("cross", X(3, 4), X(3, 4), axis=0),
               C("diff", a), C("diff", a, n=2, axis=1), C("trapezoid", a), C("trapezoid", a, dx=0.5, axis=1),
               C("trapezoid", X(3, 4), x=[0.0, 1, 3, 4]),
               C("corrcoef", X(3, 5))]
            + [C("correlate", X(7), X(4), mode=m) for m in ("valid", "same", "full")])


def numpy_make():
    x = X(None, 3, 4)
    return ([C("full_like", x, 2.5), C("full_like", x, 2, dtype="int32"), C("array", x, dtype="float16"), C("size",
             x),
             C("view", X(None, 4), dtype="int32"), C("view", X(2, 4), dtype="int16"), C("view", X(2, 4,
             dtype="int16"), dtype="int32"),
             C("full", (2, 3), X()), C("linspace", X(3), X(3), 5), C("linspace", X(3), 4.0, 5, endpoint=False,
             axis=-1),
             C("logspace", X(3), X(3), 4), C("logspace", X(3), 2.0, 4, base=2.0, endpoint=False), C("geomspace", X(3,
             make=positive), X(3, make=positive), 4),
             C("meshgrid", X(3), X(4)), C("meshgrid", X(3), X(4), X(2), indexing="ij"),
             C("vander", X(4)), C("vander", X(4), 3, increasing=True), C("vander", X(3, dtype="int32"))]
            + [C("diag", v, k) for v in (X(3), X(3, 4)) for k in (0, 1, -2)] + [C("diagflat", X(2, 2), 1)]
            + [C("diagonal", X(2, 3, 4), o, a, b) for o, a, b in ((0, 0, 1), (1, 1, 2), (-1, 2, 0))]
            + [C("trace", X(3, 3)), C("trace", X(3, 4, dtype="int32"), 1), C("trace", X(3, 3, 3), 0, 1, 2)]
            + [C(n, x, k) for n in ("tril", "triu") for k in (-1, 0, 2)])


def numpy_sets():
    x = X(3, 4, value=[[1.0, 0, 2, 0], [2, 2, 0, 5], [0, 1, 1, -1]])
    i = X(2, 5, dtype="int32", value=[[1, 0, 3, 3, 1], [2, 0, 0, 1, 1]])
    return ([C("nonzero", x), C("nonzero", X(7, dtype="int32")), C("unique", x), C("unique", X(5, dtype="int32"))]
            + product("unique", x, sorted=[True, False], return_index=[True], return_inverse=[True], return_counts=[True])
            + product("unique", x, size=[3, 8, 20], fill_value=[None, 7.0], return_index=[True], return_counts=[True])
            + [C("bincount", i), C("bincount", i, minlength=7)])


# What is committed, and what is only drawn to look for differences.
FAMILIES = {"linalg": linalg, "nn": nn, "image": image, "einops": einops, "math": math, "core": core,
            "numpy_math": numpy_math, "numpy_reduce": numpy_reduce, "numpy_shape": numpy_shape,
            "numpy_select": numpy_select, "numpy_product": numpy_product, "numpy_make": numpy_make,
            "numpy_sets": numpy_sets}
SWEEPS = {"math": math_sweep, "core": core_sweep, "linalg": linalg_sweep}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", nargs="?", default="tests/models/operations")
    ap.add_argument("--family")
    ap.add_argument("--match", default="")
    ap.add_argument("--each", action="store_true")
    ap.add_argument("--sweep", action="store_true")
    args = ap.parse_args()
    for name in sorted(set(FAMILIES) | set(SWEEPS)):
        if args.family not in (None, name):
            continue
        cases = FAMILIES.get(name, list)() + (SWEEPS.get(name, list)() if args.sweep else [])
        cases = [c for c in cases if args.match in c.label]
        folders = [os.path.join(args.out, name, "%04d %s" % (i, re.sub(r"[^A-Za-z0-9_.,=()-]+", " ", c.label)[:120]))
                   for i, c in enumerate(cases)]
        if args.each:
            good = [c for c, folder in zip(cases, folders) if possible(c, folder)]
        else:
            with tempfile.TemporaryDirectory() as scratch:
                good = [c for i, c in enumerate(cases) if possible(c, os.path.join(scratch, str(i)))]
            keras.backend.clear_session()
            write(os.path.join(args.out, name), good)
        print("%s: %d of %d cases" % (name, len(good), len(cases)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
