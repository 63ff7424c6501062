"""Draws models of TensorFlow's functions with real tf_keras, as make_operation_cases.py does for keras.ops.

    python scripts/make_tf_cases.py [OUT] [--family NAME] [--each]

OUT: default tests/models/functions, where each family is one folder: one model whose outputs are all its cases. --each
gives every case a folder of its own, to find what differs: build/cornu scripts/conformance.lua OUT.
"""
import argparse
import json
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np
import tensorflow as tf
import tf_keras

ROW, IMAGE, MATRIX = (3, 4), (6, 8, 3), (3, 3)
nn, math, linalg = tf.nn, tf.math, tf.linalg


def each(module, names, *shapes, **options):
    """One case for each function of the module; shapes are those of its tensors."""
    return {"%s %s" % (name, options or ""): (lambda *x, f=getattr(module, name): f(*x, **options), shapes)
            for name in names.split()}


def math_functions():
    cases = each(math, "abs exp square sin cos tan tanh sigmoid erf sign floor ceil round negative softplus sinh cosh "
                       "asinh atan erfc expm1", ROW)
    cases.update(each(math, "add subtract multiply divide maximum minimum squared_difference floordiv atan2 less "
                            "greater equal not_equal divide_no_nan", ROW, ROW))
    for name in "sum mean max min prod std variance logsumexp".split():
        f = getattr(math, "reduce_" + name)
        cases["reduce_" + name] = lambda x, f=f: f(x, axis=1), (ROW,)
        cases["reduce_%s keepdims" % name] = lambda x, f=f: f(x, axis=[1, 2], keepdims=True), (ROW,)
        cases["reduce_%s positional" % name] = lambda x, f=f: f(x, -1), (ROW,)
    more = {
        "operators": lambda x: 1 - (2 ** x) % 0.3 // 0.1 + abs(-x) / 3 + 1 / (x ** 2 + 1),
        "logic": lambda x: ~((x > 0) & (x < 1)),
        "any": lambda x: tf.reduce_any(x > 0, axis=1), "argmax": lambda x: tf.argmax(x, axis=1),
        "argmax int32": lambda x: tf.argmax(x, axis=-1, output_type=tf.int32), "argmin": lambda x: tf.argmin(x, 2),
        "cumsum": lambda x: tf.cumsum(x), "cumsum axis": lambda x: tf.cumsum(x, axis=1, exclusive=True, reverse=True),
        "top_k": lambda x: math.top_k(x, k=2)[0], "top_k indices": lambda x: nn.top_k(x, 2).indices,
        "l2_normalize": lambda x: math.l2_normalize(x, axis=[1, 2]), "norm": lambda x: tf.norm(x, axis=-1),
        "norm 1": lambda x: tf.norm(x, ord=1, axis=1, keepdims=True),
        "norm inf": lambda x: tf.norm(x, ord=np.inf, axis=1),
        "clip_by_value": lambda x: tf.clip_by_value(x, -0.5, 0.5),
        "clip_by_norm": lambda x: tf.clip_by_norm(x, 1.0, axes=[1, 2]),
        "tensordot": lambda x: tf.tensordot(x, tf.reshape(tf.range(8.0), (4, 2)), axes=[[2], [0]]),
        "matmul": lambda x: tf.matmul(x, x, transpose_b=True), "eye": lambda x: x @ tf.eye(4)}
    cases.update({name: (f, (ROW,)) for name, f in more.items()})
    cases.update(each(linalg, "trace diag_part", MATRIX))
    cases["band_part"] = lambda x: linalg.band_part(x, 1, 0), (MATRIX,)
    cases["cross"] = lambda x, y: linalg.cross(x, y), ((3,), (3,))
    return cases


def shape_functions():
    n = lambda x: tf.shape(x)[0]
    one = {
        "shape": lambda x: tf.shape(x), "size": lambda x: x / tf.cast(tf.size(x), tf.float32),
        "rank": lambda x: x * tf.cast(tf.rank(x), tf.float32),
        "reshape": lambda x: tf.reshape(x, [-1, 12]), "reshape shape": lambda x: tf.reshape(x, [n(x), 2, 6]),
        "reshape stack": lambda x: tf.reshape(x, tf.stack([n(x), tf.shape(x)[1] * tf.shape(x)[2]])),
        "reshape concat": lambda x: tf.reshape(x, tf.concat([tf.shape(x)[:1], [12]], 0)),
        "broadcast_to": lambda x: tf.broadcast_to(x[:, None], tf.stack([n(x), 5, 3, 4])),
        "fill": lambda x: tf.fill([n(x), 3], 1.5) + x[:, :, 0], "zeros": lambda x: tf.zeros([n(x), 3]) + x[:, :, 0],
        "range": lambda x: x + tf.cast(tf.range(tf.shape(x)[-1]), tf.float32), "ones_like": lambda x: tf.ones_like(x),
        "tile": lambda x: tf.tile(x, [1, 2, 1]), "tile shape": lambda x: tf.tile(x[:, :1], [1, tf.shape(x)[1], 1]),
        "transpose": lambda x: tf.transpose(x, [0, 2, 1]), "reverse": lambda x: tf.reverse(x, axis=[1]),
        "roll": lambda x: tf.roll(x, shift=1, axis=1), "repeat": lambda x: tf.repeat(x, 2, axis=1),
        "expand_dims": lambda x: tf.expand_dims(x, -1), "squeeze": lambda x: tf.squeeze(x[:, :1], [1]),
        "concat": lambda x: tf.concat([x, 2 * x], axis=-1), "stack": lambda x: tf.stack([x, 2 * x], axis=1),
        "unstack": lambda x: tf.unstack(x, axis=1)[1], "split": lambda x: tf.split(x, 2, axis=2)[1],
        "split sizes": lambda x: tf.split(x, [1, -1], axis=-1)[1],
        "slice": lambda x: tf.slice(x, [0, 1, 0], [-1, 2, 3]),
        "gather": lambda x: tf.gather(x, [2, 0], axis=1),
        "gather batch": lambda x: tf.gather(x, tf.argmax(x, axis=-1)[:, :2] // 2, axis=1, batch_dims=1),
        "where": lambda x: tf.where(x > 0, x, 0.0), "one_hot": lambda x: tf.one_hot(tf.argmax(x, -1), 4),
        "one_hot values": lambda x: tf.one_hot(tf.argmax(x, -1), 4, on_value=2.0, off_value=-1.0, axis=1),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 2]], constant_values=3.0),
        "pad reflect": lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 2]], mode="REFLECT"), "sort": lambda x: tf.sort(x),
        "sort down": lambda x: tf.sort(x, axis=1, direction="DESCENDING"), "argsort": lambda x: tf.argsort(x),
        "items": lambda x: x[:, 1:, ::2], "new axis": lambda x: x[:, tf.newaxis, 0], "backwards": lambda x: x[:, ::-1]}
    cases = {name: (f, (ROW,)) for name, f in one.items()}
    cases["reshape like"] = lambda x, y: tf.reshape(x, tf.shape(y)), ((12,), ROW)
    cases["add_n"] = lambda x, y: tf.add_n([x, y, x]), (ROW, ROW)
    return cases


def nn_functions():
    cases = each(nn, "relu relu6 elu selu softplus softsign silu gelu leaky_relu softmax log_softmax", ROW)
    kernel = np.random.RandomState(1).randn(3, 3, 3, 2).astype("float32")
    image = {"resize " + m: lambda x, m=m: tf.image.resize(x, (4, 5), method=m)
             for m in "bilinear nearest bicubic area lanczos3".split()}
    image.update({
        "resize antialias": lambda x: tf.image.resize(x, [3, 4], antialias=True),
        "flip": lambda x: tf.image.flip_left_right(x),
        "grayscale": lambda x: tf.image.rgb_to_grayscale(x),
        "standardize": lambda x: tf.image.per_image_standardization(x),
        "space_to_depth": lambda x: nn.space_to_depth(x, 2), "max_pool": lambda x: nn.max_pool2d(x, 2, 2, "SAME"),
        "avg_pool": lambda x: nn.avg_pool2d(x, [2, 2], [1, 1], "VALID"),
        "conv2d": lambda x: nn.conv2d(x, tf.constant(kernel), strides=[1, 2, 1, 1], padding="SAME"),
        "depthwise": lambda x: nn.depthwise_conv2d(x, tf.constant(kernel), [1, 1, 1, 1], "SAME")})
    cases.update({name: (f, (IMAGE,)) for name, f in image.items()})
    cases["batch_normalization"] = lambda x: nn.batch_normalization(x, 0.1, 2.0, 0.5, 1.5, 1e-3), (ROW,)
    cases["moments"] = lambda x: nn.moments(x, axes=[1])[1], (ROW,)
    cases["bias_add"] = lambda x: nn.bias_add(x, [1.0, 2.0, 3.0, 4.0]), (ROW,)
    return cases


FAMILIES = {"math": math_functions, "nn": nn_functions, "shape": shape_functions}


def write(folder, cases, ext):
    tf_keras.backend.clear_session()
    inputs, outputs, labels, rng = {}, [], [], np.random.RandomState(0)
    for label, (f, shapes) in cases.items():
        keys = [(i, s) for i, s in enumerate(shapes)]
        for key in keys:
            if key not in inputs:
                inputs[key] = tf_keras.Input(key[1])
        outputs.append(f(*[inputs[key] for key in keys]))
        labels.append(label)
    model = tf_keras.Model(list(inputs.values()), outputs)
    os.makedirs(folder, exist_ok=True)
    model.save(os.path.join(folder, "model." + ext))
    values = [rng.randn(2, *shape).astype("float32") for _, shape in inputs]
    ys = model(values)
    ys = [y.numpy() for y in (ys if isinstance(ys, list) else [ys])]
    names = ["i%d" % i for i in range(len(values))], ["o%d" % i for i in range(len(ys))]
    np.savez_compressed(os.path.join(folder, "io.npz"), **dict(zip(names[0] + names[1], values + ys)))
    info = {"model": "model." + ext, "inputs": names[0], "outputs": names[1], "labels": labels, "call": True,
            "atol": 1e-5, "rtol": 1e-4, "dtypes": [str(y.dtype) for y in ys], "keras": tf_keras.__version__}
    with open(os.path.join(folder, "case.json"), "w") as file:
        json.dump(info, file, indent=0, sort_keys=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", nargs="?", default="tests/models/functions")
    ap.add_argument("--family")
    ap.add_argument("--each", action="store_true")
    args = ap.parse_args()
    for i, (name, cases) in enumerate(sorted(FAMILIES.items())):
        if args.family not in (None, name):
            continue
        ext = "h5" if i % 2 else "keras"
        if not args.each:
            write(os.path.join(args.out, name), cases(), ext)
        for label, case in cases().items() if args.each else ():
            write(os.path.join(args.out, "%s %s" % (name, label.replace("/", " "))), {label: case}, ext)


if __name__ == "__main__":
    main()
