"""Writes the small files of this folder. Needs h5py and NumPy: python3 make_files.py"""
import h5py
import numpy as np

# What Keras and h5py write: texts of every kind, lists in pieces, arrays of every dtype.
def kinds(f):
    f.attrs["variable"] = "gr\u00fcn"
    f.attrs["fixed"] = np.bytes_(b"abc")
    for name, pad, text in [("spaces", h5py.h5t.STR_SPACEPAD, b"ab    "), ("terminated", h5py.h5t.STR_NULLTERM, b"ab\0cde")]:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(pad)
        h5py.h5a.create(f.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR)).write(np.frombuffer(text, "S6")[0:1].reshape(()), mtype=kind)
    f.attrs["cut"] = np.bytes_(b"ab\0cde")
    f.attrs["one"] = np.array([b"single"])
    f.attrs["names"] = np.array([b"dense_1", b"full_wid"], "S8")
    f.attrs.create("variable_names", ["a", "bc"], dtype=h5py.string_dtype())
    f.attrs["empty"] = np.array([])
    f.attrs["pieces0"] = np.array([b"x0", b"x1"])
    f.attrs["pieces1"] = np.array([b"x2"])
    f.attrs["number"] = 42
    f.attrs["numbers"] = [1, 2]
    f.attrs["latin"] = np.bytes_(b"gr\xfcn")
    for t in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]:
        f["little/" + t] = np.array([[1, 2, 3], [4, 5, 100]], np.dtype(t).newbyteorder("<"))
        f["big/" + t] = np.array([[1, 2, 3], [4, 5, 100]], np.dtype(t).newbyteorder(">"))
    f["bool"] = np.array([True, False, True])
    f["bfloat16"] = np.array([0x3F80, 0xC000], "<u2").view("V2")
    f["scalar"] = np.float32(2.5)
    f["none"] = np.zeros((0, 3), "float32")
    f.create_dataset("dense/dense/kernel:0", data=np.ones((2, 2), "float32"))
    f.create_group("order")
    for name in ["10", "9", "b", "a", "0"]:
        f["order"].create_group(name)


# As Keras writes it, and so that libhdf5 alone reads it.
with h5py.File("plain.h5", "w") as f:
    kinds(f)
with h5py.File("kinds.h5", "w", userblock_size=512) as f:
    kinds(f)
    f["type"] = np.dtype("float32")
    f.create_dataset("shared", data=np.zeros(2), dtype=f["type"])
    f.create_dataset("packed", data=np.arange(1000, dtype="float32").reshape(50, 20), chunks=(16, 20), compression="gzip", shuffle=True, fletcher32=True)

# compiled2.h5 of shared messages: a model and its optimizer that libhdf5 alone reads.
with h5py.File("compiled2.h5") as f, h5py.File("compiled2_shared.h5", "w") as to:
    for name, value in f.attrs.items():
        to.attrs[name] = value
    to["type"] = np.dtype("float32")

    def copy(name, object):
        if isinstance(object, h5py.Dataset):
            dtype = to["type"] if object.dtype == "float32" else object.dtype
            to.create_dataset(name, data=object[()], dtype=dtype)
        for key, value in object.attrs.items():
            to.require_group(name).attrs[key] = value
    f.visititems(copy)

# The later formats: many links and attributes in fractal heaps, few ones in the header, others' data in front.
with h5py.File("latest.h5", "w", libver="latest", userblock_size=512) as f:
    kinds(f)
    for i in range(1500):
        f["many/layer_%d" % i] = f["scalar"]
    f.attrs["long"] = np.array([b"%040d" % i for i in range(2000)])
    f.attrs["middle"] = np.array([b"%040d" % i for i in range(60)])

# What must be refused.


def refused(f):
    f["real"] = np.arange(4, dtype="float32")
    f["soft"] = h5py.SoftLink("/real")
    f.create_dataset("outside", shape=(4,), dtype="float32", external=[("kinds.h5", 0, 16)])
    f["compound"] = np.zeros(2, [("a", "f4"), ("b", "i4")])
    f.create_dataset("texts", data=["a", "b"], dtype=h5py.string_dtype())
    f.create_dataset("lists", shape=(1,), dtype=h5py.vlen_dtype("int32"))
    f.create_dataset("references", shape=(1,), dtype=h5py.ref_dtype)
    f["enumeration"] = np.zeros(2, h5py.enum_dtype({"RED": 0, "GREEN": 1}, basetype="i1"))
    f["opaque"] = np.zeros(2, "V5")
    f["complex"] = np.zeros(2, "c8")
    f.create_dataset("unwritten", shape=(1000, 1000), dtype="float32")
    f.create_dataset("deep", shape=(1,) * 9, dtype="float32")
    f["deep"][...] = 1


with h5py.File("refused_plain.h5", "w") as f:
    refused(f)
with h5py.File("refused.h5", "w") as f:
    refused(f)
    f["external"] = h5py.ExternalLink("kinds.h5", "/scalar")
    layout = h5py.VirtualLayout(shape=(3,), dtype="float32")
    layout[:] = h5py.VirtualSource("kinds.h5", "little/float32", shape=(2, 3))[0]
    f.create_virtual_dataset("virtual", layout)
    f.create_dataset("filter", data=np.arange(8), chunks=(8,), scaleoffset=4)
    f.create_dataset("lzf", data=np.arange(8), chunks=(8,), compression="lzf")
    f.create_dataset("bomb", shape=(1 << 20, 1 << 20), dtype="float32", chunks=(1024, 1024), compression="gzip")
    cycle = f.create_group("cycle")
    cycle["again"] = f["/"]
with h5py.File("large.h5", "w") as f:
    f["large"] = np.arange(20000, dtype="float32")
with h5py.File("cycle.h5", "w") as f:
    f.create_group("cycle")["again"] = f["/"]

# What repacking makes of arrays: chunks that do not divide the shape, every filter, and trees of two levels.
with h5py.File("packed.h5", "w") as f:
    whole = np.arange(7 * 9 * 5, dtype="float32").reshape(7, 9, 5)
    ways = {"plain": {}, "gzip": {"compression": "gzip"}, "sum": {"fletcher32": True}, "shuffle": {"shuffle": True},
            "all": {"compression": "gzip", "shuffle": True, "fletcher32": True}}
    for name, way in ways.items():
        f.create_dataset(name, data=whole, chunks=(3, 2, 4), **way)
    f.create_dataset("big", data=whole.astype(">f4"), chunks=(2, 9, 5), compression="gzip", shuffle=True)
    f.create_dataset("half", data=np.arange(20, dtype="float16"), chunks=(7,), compression="gzip")
    f.create_dataset("many", data=np.arange(400, dtype="int32"), chunks=(2,))
    f.create_dataset("grows", data=np.arange(10, dtype="float64"), chunks=(4,), maxshape=(None,))
    part = f.create_dataset("part", shape=(8,), dtype="float32", chunks=(4,))
    part[:4] = 1
    f.create_dataset("bomb", shape=(1 << 20, 1 << 10), dtype="float32", chunks=(1024, 1024), compression="gzip")

# Chunks that were never written, with and without a value for them.
for name, libver in [("unwritten.h5", "earliest"), ("unwritten_latest.h5", "latest")]:
    with h5py.File(name, "w", libver=libver) as f:
        f.create_dataset("zeros", shape=(8,), dtype="float32", chunks=(4,))[:4] = 1
        f.create_dataset("filled", shape=(5,), dtype="int16", chunks=(2,), fillvalue=-3)[2:4] = 7
        f.create_dataset("none", shape=(3, 2), dtype=">f4", chunks=(2, 2), fillvalue=2.5, compression="gzip")
        f.create_dataset("grows", shape=(3,), dtype="int16", chunks=(2,), fillvalue=4, maxshape=(None,))[0] = 9

# Every index of the later layout: a single chunk, implicit places, an array of fixed size (in pages, too), one that grows
# (with blocks of blocks), a tree; plain and packed, and shapes smaller than they may be.
with h5py.File("packed_latest.h5", "w", libver="latest") as f:
    whole = np.arange(7 * 9 * 5, dtype="float32").reshape(7, 9, 5)
    for name, way in [("", {}), ("_all", {"compression": "gzip", "shuffle": True, "fletcher32": True})]:
        f.create_dataset("single" + name, data=whole, chunks=whole.shape, **way)
        f.create_dataset("fixed" + name, data=whole, chunks=(3, 2, 4), **way)
        f.create_dataset("most" + name, data=whole, chunks=(3, 2, 4), maxshape=(9, 20, 5), **way)
        f.create_dataset("grows" + name, data=whole, chunks=(3, 2, 4), maxshape=(11, None, 6), **way)
        f.create_dataset("tree" + name, data=whole, chunks=(2, 1, 1), maxshape=(None, None, 5), **way)
    f.create_dataset("pages", data=np.arange(1500, dtype="int16"), chunks=(1,))
    f.create_dataset("long", data=np.arange(700, dtype="int16"), chunks=(1,), maxshape=(None,))
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((3, 2, 4))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    h5py.h5d.create(f.id, b"implicit", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(whole.shape, (8, 9, 9)), early)
    f["implicit"][...] = whole
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(f.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(whole.shape), compact)
    f["compact"][...] = whole
    part = f.create_dataset("part", shape=(8,), dtype="float32", chunks=(4,))
    part[:4] = 1
    f.create_dataset("bomb", shape=(1 << 20, 1 << 10), dtype="float32", chunks=(1024, 1024), compression="gzip")

# A file that was cut off.
with open("plain.h5", "rb") as whole, open("cut.h5", "wb") as cut:
    cut.write(whole.read()[:4000])

# One small picture in the ways that PNG and JPEG have. Needs Pillow.
from PIL import Image

palette = Image.new("P", (2, 2))
palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 255, 255, 255])
palette.putdata([0, 1, 2, 3])
palette.save("palette.png")
palette.save("palette_alpha.png", transparency=bytes([255, 0, 128, 255]))
Image.fromarray(np.array([[0, 128 * 257], [200 * 257, 65535]], "uint16")).save("grey16.png")
Image.fromarray(np.array([[0, 255], [255, 0]], "uint8")).convert("1").save("bits.png")
Image.fromarray(np.array([[[0, 255], [100, 128]], [[200, 0], [255, 255]]], "uint8"), "LA").save("grey_alpha.png")
Image.new("L", (8, 8), 100).save("grey.jpg", quality=95)
Image.new("RGB", (8, 8), (200, 100, 50)).save("rgb.jpg", quality=95)
Image.new("RGB", (8, 8), (200, 100, 50)).save("progressive.jpg", quality=95, progressive=True)
Image.new("CMYK", (8, 8), (200, 100, 50, 0)).save("cmyk.jpg")

# Models as Keras writes them, with numbers that tell where they belong: array i of a layer begins with 10 * layer + i.
import io
import json
import zipfile


def dense(name, units, extra=None, entry=None):
    config = {"name": name, "trainable": True, "units": units, "activation": "linear", "use_bias": True}
    config.update(extra or {})
    return dict({"class_name": "Dense", "config": config}, **(entry or {}))


def sequential(layers, name="net"):
    layers[0]["config"].setdefault("batch_input_shape", [None, 3])
    return {"class_name": "Sequential", "config": {"name": name, "layers": layers}}


def ramp(first, *shape):
    return (first + np.arange(np.prod(shape, dtype=int)) / 1000).reshape(shape).astype("float32")


def legacy(path, config, layers, version="2.2.4", full=True):
    """layers: name -> [(weight name, array), …]"""
    with h5py.File(path, "w") as f:
        group = f
        if full:
            f.attrs["model_config"] = json.dumps(config)
            f.attrs["training_config"] = json.dumps({"loss": "mse", "sample_weight_mode": None})
            if version:
                f.attrs["keras_version"] = version
                f.attrs["backend"] = "tensorflow"
            group = f.create_group("model_weights")
        group.attrs["layer_names"] = [n.encode() for n in layers]
        if version:
            group.attrs["keras_version"] = version.encode()
            group.attrs["backend"] = b"tensorflow"
        for name, weights in layers.items():
            g = group.create_group(name)
            g.attrs["weight_names"] = [n.encode() for n, _ in weights]
            for n, a in weights:
                g[n] = a


def pair(name, first, rows, columns):
    return [(name + "/kernel:0", ramp(first, rows, columns)), (name + "/bias:0", ramp(first + 1, columns))]


two = sequential([dense("a", 4), dense("b", 2)])
with open("two.json", "w") as f:
    json.dump(dict(two, keras_version="2.2.4", backend="tensorflow"), f)
with open("two_in_text.json", "w") as f:
    json.dump(json.dumps(dict(two, keras_version="2.2.4", backend="tensorflow")), f)
legacy("two.h5", two, {"a": pair("a", 10, 3, 4), "none": [], "b": pair("b", 20, 4, 2)})
legacy("renamed.weights.h5", None, {"x": pair("x", 10, 3, 4), "y": pair("y", 20, 4, 2)}, full=False)
legacy("swapped.h5", None, {"b": pair("b", 20, 4, 2), "a": pair("a", 10, 3, 4), "c": pair("c", 30, 2, 2)}, full=False)
legacy("misfit.h5", two, {"a": pair("a", 10, 3, 5), "b": pair("b", 20, 5, 2)})
legacy("more.h5", two, {"a": pair("a", 10, 3, 4), "b": pair("b", 20, 4, 2), "c": pair("c", 30, 2, 2)})
legacy("missing_array.h5", two, {"a": pair("a", 10, 3, 4)[:1], "b": pair("b", 20, 4, 2)})
legacy("keras1.h5", None, {"dense_1": [("dense_1_W", ramp(10, 3, 4)), ("dense_1_b", ramp(11, 4))],
                           "dense_2": [("dense_2_W", ramp(20, 4, 2)), ("dense_2_b", ramp(21, 2))]}, version=None, full=False)
with h5py.File("numbered.h5", "w") as f:
    f.attrs["nb_layers"] = 3
    for i, weights in enumerate([pair("a", 10, 3, 4), [], pair("b", 20, 4, 2)]):
        g = f.create_group("layer_%d" % i)
        g.attrs["nb_params"] = len(weights)
        for k, (_, a) in enumerate(weights):
            g["param_%d" % k] = a

# A nested model with a frozen layer: its arrays come behind those of the others.
inner = sequential([dense("frozen", 3, {"trainable": False}), dense("free", 3)], "inner")
nested = sequential([inner, dense("b", 2)])
nested["config"]["layers"][0]["config"].pop("batch_input_shape", None)
legacy("nested.h5", nested, {"inner": pair("free", 30, 3, 3) + pair("frozen", 10, 3, 3), "b": pair("b", 20, 3, 2)})
legacy("nested_order.h5", nested, {"inner": pair("p", 30, 3, 3) + pair("q", 10, 3, 3), "b": pair("b", 20, 3, 2)})


# .keras archives: keys by class (Keras 3), by class with layers counted twice (TensorFlow 2.13), or by layer.
def archive(path, config, arrays, list_name, compression=zipfile.ZIP_STORED, version="3.15.1"):
    weights = io.BytesIO()
    with h5py.File(weights, "w") as f:
        for key, values in arrays.items():
            for i, a in enumerate(values):
                f["%s/%s/vars/%d" % (list_name, key, i)] = a
    with zipfile.ZipFile(path, "w", compression) as z:
        for name, data in [("metadata.json", json.dumps({"keras_version": version, "date_saved": "2026-01-01@00:00:00"})),
                           ("config.json", json.dumps(config)), ("model.weights.h5", weights.getvalue())]:
            z.writestr(zipfile.ZipInfo(name), data, compression)


values = lambda first, rows, columns: [a for _, a in pair("", first, rows, columns)]
named = {"module": "keras.layers", "registered_name": None}
three = dict(sequential([dense("a", 4, entry=named), dense("b", 2, entry=named)]), module="keras", registered_name="Sequential", compile_config={"loss": "mse"})
archive("three.keras", three, {"dense": values(10, 3, 4), "dense_1": values(20, 4, 2)}, "layers")
archive("three_packed.keras", three, {"dense": values(10, 3, 4), "dense_1": values(20, 4, 2)}, "layers", zipfile.ZIP_DEFLATED)
archive("by_layer.keras", three, {"b": values(20, 4, 2), "a": values(10, 3, 4)}, "_layer_checkpoint_dependencies", version="2.13.1")
archive("twice.keras", three, {"dense": values(10, 3, 4), "dense_2": values(20, 4, 2)}, "_layer_checkpoint_dependencies", version="2.13.1")
archive("short.keras", three, {"dense": values(10, 3, 4)}, "layers")
archive("extra.keras", three, {"dense": values(10, 3, 4), "dense_1": values(20, 4, 2), "dense_2": values(30, 2, 2)}, "layers")

# A class that Cornu does not know: y = x * scale + shift, its own weight and a part's.
scale = {"class_name": "Scale", "config": {"name": "scale_1", "trainable": True, "batch_input_shape": [None, 3]}, "registered_name": "pkg>Scale", "module": None}
unknown = sequential([scale, dense("b", 2, entry=named)])
legacy("custom.h5", unknown, {"scale_1": [("scale_1/scale:0", ramp(2, 3)), ("scale_1/part/shift:0", ramp(5, 3))], "b": pair("b", 20, 3, 2)})
archive("custom.keras", unknown, {"scale": [ramp(2, 3)], "scale/part": [ramp(5, 3)], "dense": values(20, 3, 2)}, "layers")

# A layer shared by two nested models is stored at its first place; Keras 3 counts it again, tf.keras does not.
shared = dense("sh", 3, entry=named)
again = dict(dense("sh", 3, entry=named), shared_object_id=7)
twins = sequential([sequential([shared], "A"), sequential([again, dense("other", 3, entry=named)], "B")])
twins["config"]["layers"][0]["config"].pop("batch_input_shape", None)
for path, version, other in [("shared3.keras", "3.15.1", "dense_1"), ("shared2.keras", "2.21.0", "dense")]:
    archive(path, twins, {"sequential/layers/dense": values(10, 3, 3), "sequential_1/layers/" + other: values(20, 3, 3)}, "layers", version=version)

# The forward layer was frozen after it had been wrapped: its arrays come last, and only their names tell.
lstm = {"class_name": "LSTM", "config": {"name": "l", "units": 1, "activation": "tanh", "recurrent_activation": "sigmoid"}}
both = sequential([{"class_name": "Bidirectional", "config": {"name": "bi", "layer": lstm, "merge_mode": "concat", "batch_input_shape": [None, 5, 1]}}])
parts = lambda part, first: [("bi/%s_l/lstm_cell/%s:0" % (part, n), ramp(first + i, *s)) for i, (n, s) in
                             enumerate([("kernel", (1, 4)), ("recurrent_kernel", (1, 4)), ("bias", (4,))])]
legacy("bidirectional.h5", both, {"bi": parts("backward", 20) + parts("forward", 10)}, version="2.11.0")

# compiled2.h5 (Dense(3), Dense(2) on 4 numbers) is from Keras 2.3.1, compiled3.keras (Dense(2)) from 3.15.1: compile("adam",
# "mse"), fit with ones in two epochs of one batch, save.
