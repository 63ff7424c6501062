"""Writes tests/training/fit_*: models, data, and what real Keras 3 tells of training them.

For each case fit_NAME.keras (before the training), fit_NAME.npz (x…, y…, w…, the weights after it as after/0, after/1, …)
and an entry of fit.json: compile's and fit's arguments and the history. Nothing is shuffled and nothing is random.

    python scripts/make_fit.py            (needs keras 3 on TensorFlow)
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
from keras import layers as L

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "training")
rng = np.random.default_rng(3)
cases = []


def classes():
    x = rng.normal(size=(50, 6)).astype("float32")
    y = np.argmax(x @ rng.normal(size=(6, 3)), -1).astype("int32")
    model = keras.Sequential([keras.Input((6,)), L.Dense(8, "tanh"), L.BatchNormalization(), L.Dense(3, "softmax")])
    return model, [x], [y], None


def two_outputs():  # whole batches: Keras weighs the losses of outputs by batch, not by row
    x = rng.normal(size=(48, 5)).astype("float32")
    a = keras.Input((5,), name="in")
    h = L.Dense(7, "relu", name="shared")(a)
    model = keras.Model(a, [L.Dense(2, name="point")(h), L.Dense(1, "sigmoid", name="flag")(h)])
    y = [rng.normal(size=(48, 2)).astype("float32"), rng.integers(0, 2, (48, 1)).astype("float32")]
    return model, [x], y, [rng.uniform(0.2, 2, 48).astype("float32"), rng.uniform(0.2, 2, 48).astype("float32")]


def masked():
    x = rng.integers(0, 9, (24, 7)).astype("int32")
    y = rng.integers(0, 4, (24, 7)).astype("int32")
    model = keras.Sequential([keras.Input((7,), dtype="int32"), L.Embedding(9, 5, mask_zero=True), L.Dense(6, "tanh"),
                              L.Dense(4, "softmax")])
    return model, [x], [y], None


def run(name, make, compile_args, fit_args):
    keras.utils.set_random_seed(5)
    model, x, y, w = make()
    model.save(os.path.join(HERE, f"fit_{name}.keras"))
    model.compile(**compile_args)
    arrays = {f"x{i}": v for i, v in enumerate(x)}
    arrays.update({f"y{i}": v for i, v in enumerate(y)})
    arrays.update({f"w{i}": v for i, v in enumerate(w or [])})
    one = lambda v: v[0] if len(v) == 1 else v
    kwargs = dict(fit_args)
    if "class_weight" in kwargs:
        kwargs["class_weight"] = {int(k): v for k, v in kwargs["class_weight"].items()}
    history = model.fit(one(x), one(y), sample_weight=w and one(w), shuffle=False, verbose=0, **kwargs)
    evaluated = model.evaluate(one(x), one(y), batch_size=16, verbose=0, return_dict=True)
    arrays.update({f"after/{i}": v for i, v in enumerate(model.get_weights())})
    np.savez_compressed(os.path.join(HERE, f"fit_{name}.npz"), **arrays)
    cases.append(dict(name=name, compile=compile_args, fit=fit_args, history=history.history, evaluated=evaluated,
                      inputs=len(x), outputs=len(y), weights=len(w or [])))


run("classes", classes, dict(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"],
                             weighted_metrics=["accuracy"]),
    dict(epochs=3, batch_size=16, class_weight={"0": 1.0, "1": 2.0, "2": 0.5}, validation_split=0.25))
run("two", two_outputs, dict(optimizer="sgd", loss={"point": "mse", "flag": "binary_crossentropy"},
                             loss_weights={"point": 0.3, "flag": 2.0}, metrics={"flag": ["accuracy", "AUC"], "point": "mae"},
                             weighted_metrics={"point": ["mse"]}),
    dict(epochs=3, batch_size=16))
run("masked", masked, dict(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"]),
    dict(epochs=3, batch_size=8))
with open(os.path.join(HERE, "fit.json"), "w") as f:
    json.dump(cases, f, indent=1)
print(len(cases), "cases")
