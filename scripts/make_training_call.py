"""What Keras makes of model(x, training=True): tests/training/call.keras and call.npz. Run with Keras 3's Python."""
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras
from keras import layers

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/training/")
keras.utils.set_random_seed(7)
inner_in = keras.Input((4,))
inner = keras.Model(inner_in, layers.BatchNormalization(momentum=0.8, name="bn")(layers.Dense(5, name="fc")(inner_in)),
                    name="inner")
x = keras.Input((4,))
frozen = layers.BatchNormalization(name="frozen", moving_mean_initializer="ones")
frozen.trainable = False
y = frozen(layers.Dense(3, name="out")(inner(x)))
steps = layers.TimeDistributed(layers.BatchNormalization(name="steps"), name="td")
masked = layers.Masking(mask_value=0.0)(layers.Reshape((2, 2))(layers.ReLU(threshold=0.5)(x)))
y = steps(layers.Reshape((3, 1))(y))
seen = layers.TimeDistributed(layers.BatchNormalization(), name="seen")(masked)
model = keras.Model(x, [y, inner(2 * x), seen])
data = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")
model.save(folder + "call.keras")
arrays = {"x": data}
for i in (1, 2):
    for k, out in enumerate(model(data, training=True)):
        arrays[f"call{i}_{k}"] = np.asarray(out)
for k, out in enumerate(model(data)):
    arrays[f"after_{k}"] = np.asarray(out)
arrays["mean"], arrays["variance"] = (np.asarray(w) for w in inner.get_layer("bn").weights[2:])
np.savez(folder + "call.npz", **arrays)
