"""The arguments of Keras 3's classes and of Model's methods: tests/training/signatures.json. Run with Keras 3's Python."""
import inspect
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras

optimizers = keras.optimizers
families = {
    "layers": (keras.layers, keras.layers.Layer), "losses": (keras.losses, keras.losses.Loss),
    "metrics": (keras.metrics, keras.metrics.Metric), "optimizers": (optimizers, optimizers.Optimizer),
    "schedules": (optimizers.schedules, optimizers.schedules.LearningRateSchedule),
    "initializers": (keras.initializers, keras.initializers.Initializer),
    "regularizers": (keras.regularizers, keras.regularizers.Regularizer),
    "constraints": (keras.constraints, keras.constraints.Constraint),
    "callbacks": (keras.callbacks, keras.callbacks.Callback),
}
methods = "compile fit evaluate predict train_on_batch test_on_batch"


def arguments(f):
    """Names, those without a default with a star."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return " ".join(p.name + "*" * (p.default is p.empty) for p in inspect.signature(f).parameters.values()
                    if p.kind in named and p.name != "self")


said = {"methods": {name: arguments(getattr(keras.Model, name)) for name in methods.split()}}
for family, (module, base) in families.items():
    of_family = {name: getattr(module, name) for name in dir(module)}
    said[family] = {name: arguments(c.__init__) for name, c in of_family.items()
                    if inspect.isclass(c) and issubclass(c, base) and c is not base}
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/training/")
with open(folder + "signatures.json", "w") as f:
    json.dump(said, f, separators=(",", ":"))
    f.write("\n")
