#!/usr/bin/env python3
"""Writes lua/examples/lenet/lenet.json: the definition that BigDL's users load, by Keras 1.2.2 itself.

usage: make_lenet.py [FILE]        needs keras 1.2.2

The network of Keras 1's mnist_cnn.py in Theano's order of axes: (batch, 1, 28, 28) to 10 probabilities.
"""
import os, sys
from keras import backend
backend.set_image_dim_ordering("th")
from keras.layers import Activation, Convolution2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential

model = Sequential([
    Convolution2D(32, 3, 3, border_mode="valid", input_shape=(1, 28, 28)),
    Activation("relu"),
    Convolution2D(32, 3, 3),
    Activation("relu"),
    MaxPooling2D(pool_size=(2, 2)),
    Dropout(0.25),
    Flatten(),
    Dense(128),
    Activation("relu"),
    Dropout(0.5),
    Dense(10),
    Activation("softmax"),
])
here = os.path.dirname(os.path.abspath(__file__))
with open(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../lua/examples/lenet/lenet.json"), "w") as f:
    f.write(model.to_json(sort_keys=True) + "\n")
