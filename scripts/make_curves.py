"""Writes tests/training/curves: small models with their first weights (NAME.keras) and curves.npz: batches (NAME.x, NAME.y)
and the losses of 200 steps in which real Keras 3 trains on them, again and again (NAME.loss).

    python scripts/make_curves.py            (needs keras 3 on TensorFlow)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
from keras import layers as L

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "training", "curves")
STEPS, BATCHES, ROWS = 200, 8, 16
keras.utils.set_random_seed(11)
rng = np.random.default_rng(5)


def reals(*shape):
    return rng.normal(size=(BATCHES, ROWS) + shape).astype("float32")


def mlp():
    model = keras.Sequential([keras.Input((12,)), L.Dense(32, "relu"), L.Dense(16, "tanh"), L.Dense(4, "softmax")])
    x = reals(12)
    return model, "adam", x, (x[..., :4] + 0.5 * x[..., 4:8]).argmax(-1).astype("int32")


def cnn():
    model = keras.Sequential([
        keras.Input((10, 10, 1)), L.Conv2D(8, 3, padding="same", use_bias=False), L.BatchNormalization(),
        L.Activation("relu"), L.MaxPooling2D(), L.Conv2D(12, 3), L.BatchNormalization(momentum=0.9), L.Activation("relu"),
        L.GlobalAveragePooling2D(), L.Dense(3, "softmax")])
    y = rng.integers(0, 3, (BATCHES, ROWS)).astype("int32")
    x = reals(10, 10, 1) * 0.5
    for c in range(3):
        x[y == c, 2 + 2 * c:4 + 2 * c, :, 0] += 1
    return model, keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), x, y


def lstm():
    model = keras.Sequential([keras.Input((12,), dtype="int32"), L.Embedding(30, 8), L.LSTM(16), L.Dense(1, "sigmoid")])
    x = rng.integers(0, 30, (BATCHES, ROWS, 12)).astype("int32")
    return model, keras.optimizers.RMSprop(0.005), x, (x[..., -4:].mean(-1) > x[..., :8].mean(-1)).astype("float32")[..., None]


def transformer():
    x = inputs = keras.Input((8,), dtype="int32")
    x = L.Embedding(20, 16)(x)
    a = L.MultiHeadAttention(2, 8)(x, x)
    x = L.LayerNormalization()(L.Add()([x, a]))
    f = L.Dense(16)(L.Dense(32, "gelu")(x))
    x = L.LayerNormalization()(L.Add()([x, f]))
    model = keras.Model(inputs, L.Dense(5, "softmax")(L.GlobalAveragePooling1D()(x)))
    x = rng.integers(0, 20, (BATCHES, ROWS, 8)).astype("int32")
    return model, keras.optimizers.AdamW(0.003, weight_decay=0.01), x, (x.max(-1) // 4).astype("int32")


def main():
    os.makedirs(HERE, exist_ok=True)
    arrays = {}
    for name, make in {"mlp": mlp, "cnn": cnn, "lstm": lstm, "transformer": transformer}.items():
        model, optimizer, x, y = make()
        loss = "binary_crossentropy" if name == "lstm" else "sparse_categorical_crossentropy"
        model.compile(optimizer=optimizer, loss=loss)
        model.save(os.path.join(HERE, name + ".keras"))
        losses = []
        for step in range(STEPS):
            model.reset_metrics()
            losses.append(float(model.train_on_batch(x[step % BATCHES], y[step % BATCHES])))
        arrays[name + ".x"], arrays[name + ".y"] = x, y
        arrays[name + ".loss"] = np.array(losses, "float32")
        print(name, losses[0], losses[-1])
    np.savez_compressed(os.path.join(HERE, "curves.npz"), **arrays)


main()
