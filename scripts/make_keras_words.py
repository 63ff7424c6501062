"""Writes src/formats/keras_words.c: the keys that configs of layers may have in Keras 3 and in Keras 2 ("!trainable": not
that one), and the modules of Keras 3's operations, as the installed Kerases tell. usage: make_keras_words.py K3_PYTHON K2_PYTHON > keras_words.c"""
import json, subprocess, sys

THREE = r"""
import inspect, json, os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, tf_keras
from keras.src.ops.operation import Operation
import keras.src.ops as ops
import importlib
def keys(cls, stop):
    found, more = [], True
    for c in cls.__mro__:
        if c in stop or not more: break
        if "__init__" not in c.__dict__: continue
        more = False
        for p in list(inspect.signature(c.__init__).parameters.values())[1:]:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                if p.name not in found: found.append(p.name)
            elif p.kind == p.VAR_KEYWORD: more = True
    none = [] if more or "trainable" in found else ["!trainable"]
    return [k for k in found if k not in ("name", "dtype", "trainable", "activity_regularizer", "autocast")] + none
def layers(module, base):
    out = {}
    for n in dir(module.layers):
        c = getattr(module.layers, n)
        if inspect.isclass(c) and issubclass(c, base): out[n] = " ".join(keys(c, (base,)))
    out["CustomScaleLayer"] = "scale" # of keras.applications
    return out
mods = {}
for m in ("numpy", "nn", "core", "math", "linalg", "image", "einops"):
    mod = importlib.import_module("keras.src.ops." + m)
    for n, c in vars(mod).items():
        if inspect.isclass(c) and issubclass(c, Operation) and c is not Operation and c.__module__ == mod.__name__: mods[n] = m
print(json.dumps([layers(keras, keras.layers.Layer), layers(tf_keras, tf_keras.layers.Layer), mods]))
"""
TWO = r"""
import inspect, json
import keras
out = {}
for n in dir(keras.layers):
    c = getattr(keras.layers, n)
    if not inspect.isclass(c) or not issubclass(c, keras.layers.Layer): continue
    found, more = [], True
    for k in c.__mro__:
        if k is keras.layers.Layer or not more: break
        if "__init__" not in k.__dict__: continue
        f = k.__init__
        while hasattr(f, "__wrapped__"): f = f.__wrapped__
        s = inspect.getfullargspec(f)
        found += [a for a in s.args[1:] + s.kwonlyargs if a not in found]
        more = s.varkw is not None
    none = [] if more or "trainable" in found else ["!trainable"]
    out[n] = " ".join([a for a in found if a not in ("name", "dtype", "trainable", "activity_regularizer")] + none)
print("JSON" + json.dumps(out))
"""

def run(python, code):
    text = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return json.loads(text[max(text.rfind("JSON") + 4, 0) if "JSON" in text else text.index("["):])

def table(name, rows):
    lines = ["const cn_keras_words %s[] = {" % name]
    for key in sorted(rows):
        text = '    {"%s", "' % key
        words = rows[key].split(" ")
        while words:
            room, part = 112 - len(text), ""
            while words and len(part) + len(words[0]) + 1 <= room: part += words.pop(0) + " "
            lines.append(text + (part.rstrip() + '"},' if not words else part + '"'))
            text = '     "'
    return "\n".join(lines + ["    {0}};", ""])

three, tf, modules = run(sys.argv[1], THREE)
for name, words in run(sys.argv[2], TWO).items():
    have = tf.get(name, "").split()
    tf[name] = " ".join(have + [w for w in words.split() if w not in have])
print("/* Made by scripts/make_keras_words.py. */\n#include \"formats/keras_words.h\"\n")
print(table("cn_keras3_keys", three))
print(table("cn_keras2_keys", tf))
print(table("cn_keras3_modules", modules), end="")
