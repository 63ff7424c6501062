"""Writes tests/training/resume_keras1.h5 and .npz: a model of Keras 1.2 with recurrent layers as it is saved in the middle of a
training, and what that training goes on to.

The npz holds the batches (x, y) of the steps behind the save and the weights afterwards in Keras 2's layout (0, 1, …).

    python scripts/make_resume.py    (Keras 1.2 with TensorFlow 1)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

tensorflow.Variable = ResourceVariable  # others change under what reads them
from keras.layers import GRU, LSTM, Bidirectional, Dense, SimpleRNN
from keras.models import Sequential
from keras.optimizers import RMSprop

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "training")
STEPS, ROWS = 4, 6


def joined(layer):
    """W, U and b of gates, LSTM's as i c f o, side by side as i f c o."""
    cells = [layer.forward_layer, layer.backward_layer] if isinstance(layer, Bidirectional) else [layer]
    for cell in cells:
        arrays = cell.get_weights()
        gates = {LSTM: [0, 2, 1, 3], GRU: [0, 1, 2]}.get(type(cell))
        for part in range(3 if gates else len(arrays)):
            yield np.concatenate([arrays[3 * g + part] for g in gates], -1) if gates else arrays[part]


def main():
    np.random.seed(1)
    model = Sequential([LSTM(3, return_sequences=True, input_shape=(4, 2), name="l"),
                        Bidirectional(GRU(2, return_sequences=True, name="g"), name="b"),
                        SimpleRNN(2, name="s"), Dense(1, name="d")])
    model.compile(optimizer=RMSprop(lr=0.01), loss="mse")
    x, y = np.random.rand(2 * STEPS, ROWS, 4, 2), np.random.rand(2 * STEPS, ROWS, 1)
    for i in range(STEPS):
        model.train_on_batch(x[i], y[i])
    where = os.path.join(HERE, "resume_keras1")
    model.save(where + ".h5")
    for i in range(STEPS, 2 * STEPS):
        model.train_on_batch(x[i], y[i])
    arrays = [a for layer in model.layers for a in joined(layer)]
    np.savez_compressed(where + ".npz", x=x[STEPS:].astype("float32"), y=y[STEPS:].astype("float32"),
                        **{str(i): a for i, a in enumerate(arrays)})


main()
