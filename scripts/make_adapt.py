"""What Keras's preprocessing layers learn by adapt(): tests/training/adapt.json. Run with Keras 3's Python."""
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras
from keras import layers

TEXTS = ["The cat sat on the mat.", "the dog; the CAT!", "a  mat\tis a mat", "", "zebra apple Apple zebra é", "[UNK] cat"]
WORDS = [["a", "b", "b"], ["c", "a", "zz"], ["", "c", "b"], ["é", "[UNK]", "b"]]
NUMBERS = [[5, 3, 3], [-1, 7, 5], [3, 0, 12], [7, 7, -2]]


def plain(x):
    return x.item() if isinstance(x, np.generic) else x


def case(cls, config, batches, probe, stream=False):
    layer = getattr(layers, cls)(**config)
    if stream:
        layer.adapt(np.array(b) for b in batches)
    else:
        layer.adapt(np.array(batches[0]))
    out = np.asarray(layer(np.array(probe)))
    said = {"class": cls, "config": config, "batches": batches, "stream": stream, "probe": probe,
            "dtype": str(out.dtype), "output": out.tolist()}
    if cls == "Discretization":
        said["boundaries"] = layer.bin_boundaries
    else:
        said["vocabulary"] = [plain(w) for w in layer.get_vocabulary()]
        said["words"] = [plain(w) for w in layer.get_vocabulary(include_special_tokens=False)]
        said["size"] = layer.vocabulary_size()
    return said


def vectorizations():
    for config in [{}, {"max_tokens": 5}, {"standardize": "lower"}, {"standardize": "strip_punctuation"},
                   {"standardize": None}, {"split": "character"}, {"ngrams": 2}, {"ngrams": 3, "max_tokens": 12},
                   {"output_mode": "tf_idf"}, {"output_mode": "tf_idf", "max_tokens": 6, "pad_to_max_tokens": True},
                   {"output_mode": "multi_hot", "max_tokens": 50, "pad_to_max_tokens": True},
                   {"output_mode": "count", "ngrams": 2}, {"output_sequence_length": 4}]:
        yield case("TextVectorization", config, [TEXTS], TEXTS[::-1])
    yield case("TextVectorization", {"output_mode": "tf_idf"}, [TEXTS[:2], TEXTS[2:]], TEXTS, stream=True)
    yield case("TextVectorization", {"split": None, "output_mode": "tf_idf"}, [WORDS], WORDS)
    yield case("TextVectorization", {"split": None, "standardize": None, "ngrams": 2, "output_mode": "multi_hot"}, [WORDS],
               WORDS)


def lookups(cls, data):
    flat = [x for row in data for x in row]
    for config in [{}, {"max_tokens": 4}, {"num_oov_indices": 2}, {"num_oov_indices": 0},
                   {"output_mode": "one_hot"}, {"output_mode": "count", "num_oov_indices": 3}, {"output_mode": "tf_idf"},
                   {"output_mode": "tf_idf", "max_tokens": 20, "pad_to_max_tokens": True}]:
        if config.get("output_mode") == "one_hot":
            yield case(cls, config, [flat], flat)
        else:
            probe = data[:2] if config.get("num_oov_indices") == 0 and cls == "StringLookup" else data
            yield case(cls, config, [data], data[0:1] if config.get("num_oov_indices") == 0 else probe)
    yield case(cls, {"output_mode": "tf_idf"}, [flat], data)
    yield case(cls, {"output_mode": "tf_idf"}, [flat[:5], flat[5:]], data, stream=True)
    yield case(cls, {"mask_token": data[0][1]}, [data], data)
    yield case(cls, {"mask_token": data[0][1], "output_mode": "multi_hot"}, [data], data)
    yield case(cls, {"oov_token": data[0][0]}, [data], data)


def bins():
    rng = np.random.default_rng(4)
    few = [round(float(v), 3) for v in rng.normal(size=7)]
    many = [float(v) for v in rng.gamma(2.0, size=523).astype("float32").round(3)]
    ties = [float(v) for v in rng.integers(0, 9, size=260)]
    for data in (few, many, ties):
        for n in (1, 2, 4, 9):
            for epsilon in (0.01, 0.1):
                yield case("Discretization", {"num_bins": n, "epsilon": epsilon}, [data], data[:9])
    parts = [many[:150], many[150:160], many[160:]]
    yield case("Discretization", {"num_bins": 5}, parts, many[:9], stream=True)
    yield case("Discretization", {"num_bins": 4, "epsilon": 0.05}, parts, many[:9], stream=True)
    yield case("Discretization", {"num_bins": 4, "output_mode": "one_hot"}, [many], many[:9])


arrays = []


def place(array):
    """The array's place, from 1 on, in a list where each is once."""
    if array not in arrays:
        arrays.append(array)
    return arrays.index(array) + 1


cases = [*vectorizations(), *lookups("StringLookup", WORDS), *lookups("IntegerLookup", NUMBERS), *bins()]
for c in cases:
    c.update(batches=[place(b) for b in c["batches"]], probe=place(c["probe"]))
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/training/adapt.json")
with open(path, "w") as f:
    json.dump({"keras": keras.__version__, "arrays": arrays, "cases": cases}, f, ensure_ascii=False, separators=(",", ":"))
    f.write("\n")
print(len(cases), "cases")
