"""Writes the small files of this folder. Needs h5py and NumPy: python3 make_files.py"""
import h5py
import numpy as np

# What Keras and h5py write: texts of every kind, lists in pieces, arrays of every dtype.
with h5py.File("kinds.h5", "w", userblock_size=512) as f:
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
    f.create_dataset("packed", data=np.arange(1000, dtype="float32").reshape(50, 20), chunks=(16, 20), compression="gzip", shuffle=True, fletcher32=True)
    f.create_dataset("dense/dense/kernel:0", data=np.ones((2, 2), "float32"))
    f.create_group("order")
    for name in ["10", "9", "b", "a", "0"]:
        f["order"].create_group(name)

# What must be refused.
with h5py.File("refused.h5", "w") as f:
    f["real"] = np.arange(4, dtype="float32")
    f["soft"] = h5py.SoftLink("/real")
    f["external"] = h5py.ExternalLink("kinds.h5", "/scalar")
    f.create_dataset("outside", shape=(4,), dtype="float32", external=[("kinds.h5", 0, 16)])
    layout = h5py.VirtualLayout(shape=(3,), dtype="float32")
    layout[:] = h5py.VirtualSource("kinds.h5", "little/float32", shape=(2, 3))[0]
    f.create_virtual_dataset("virtual", layout)
    f.create_dataset("filter", data=np.arange(8), chunks=(8,), scaleoffset=4)
    f.create_dataset("lzf", data=np.arange(8), chunks=(8,), compression="lzf")
    f["compound"] = np.zeros(2, [("a", "f4"), ("b", "i4")])
    f.create_dataset("texts", data=["a", "b"], dtype=h5py.string_dtype())
    f.create_dataset("lists", shape=(1,), dtype=h5py.vlen_dtype("int32"))
    f.create_dataset("references", shape=(1,), dtype=h5py.ref_dtype)
    f["enumeration"] = np.zeros(2, h5py.enum_dtype({"RED": 0, "GREEN": 1}, basetype="i1"))
    f["opaque"] = np.zeros(2, "V5")
    f["complex"] = np.zeros(2, "c8")
    f.create_dataset("unwritten", shape=(1000, 1000), dtype="float32")
    f.create_dataset("bomb", shape=(1 << 20, 1 << 20), dtype="float32", chunks=(1024, 1024), compression="gzip")
    f.create_dataset("deep", shape=(1,) * 9, dtype="float32")
    f["deep"][...] = 1
    cycle = f.create_group("cycle")
    cycle["again"] = f["/"]

# A file that was cut off.
with open("kinds.h5", "rb") as whole, open("cut.h5", "wb") as cut:
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
