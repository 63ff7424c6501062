"""Writes tests/training/optimizers.KIND.npz and .json: what the optimizers of real Keras make of a small network in 20 steps.

The npz holds the weights of the beginning (begin, one behind the other), the batches (x, y) and, for the i-th case of the
JSON's cases (label, optimizer as it was saved, frozen: the embedding), the weights afterwards (row i of weights) and the
optimizer's arrays in the order in which it saves them (state.i, one behind the other).

    python scripts/make_optimizers.py KIND
        keras3      Keras 3 on TensorFlow
        tf_keras    tf_keras: the optimizers of tf.keras 2.11 and later
        tf_legacy   tf_keras: those before
        keras2      Keras 2.3 with TensorFlow 1
        keras1      Keras 1.2 with TensorFlow 1

On TensorFlow 1 it is a race whether Keras 1 and 2 count a step before or after they use the count; here they count after
it, as with Theano. Nadam of tf.keras 2.11 multiplies its momenta wrongly unless it runs eagerly, as it does here; and
ScheduleFreeAdamW of Keras 3 begins with zeros instead of the variables unless it is built before the first batch. Its
RMSprop cannot do without a word in a batch: there, and before tf.keras, all words come in each.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np

KIND = sys.argv[1]
if KIND.startswith("tf_"):
    import tf_keras as keras
else:
    if KIND == "keras1":
        import tensorflow
        from tensorflow.python.ops.resource_variable_ops import ResourceVariable
        tensorflow.Variable = ResourceVariable  # others change under what reads them
    import keras

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "training")
STEPS, ROWS, WORDS = 20, 8, 5
rng = np.random.RandomState(3)
xs = rng.randint(0, 7, (STEPS, ROWS, WORDS)).astype("int32")
if KIND.startswith("tf_"):
    xs = (xs % 3 + np.arange(STEPS, dtype="int32")[:, None, None]) % 7  # three words in each batch
ys = rng.normal(size=(STEPS, ROWS, 3)).astype("float32")
begin = [rng.uniform(-0.6, 0.6, shape).astype("float32")
         for shape in [(7, 4), (WORDS * 4, 6), (6,), (6, 3), (3,)]]


def schedule(name, **config):
    return getattr(keras.optimizers.schedules, name)(**config)


COMMON = [
    ("clipnorm", "Adam", dict(learning_rate=0.02, clipnorm=0.1)),
    ("clipvalue", "SGD", dict(learning_rate=0.1, clipvalue=0.02)),
]
LATER = [
    ("sgd", "SGD", dict(learning_rate=0.1)),
    ("sgd momentum", "SGD", dict(learning_rate=0.05, momentum=0.9)),
    ("sgd nesterov", "SGD", dict(learning_rate=0.05, momentum=0.9, nesterov=True)),
    ("rmsprop", "RMSprop", dict(learning_rate=0.01)),
    ("rmsprop momentum", "RMSprop", dict(learning_rate=0.005, momentum=0.7, rho=0.8)),
    ("rmsprop centered", "RMSprop", dict(learning_rate=0.005, centered=True, epsilon=1e-3)),
    ("rmsprop both", "RMSprop", dict(learning_rate=0.005, centered=True, momentum=0.5)),
    ("adagrad", "Adagrad", dict(learning_rate=0.05)),
    ("adagrad 0", "Adagrad", dict(learning_rate=0.05, initial_accumulator_value=0.0, epsilon=1e-4)),
    ("adadelta", "Adadelta", dict(learning_rate=1.0)),
    ("adadelta rho", "Adadelta", dict(learning_rate=2.0, rho=0.9, epsilon=1e-5)),
    ("adam", "Adam", dict(learning_rate=0.02)),
    ("adam betas", "Adam", dict(learning_rate=0.02, beta_1=0.8, beta_2=0.95, epsilon=1e-4)),
    ("adam amsgrad", "Adam", dict(learning_rate=0.02, beta_2=0.9, amsgrad=True)),
    ("adamax", "Adamax", dict(learning_rate=0.02)),
    ("nadam", "Nadam", dict(learning_rate=0.02)),
    ("nadam betas", "Nadam", dict(learning_rate=0.01, beta_1=0.8, beta_2=0.95)),
    ("ftrl", "Ftrl", dict(learning_rate=0.1)),
    ("ftrl penalties", "Ftrl", dict(learning_rate=0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.02,
                                    l2_shrinkage_regularization_strength=0.01, beta=0.1)),
    ("ftrl power", "Ftrl", dict(learning_rate=0.1, learning_rate_power=-0.3)),
] + COMMON
NEWEST = [
    ("adamw", "AdamW", dict(learning_rate=0.02, weight_decay=0.1)),
    ("lion", "Lion", dict(learning_rate=0.01, beta_1=0.8)),
    ("adafactor", "Adafactor", dict(learning_rate=0.05)),
    ("adafactor clip", "Adafactor", dict(learning_rate=0.05, clip_threshold=0.5, relative_step=False, epsilon_2=0.1)),
    ("global clipnorm", "SGD", dict(learning_rate=0.1, momentum=0.5, global_clipnorm=0.05)),
    ("sgd decay", "SGD", dict(learning_rate=0.1, weight_decay=0.05)),
    ("ema", "Adam", dict(learning_rate=0.02, use_ema=True, ema_momentum=0.9)),
    ("ema overwrite", "SGD", dict(learning_rate=0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3)),
]
SCHEDULES = [
    ("exponential", dict(name="ExponentialDecay", initial_learning_rate=0.2, decay_steps=4, decay_rate=0.5)),
    ("exponential staircase", dict(name="ExponentialDecay", initial_learning_rate=0.2, decay_steps=4, decay_rate=0.5,
                                   staircase=True)),
    ("inverse time", dict(name="InverseTimeDecay", initial_learning_rate=0.2, decay_steps=3, decay_rate=0.7)),
    ("piecewise", dict(name="PiecewiseConstantDecay", boundaries=[3, 9], values=[0.2, 0.1, 0.01])),
    ("polynomial", dict(name="PolynomialDecay", initial_learning_rate=0.2, decay_steps=12, end_learning_rate=0.01,
                        power=2.0)),
    ("polynomial cycle", dict(name="PolynomialDecay", initial_learning_rate=0.2, decay_steps=6, cycle=True)),
    ("cosine", dict(name="CosineDecay", initial_learning_rate=0.2, decay_steps=15, alpha=0.1)),
    ("cosine warmup", dict(name="CosineDecay", initial_learning_rate=0.01, decay_steps=10, warmup_target=0.2,
                           warmup_steps=5)),
    ("restarts", dict(name="CosineDecayRestarts", initial_learning_rate=0.2, first_decay_steps=4)),
    ("restarts equal", dict(name="CosineDecayRestarts", initial_learning_rate=0.2, first_decay_steps=5, t_mul=1.0,
                            m_mul=0.8, alpha=0.1)),
]
DECAYING = [
    ("sgd", "SGD", dict(lr=0.1, decay=0.05)),
    ("sgd nesterov", "SGD", dict(lr=0.05, momentum=0.9, nesterov=True, decay=0.02)),
    ("rmsprop", "RMSprop", dict(lr=0.01, epsilon=1e-3)),
    ("adagrad", "Adagrad", dict(lr=0.05, decay=0.03, epsilon=1e-3)),
    ("adadelta", "Adadelta", dict(lr=1.0, decay=0.01)),
    ("adam", "Adam", dict(lr=0.02, decay=0.05)),
    ("adamax", "Adamax", dict(lr=0.02, decay=0.05)),
    ("nadam", "Nadam", dict(lr=0.02, schedule_decay=0.05)),
    ("both clips", "SGD", dict(lr=0.1, clipnorm=0.2, clipvalue=0.05)),
] + [(label, name, dict(config, lr=config["learning_rate"])) for label, name, config in COMMON]


def keras3():
    for label, name, config in LATER + NEWEST:
        yield label, getattr(keras.optimizers, name)(**config)
    yield "lamb", keras.optimizers.Lamb(learning_rate=0.02)
    yield "muon", keras.optimizers.Muon(learning_rate=0.02, weight_decay=0.1)
    yield "muon plain", keras.optimizers.Muon(learning_rate=0.02, nesterov=False, rms_rate=None, exclude_layers=["e"])
    yield "schedule free", keras.optimizers.ScheduleFreeAdamW(learning_rate=0.02, warmup_steps=5, weight_decay=0.01)
    yield "accumulated", keras.optimizers.Adam(learning_rate=0.05, gradient_accumulation_steps=3, clipnorm=0.5)
    yield "accumulated nadam", keras.optimizers.Nadam(learning_rate=0.05, gradient_accumulation_steps=2, use_ema=True)
    yield "loss scale", keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(learning_rate=0.02),
                                                            dynamic_growth_steps=7)
    o = keras.optimizers
    yield "multi", o.MultiOptimizer(o.OptimizerMap(o.Nadam(0.02), {
        ".*d/.*": o.SGD(0.1, momentum=0.9), ".*e/kernel": o.Adam(0.02, clipnorm=0.1), "nothing": o.Adam()}))
    for label, config in SCHEDULES:
        yield label, keras.optimizers.SGD(learning_rate=schedule(**config), momentum=0.5)


def tf_keras():
    for label, name, config in LATER + NEWEST:
        yield label, getattr(keras.optimizers, name)(**config)


def tf_legacy():
    for label, name, config in LATER:
        yield label, getattr(keras.optimizers.legacy, name)(**config)
    yield "decay", keras.optimizers.legacy.SGD(learning_rate=0.1, momentum=0.5, decay=0.05)
    yield "global clipnorm", keras.optimizers.legacy.Adam(learning_rate=0.02, global_clipnorm=0.05)


def older():
    for label, name, config in DECAYING:
        config = {k: v for k, v in config.items() if k != "learning_rate"}
        yield label, getattr(keras.optimizers, name)(**config)
    if KIND == "keras2":
        yield "adam amsgrad", keras.optimizers.Adam(lr=0.02, beta_2=0.9, amsgrad=True)


def network(frozen):
    length = {} if KIND == "keras3" else {"input_length": WORDS}
    layers = [keras.layers.Embedding(7, 4, trainable=not frozen, **length),
              keras.layers.Flatten(), keras.layers.Dense(6, activation="tanh", name="d"),
              keras.layers.Dense(3, name="e")]
    if KIND == "keras3":
        layers.insert(0, keras.Input((WORDS,), dtype="int32"))
    model = keras.models.Sequential()
    for layer in layers:
        model.add(layer)
    return model


def serialized(optimizer):
    if KIND == "keras3":
        return keras.optimizers.serialize(optimizer)
    return {"class_name": optimizer.__class__.__name__, "config": optimizer.get_config()}


def state_of(optimizer):
    if KIND == "keras3":
        return [np.array(v) for v in optimizer.variables]
    if KIND == "tf_keras":
        return [v.numpy() for v in optimizer.variables]
    return optimizer.get_weights()


def cases():
    return {"keras3": keras3, "tf_keras": tf_keras, "tf_legacy": tf_legacy}.get(KIND, older)()


class Counted(object):
    """Takes what counts out of an optimizer of Keras 1 or 2, to do it behind each step."""

    def __init__(self, optimizer):
        self.optimizer, self.counters, real = optimizer, [], optimizer.get_updates

        def get_updates(*args, **kwargs):
            add = keras.backend.update_add
            keras.backend.update_add = self.later
            try:
                updates = real(*args, **kwargs)
            finally:
                keras.backend.update_add = add
            product = getattr(optimizer, "m_schedule", None)
            optimizer.updates = [u for u in updates if not (isinstance(u, tuple) and u[0] is product)]
            return optimizer.updates

        optimizer.get_updates = get_updates

    def later(self, variable, by):
        import tensorflow
        self.counters.append((variable, by))
        return tensorflow.no_op()

    def count(self):
        value, o = keras.backend.get_value, self.optimizer
        if hasattr(o, "m_schedule"):
            momentum = value(o.beta_1) * (1 - 0.5 * 0.96 ** ((value(o.iterations) + 1) * o.schedule_decay))
            keras.backend.set_value(o.m_schedule, value(o.m_schedule) * momentum)
        for variable, by in self.counters:
            keras.backend.set_value(variable, value(variable) + by)


def flat(arrays):
    return np.concatenate([np.ravel(a).astype("float32") for a in arrays] or [np.zeros(0, "float32")])


def main():
    arrays, listed, weights = {"begin": flat(begin), "x": xs, "y": ys}, [], []
    for i, (label, optimizer) in enumerate(cases()):
        frozen = KIND in ("keras1", "keras2") and "clip" in label  # it cannot clip the gradients of embeddings
        saved = serialized(optimizer)
        model = network(frozen)
        counted = Counted(optimizer) if KIND in ("keras1", "keras2") else None
        eagerly = {"run_eagerly": True} if KIND == "tf_keras" and "nadam" in label else {}
        model.compile(optimizer=optimizer, loss="mse", **eagerly)
        model.set_weights(begin)
        if KIND == "keras3":
            optimizer.build(model.trainable_variables)
        for x, y in zip(xs, ys):
            model.train_on_batch(x, y)
            if counted:
                counted.count()
        weights.append(flat(model.get_weights()))
        state = state_of(optimizer)
        arrays["state.%d" % i] = flat(state)
        listed.append({"label": label, "optimizer": saved, "frozen": frozen, "state": len(state)})
    where = os.path.join(HERE, "optimizers." + KIND)
    np.savez_compressed(where + ".npz", weights=np.stack(weights), **arrays)
    with open(where + ".json", "w") as f:
        json.dump({"model": json.loads(model.to_json()), "cases": listed}, f, indent=1, sort_keys=True, default=float)
        f.write("\n")


main()
