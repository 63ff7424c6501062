#!/usr/bin/env python3
"""Trains the model of lua/examples/digits on scikit-learn's digits with Keras 3, and writes all files of that folder.

usage: train_digits.py [--out DIR] [--epochs N]        needs keras 3, tensorflow, scikit-learn, pillow, h5py

Data: 1,797 digits of 8 x 8 pixels from the UCI "Optical Recognition of Handwritten Digits" set that scikit-learn
bundles; ink is 0 (paper) to 16 (full). A fifth of them, stratified and fixed by the seed, is never trained on and
chooses nothing: the accuracy printed at the end and every picture come from it.

The model takes (batch, 8, 8, 1) float32, 0 = paper to 1 = ink: the scaling is outside the model. It gives 10
probabilities; line n of labels.txt names the n-th.

Files written
  digits.keras, digits.h5   the same model in Keras 3's format and in the legacy one
  images/NN_labelD.png      20 unseen digits, two of each, dark on light as on paper: 64 x 64, 8 bit grey, D is the truth
  labels.txt                class names, one a line
  expected.npz              what Keras gives for the pictures, in the order of their names:
                              inputs (20, 8, 8, 1), outputs (20, 10), labels (20,),
                              after_N: what the first N layers give for the first 4 (counted from 1, no input layer)
From picture to input, without any resize filter: x = 1 - (mean of each 8 x 8 block of pixels) / 255.
"""
import argparse, os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import keras
import tensorflow as tf
from keras import layers
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED, EACH, SIDE, BLOCK = 20, 2, 64, 8
AFTER = (1, 3, 5, 9, 11)
HERE = os.path.dirname(os.path.abspath(__file__))


def build():
    return keras.Sequential([
        keras.Input((8, 8, 1), name="pixels"),
        layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1"),
        layers.BatchNormalization(name="norm1"),
        layers.Activation("relu", name="relu1"),
        layers.Conv2D(24, 3, padding="same", activation="relu", name="conv2"),
        layers.MaxPooling2D(2, name="pool1"),
        layers.Dropout(0.2, name="drop1"),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv3"),
        layers.MaxPooling2D(2, name="pool2"),
        layers.Flatten(name="flat"),
        layers.Dropout(0.3, name="drop2"),
        layers.Dense(10, activation="softmax", name="digit"),
    ], name="digits")


def shaken(x, rng):
    """Each picture turned by up to 10 degrees, scaled by up to 8 % and moved by up to a pixel: 1,437 digits are few."""
    out = np.empty_like(x)
    for i, a in enumerate(x):
        t, s = rng.uniform(-0.17, 0.17), rng.uniform(0.92, 1.08)
        c, d = np.cos(t) * s, np.sin(t) * s
        dx, dy = rng.uniform(-1, 1, 2)
        to = (c, -d, 3.5 - 3.5 * (c - d) + dx, d, c, 3.5 - 3.5 * (c + d) + dy)
        out[i, :, :, 0] = np.asarray(Image.fromarray(a[:, :, 0]).transform((8, 8), Image.AFFINE, to, Image.BILINEAR))
    return out


def blocks(picture):
    """The input that a picture stands for; the formula at the top."""
    mean = picture.astype("float64").reshape(8, BLOCK, 8, BLOCK).mean((1, 3))
    return (1 - mean / 255).astype("float32")[:, :, None]


def picture(x):
    """A smooth 64 x 64 picture, dark on light, whose block means are x to within the rounding to 8 bits."""
    want = x[:, :, 0].astype("float32")

    def up(a):
        return np.asarray(Image.fromarray(a).resize((SIDE, SIDE), Image.BICUBIC))
    big = np.clip(up(want), 0, 1)
    for _ in range(60):
        # Interpolation blurs: add back what the block means lack.
        lack = want - big.reshape(8, BLOCK, 8, BLOCK).mean((1, 3))
        big = np.clip(big + up(lack), 0, 1)
    return np.round((1 - big) * 255).astype("uint8")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=os.path.join(HERE, "..", "lua", "examples", "digits"))
    ap.add_argument("--epochs", type=int, default=80)
    args = ap.parse_args()
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    data = load_digits()
    x = (data.images / 16).astype("float32")[..., None]
    x_train, x_test, y_train, y_test = train_test_split(x, data.target, test_size=0.2, stratify=data.target, random_state=SEED)

    model = build()
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy")
    rng = np.random.default_rng(SEED)
    for epoch in range(args.epochs):
        model.optimizer.learning_rate = 2e-3 * (0.02 + 0.49 * (1 + np.cos(np.pi * epoch / args.epochs)))
        loss = model.fit(shaken(x_train, rng), y_train, batch_size=64, verbose=0).history["loss"][0]
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss:.4f}", flush=True)

    # Saved without its optimizer, whose state is twice the size of the weights.
    plain = build()
    plain.set_weights(model.get_weights())
    guess = plain.predict(x_test, verbose=0).argmax(1)
    right = int((guess == y_test).sum())
    print(f"unseen: {right} of {len(y_test)} right, {100 * right / len(y_test):.2f} %")
    print(f"parameters: {plain.count_params()}")

    images = os.path.join(args.out, "images")
    os.makedirs(images, exist_ok=True)
    for old in os.listdir(images):
        if old.endswith(".png"):
            os.remove(os.path.join(images, old))
    plain.save(os.path.join(args.out, "digits.keras"))
    plain.save(os.path.join(args.out, "digits.h5"))
    with open(os.path.join(args.out, "labels.txt"), "w") as f:
        f.write("zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n")

    # The first EACH of every class as they come, right or wrong, mixed by the split's own order.
    chosen = sorted(i for d in range(10) for i in np.flatnonzero(y_test == d)[:EACH])
    inputs = []
    for n, i in enumerate(chosen, 1):
        p = picture(x_test[i])
        Image.fromarray(p).save(os.path.join(images, f"{n:02d}_label{y_test[i]}.png"), optimize=True)
        inputs.append(blocks(p))
    inputs = np.stack(inputs)
    arrays = {"inputs": inputs, "outputs": plain.predict(inputs, verbose=0), "labels": y_test[chosen].astype("int32")}
    for n in AFTER:
        part = keras.Model(plain.inputs, plain.layers[n - 1].output)
        arrays[f"after_{n}"] = part.predict(inputs[:4], verbose=0)
    np.savez_compressed(os.path.join(args.out, "expected.npz"), **arrays)
    print(f"pictures: {(arrays['outputs'].argmax(1) == arrays['labels']).sum()} of {len(chosen)} right,",
          f"block means off by up to {np.abs(inputs - x_test[chosen]).max():.4f}")


if __name__ == "__main__":
    main()
