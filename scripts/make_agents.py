"""Policy networks as games have them, for tests/bench/agents.c: an MLP 24-64-64-4, one step of a GRU of 64 units, a small
CNN on 64 x 64 pixels; each as Cornu reads it (.keras) and as ONNX. usage: make_agents.py FOLDER (needs Keras 3, onnx)"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import onnx
from keras import layers as L
from onnx import TensorProto, helper, numpy_helper


def mlp():
    x = keras.Input((24,))
    y = L.Dense(64, activation="tanh")(x)
    y = L.Dense(64, activation="tanh")(y)
    return keras.Model(x, L.Dense(4)(y))


def gru():
    x, h = keras.Input((1, 16), name="x"), keras.Input((64,), name="h")
    y, state = L.GRU(64, return_state=True, name="gru")(x, initial_state=h)
    return keras.Model([x, h], [L.Dense(4, name="head")(y), state])


def cnn():
    x = keras.Input((64, 64, 1))
    y = L.Conv2D(8, 5, strides=2, activation="relu", padding="same")(x)
    y = L.Conv2D(16, 3, strides=2, activation="relu", padding="same")(y)
    y = L.Conv2D(32, 3, strides=2, activation="relu", padding="same")(y)
    return keras.Model(x, L.Dense(4)(L.Flatten()(y)))


def node(name, inputs, outputs, **attributes):
    return helper.make_node(name, inputs, outputs, **attributes)


def save_graph(path, nodes, inputs, outputs, arrays):
    def ports(named):
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in named]

    constants = [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in arrays.items()]
    graph = helper.make_graph(nodes, "agents", ports(inputs), ports(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


def dense_nodes(model):
    """Gemm and tanh for each Dense layer but the last, which has no tanh."""
    nodes, arrays, last = [], {}, "x"
    dense = [l for l in model.layers if isinstance(l, L.Dense)]
    for i, l in enumerate(dense):
        arrays["w%d" % i], arrays["b%d" % i] = l.get_weights()
        end = i == len(dense) - 1
        nodes.append(node("Gemm", [last, "w%d" % i, "b%d" % i], ["y" if end else "a%d" % i]))
        last = "t%d" % i
        if not end:
            nodes.append(node("Tanh", ["a%d" % i], [last]))
    return nodes, arrays


def save_mlp(model, path):
    nodes, arrays = dense_nodes(model)
    save_graph(path, nodes, [("x", ["n", 24])], [("y", ["n", 4])], arrays)


def save_gru(model, path):
    kernel, recurrent, bias = model.get_layer("gru").get_weights()
    w, b = model.get_layer("head").get_weights()
    arrays = {"k": kernel.T[None], "r": recurrent.T[None], "bias": bias.reshape(1, -1), "w": w, "b": b,
              "axis": np.array([0], np.int64)}
    nodes = [node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]), node("Unsqueeze", ["h", "axis"], ["h0"]),
             node("GRU", ["steps", "k", "r", "bias", "", "h0"], ["", "hn"], hidden_size=64, linear_before_reset=1),
             node("Squeeze", ["hn", "axis"], ["state"]), node("Gemm", ["state", "w", "b"], ["y"])]
    save_graph(path, nodes, [("x", ["n", 1, 16]), ("h", ["n", 64])], [("y", ["n", 4]), ("state", ["n", 64])], arrays)


def save_cnn(model, path):
    nodes, arrays, last = [node("Transpose", ["x"], ["p"], perm=[0, 3, 1, 2])], {}, "p"
    for i, l in enumerate(l for l in model.layers if isinstance(l, L.Conv2D)):
        kernel, arrays["cb%d" % i] = l.get_weights()
        arrays["c%d" % i] = kernel.transpose(3, 2, 0, 1)
        nodes += [node("Conv", [last, "c%d" % i, "cb%d" % i], ["o%d" % i], strides=[2, 2], auto_pad="SAME_UPPER"),
                  node("Relu", ["o%d" % i], ["r%d" % i])]
        last = "r%d" % i
    arrays["w"], arrays["b"] = model.layers[-1].get_weights()
    nodes += [node("Transpose", [last], ["q"], perm=[0, 2, 3, 1]), node("Flatten", ["q"], ["f"]),
              node("Gemm", ["f", "w", "b"], ["y"])]
    save_graph(path, nodes, [("x", ["n", 64, 64, 1])], [("y", ["n", 4])], arrays)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    keras.utils.set_random_seed(5)
    for name, make, save in [("mlp", mlp, save_mlp), ("gru", gru, save_gru), ("cnn", cnn, save_cnn)]:
        model = make()
        model.save(os.path.join(folder, name + ".keras"))
        save(model, os.path.join(folder, name + ".onnx"))


main(sys.argv[1])
