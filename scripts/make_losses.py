"""Writes tests/training/losses.npz and losses.json: what the losses and metrics of real Keras 3 make of random data.

Each case of the list in the JSON (class, config, kind) names the arrays of the npz that it uses: true, pred, weight, mask,
and out, what Keras says; of losses also gradient, that of the value to y_pred; of metrics out is the result after two
batches (both halves of the arrays).

    python scripts/make_losses.py            (needs keras 3 on TensorFlow)
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "training")
rng = np.random.default_rng(7)


def shares(*shape):
    x = rng.uniform(0.05, 1, shape)
    return (x / x.sum(-1, keepdims=True)).astype("float32")


def one_hot(n, classes):
    return np.eye(classes, dtype="float32")[rng.integers(0, classes, n)]


def reals(*shape):
    return rng.normal(size=shape).astype("float32")


def unit(*shape):
    x = reals(*shape)
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def bits(*shape):
    return rng.integers(0, 2, shape).astype("float32")


def chances(*shape):
    return rng.uniform(0.02, 0.98, shape).astype("float32")


def ids(classes, *shape):
    return rng.integers(0, classes, shape).astype("int32")


N = 8
regression = [(reals(N, 3), reals(N, 3)), (reals(N), reals(N, 1)), (reals(N, 4, 2), reals(N, 4, 2))]
positive = [(chances(N, 3) * 5, chances(N, 3) * 4)]
classes = [(one_hot(N, 5), shares(N, 5))]
sparse = [(ids(5, N), shares(N, 5)), (ids(5, N, 1), shares(N, 5)), (ids(5, N, 3), shares(N, 3, 5))]
binary = [(bits(N, 1), chances(N, 1)), (bits(N, 4), chances(N, 4)), (bits(N), chances(N, 1))]

LOSSES = [
    ("MeanSquaredError", {}, regression), ("MeanAbsoluteError", {}, regression),
    ("MeanAbsolutePercentageError", {}, regression), ("MeanSquaredLogarithmicError", {}, positive),
    ("CosineSimilarity", {}, regression), ("CosineSimilarity", {"axis": 1}, regression[2:]),
    ("Huber", {}, regression), ("Huber", {"delta": 0.4}, regression), ("LogCosh", {}, regression),
    ("Hinge", {}, binary + [(bits(N, 3) * 2 - 1, reals(N, 3))]), ("SquaredHinge", {}, binary[1:]),
    ("CategoricalHinge", {}, classes), ("KLDivergence", {}, [(shares(N, 4), shares(N, 4))]), ("Poisson", {}, positive),
    ("BinaryCrossentropy", {}, binary[:2]), ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1},
                                            [(bits(N, 3), reals(N, 3))]),
    ("BinaryFocalCrossentropy", {}, binary[1:2]),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "gamma": 3.0, "label_smoothing": 0.2}, binary[1:2]),
    ("BinaryFocalCrossentropy", {"from_logits": True}, [(bits(N, 3), reals(N, 3))]),
    ("CategoricalCrossentropy", {}, classes), ("CategoricalCrossentropy", {"label_smoothing": 0.1}, classes),
    ("CategoricalCrossentropy", {"from_logits": True}, [(one_hot(N, 4), reals(N, 4))]),
    ("CategoricalFocalCrossentropy", {}, classes), ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.5},
                                                   [(one_hot(N, 4), reals(N, 4))]),
    ("SparseCategoricalCrossentropy", {}, sparse), ("SparseCategoricalCrossentropy", {"ignore_class": 2}, sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, [(ids(4, N), reals(N, 4))]),
    ("Dice", {}, binary[1:2]), ("Dice", {"axis": [1]}, binary[1:2]), ("Tversky", {"alpha": 0.3, "beta": 0.7}, binary[1:2]),
    ("Circle", {}, [(ids(3, N), unit(N, 6))]), ("Circle", {"remove_diagonal": False, "gamma": 10.0, "margin": 0.2},
                                                [(ids(3, N), unit(N, 6))]),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, [(ids(5, N), shares(N, 5))]),
    ("CTC", {}, [(ids(4, 3, 4), reals(3, 9, 5))]),
]

labels = [(bits(N, 3), chances(N, 3))]
METRICS = [
    ("MeanSquaredError", {}, regression), ("MeanAbsoluteError", {}, regression[:1]),
    ("RootMeanSquaredError", {}, regression),
    ("LogCoshError", {}, regression[:1]), ("CosineSimilarity", {}, regression[:1]),
    ("KLDivergence", {}, [(shares(N, 4), shares(N, 4))]), ("Poisson", {}, positive), ("Hinge", {}, labels),
    ("BinaryCrossentropy", {}, labels), ("CategoricalCrossentropy", {"label_smoothing": 0.1}, classes),
    ("SparseCategoricalCrossentropy", {}, sparse),
    ("Accuracy", {}, [(ids(3, N, 2), ids(3, N, 2))]), ("BinaryAccuracy", {}, binary),
    ("BinaryAccuracy", {"threshold": 0.3}, binary), ("CategoricalAccuracy", {}, classes),
    ("SparseCategoricalAccuracy", {}, sparse), ("TopKCategoricalAccuracy", {"k": 2}, classes),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse),
    ("PearsonCorrelation", {}, regression[:1]), ("ConcordanceCorrelation", {"axis": 0}, regression[:1]),
    ("TruePositives", {}, labels), ("FalsePositives", {"thresholds": [0.2, 0.6]}, labels), ("TrueNegatives", {}, labels),
    ("FalseNegatives", {"thresholds": 0.4}, labels),
    ("Precision", {}, labels), ("Precision", {"top_k": 2}, labels), ("Precision", {"class_id": 1}, labels),
    ("Precision", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, labels),
    ("Recall", {}, labels), ("Recall", {"thresholds": [0.1, 0.5, 0.7]}, labels),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, labels), ("SpecificityAtSensitivity", {"sensitivity": 0.6}, labels),
    ("PrecisionAtRecall", {"recall": 0.6}, labels), ("RecallAtPrecision", {"precision": 0.6, "num_thresholds": 1}, labels),
    ("AUC", {}, labels), ("AUC", {"curve": "PR"}, labels), ("AUC", {"curve": "PRGAIN"}, labels),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, labels), ("AUC", {"summation_method": "majoring"}, labels),
    ("AUC", {"thresholds": [0.1, 0.4, 0.8]}, labels), ("AUC", {"multi_label": True}, labels),
    ("AUC", {"multi_label": True, "curve": "PR", "label_weights": [0.2, 0.5, 0.3]}, labels),
    ("AUC", {"num_thresholds": 7, "from_logits": True}, [(bits(N, 3), reals(N, 3))]),
    ("F1Score", {}, classes), ("F1Score", {"average": "macro"}, classes), ("F1Score", {"average": "weighted"}, classes),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.5, "average": "micro"}, labels),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, [(ids(3, N, 4), ids(3, N, 4))]),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 1}, [(ids(3, N, 4), ids(3, N, 4))]),
    ("BinaryIoU", {"threshold": 0.4}, labels), ("OneHotIoU", {"num_classes": 5, "target_class_ids": [1, 2]}, classes),
    ("OneHotMeanIoU", {"num_classes": 5}, classes),
    ("R2Score", {}, regression[:1]), ("R2Score", {"class_aggregation": "variance_weighted_average"}, regression[:1]),
    ("R2Score", {"class_aggregation": None, "num_regressors": 2}, regression[:1]),
]

arrays, cases, known = {}, [], {}


def array(value):
    """The name under which an array is kept, once."""
    value = np.asarray(value)
    key = (value.dtype.str, value.shape, value.tobytes())
    if key not in known:
        known[key] = f"a{len(known)}"
        arrays[known[key]] = value
    return known[key]


def put(kind, class_name, config, **values):
    case = {"kind": kind, "class_name": class_name, "config": config}
    cases.append(dict(case, **{k: array(v) for k, v in values.items() if v is not None}))


def loss_case(class_name, config, true, pred, weight=None, mask=None):
    loss = getattr(keras.losses, class_name)(**config)
    x = tf.Variable(pred)
    with tf.GradientTape() as tape:
        y = tf.convert_to_tensor(x)
        if mask is not None:
            keras.src.backend.set_keras_mask(y, tf.convert_to_tensor(mask))
        value = loss(true, y, sample_weight=weight)
    put("loss", class_name, config, true=true, pred=pred, weight=weight, mask=mask, out=value.numpy(),
        gradient=tape.gradient(value, x).numpy())


def losses():
    for class_name, config, data in LOSSES:
        for true, pred in data:
            loss_case(class_name, config, true, pred)
            if class_name not in ("Dice", "Tversky"):
                shape = np.shape(getattr(keras.losses, class_name)(reduction="none", **config)(true, pred))
                loss_case(class_name, config, true, pred, rng.uniform(0, 2, shape).astype("float32"))
    for reduction in ("sum", "mean_with_sample_weight", "none"):
        true, pred = regression[2]
        weight = rng.uniform(0, 2, (N, 4)).astype("float32")
        if reduction != "none":
            loss_case("MeanSquaredError", {"reduction": reduction}, true, pred, weight)
    true, pred = regression[2]
    mask = rng.uniform(size=(N, 4)) < 0.6
    loss_case("MeanSquaredError", {}, true, pred, None, mask)
    loss_case("MeanAbsoluteError", {}, true, pred, rng.uniform(0, 2, (N, 4)).astype("float32"), mask)
    loss_case("MeanSquaredError", {"reduction": "sum"}, true, pred, None, mask)
    loss_case("SparseCategoricalCrossentropy", {"ignore_class": 1}, *sparse[2], None, rng.uniform(size=(N, 3)) < 0.6)


def metric_case(class_name, config, true, pred, weight=None, mask=None):
    metric = getattr(keras.metrics, class_name)(**config)
    half = len(true) // 2
    for part in (slice(0, half), slice(half, None)):
        y = tf.convert_to_tensor(pred[part])
        if mask is not None:
            keras.src.backend.set_keras_mask(y, tf.convert_to_tensor(mask[part]))
        metric.update_state(true[part], y, sample_weight=None if weight is None else weight[part])
    put("metric", class_name, config, true=true, pred=pred, weight=weight, mask=mask,
        out=np.asarray(metric.result(), "float32"))


def metrics():
    for class_name, config, data in METRICS:
        for true, pred in data:
            metric_case(class_name, config, true, pred)
            weights = rng.integers(1, 4, len(true)).astype("float32")
            if "IoU" in class_name:
                weights = np.broadcast_to(weights[:, None], np.shape(true)).copy()
                if "OneHot" in class_name:
                    weights = weights[:, 0].copy()
            if not (class_name == "ConcordanceCorrelation"):
                metric_case(class_name, config, true, pred, weights)
    true, pred = regression[2]
    mask = rng.uniform(size=(N, 4)) < 0.6
    metric_case("MeanSquaredError", {}, true, pred, None, mask)
    metric_case("MeanSquaredError", {}, true, pred, rng.uniform(0, 2, (N, 4)).astype("float32"), None)
    metric_case("SparseCategoricalAccuracy", {}, *sparse[2], None, rng.uniform(size=(N, 3)) < 0.6)


losses()
metrics()
os.makedirs(HERE, exist_ok=True)
np.savez_compressed(os.path.join(HERE, "losses.npz"), **arrays)
with open(os.path.join(HERE, "losses.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
print(len(cases), "cases")
