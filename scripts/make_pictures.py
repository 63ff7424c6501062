"""Makes tests/pictures: a folder of small PNG files in two classes, and what keras.utils.image_dataset_from_directory and
keras.applications' preprocess_input make of them, which tests/lua/test_data.lua compares.

    python scripts/make_pictures.py    (Keras 3)

pictures.json tells the options of each case, pictures.npz holds its batch.
"""
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import keras
import numpy as np
import tensorflow as tf

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "pictures")
SIZES = {"a/1": (11, 7), "a/2": (6, 13), "b/3": (9, 8), "b/4": (4, 15)}
CASES = [dict(size=[8, 9], crop_to_aspect_ratio=True), dict(size=[8, 9], pad_to_aspect_ratio=True),
         dict(size=[5, 4], pad_to_aspect_ratio=True, interpolation="nearest"), dict(size=[9, 8], channels=1),
         dict(size=[7, 7], channels=4, pad_to_aspect_ratio=True)]
CASES += [dict(size=[6, 10], interpolation=how) for how in
          ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")]
CASES += [dict(size=[6, 10], crop_to_aspect_ratio=True, mode=mode) for mode in ("tf", "torch", "caffe")]
CASES += [dict(size=[6, 10], pad_to_aspect_ratio=True, mode="caffe")]


def batch(size, channels=3, mode=None, **options):
    colours = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
    ds = keras.utils.image_dataset_from_directory(FOLDER, image_size=size, color_mode=colours, shuffle=False,
                                                  verbose=False, **options)
    x = next(iter(ds))[0].numpy().astype("float32")
    return keras.applications.imagenet_utils.preprocess_input(x, mode=mode) if mode else x


def main():
    rng = np.random.RandomState(4)
    for name, size in SIZES.items():
        path = os.path.join(FOLDER, name + ".png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        tf.io.write_file(path, tf.io.encode_png(rng.randint(0, 256, size + (3,)).astype("uint8")))
    np.savez_compressed(os.path.join(FOLDER, "pictures.npz"), **{str(i): batch(**c) for i, c in enumerate(CASES, 1)})
    with open(os.path.join(FOLDER, "pictures.json"), "w") as f:
        json.dump(CASES, f)
        f.write("\n")


if __name__ == "__main__":
    main()
