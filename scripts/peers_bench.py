#!/usr/bin/env python3
"""Keras models in Cornu and in other engines of the same machine: latency side by side, and how often Cornu is faster.

  python -m venv peers; peers/bin/pip install tensorflow tf2onnx onnxruntime openvino ai-edge-litert
  peers/bin/python scripts/peers_bench.py --models resnet50,mobilenetv2 --threads 1,2 --batches 1,8 [my_model.keras …]

--models names small nets made here (mlp, cnn, lstm) and classes of keras.applications in lower case; weights are
random. Each engine runs in a process of its own; in every round each has a short turn, so that all see the same machine.
Printed are medians over the rounds of the median of a turn, in milliseconds, and the latency of the fastest other engine
divided by Cornu's: above 1 Cornu is faster. An engine is called the way its users do: Cornu from Lua, the others from
Python. What an engine cannot convert stays empty; STEM.ENGINE.log in the work folder tells why.
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = ["cornu", "ort", "openvino", "litert", "tensorflow"]


# ---- models and their inputs ----

def small_net(name):
    import keras
    from keras import layers
    nets = {
        "mlp": [(24,), layers.Dense(64, "tanh"), layers.Dense(64, "tanh"), layers.Dense(4)],
        "cnn": [(28, 28, 1), layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(64, 3, activation="relu"),
                layers.MaxPooling2D(), layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(10, "softmax")],
        "lstm": [(80, 128), layers.LSTM(128), layers.Dense(1, "sigmoid")],
    }
    return keras.Sequential([keras.Input(nets[name][0])] + nets[name][1:]) if name in nets else None


def make_model(name, path):
    import keras
    keras.utils.set_random_seed(1)
    model = small_net(name)
    if model is None:
        known = {k.lower(): v for k, v in vars(keras.applications).items() if isinstance(v, type(make_model))}
        if name not in known:
            sys.exit(f"no model {name}: a small net, one of {' '.join(sorted(known))}, or a path")
        model = known[name](weights=None)
    for layer in model.layers:  # statistics that are not all 0 and 1
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta, mean + 0.1, variance * 1.5])
    model.save(path)


def make_inputs(model, batch, path):
    import numpy
    random, arrays = numpy.random.default_rng(0), {}
    for i, x in enumerate(model.inputs):
        shape = [batch] + [64 if d is None else d for d in x.shape[1:]]
        whole = "int" in str(x.dtype)
        arrays[f"{i:03}"] = numpy.zeros(shape, "int32") if whole else random.random(shape, "float32")
    numpy.savez(path, **arrays)


def convert(path, stem):
    """What each engine reads, made once: STEM.onnx, STEM.tflite."""
    import keras
    import tensorflow
    model = keras.models.load_model(path, compile=False)
    signature = [tensorflow.TensorSpec([None] + list(x.shape[1:]), x.dtype, name=f"x{i}")
                 for i, x in enumerate(model.inputs)]
    call = tensorflow.function(lambda *x: model(x[0] if len(x) == 1 else list(x), training=False),
                               input_signature=signature)

    def to_onnx():
        import tf2onnx
        tf2onnx.convert.from_function(call, input_signature=signature, opset=17, output_path=stem + ".onnx")

    def to_tflite():
        converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function()], model)
        with open(stem + ".tflite", "wb") as f:
            f.write(converter.convert())

    for suffix, make in ((".onnx", to_onnx), (".tflite", to_tflite)):
        if not os.path.exists(stem + suffix):
            try:
                make()
            except Exception as why:
                print(f"{stem}{suffix}: {str(why).splitlines()[0][:200]}", file=sys.stderr)
    return model


def prepare(name, work, batches):
    stem = os.path.join(work, os.path.splitext(os.path.basename(name))[0])
    path = name if os.path.exists(name) else stem + ".keras"
    if not os.path.exists(path):
        make_model(name, path)
    model = convert(path, stem)
    for batch in batches:
        make_inputs(model, batch, f"{stem}.{batch}.npz")


# ---- the engines: a function that runs the model on a list of arrays ----

def open_ort(path, stem, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(stem + ".onnx", options, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]
    return lambda arrays: session.run(None, dict(zip(names, arrays)))


def open_openvino(path, stem, threads):
    import openvino
    compiled = openvino.Core().compile_model(stem + ".onnx", "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    return lambda arrays: list(request.infer(arrays, share_inputs=True).values())


def open_litert(path, stem, threads):
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(stem + ".tflite", num_threads=threads)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    inputs.sort(key=lambda x: x["name"])
    sized = []

    def run(arrays):
        if not sized:
            for x, array in zip(inputs, arrays):
                interpreter.resize_tensor_input(x["index"], array.shape)
            interpreter.allocate_tensors()
            sized.append(True)
        for x, array in zip(inputs, arrays):
            interpreter.set_tensor(x["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(y["index"]) for y in outputs]
    return run


def open_tensorflow(path, stem, threads):
    import keras
    import tensorflow
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.models.load_model(path, compile=False)
    call = tensorflow.function(lambda x: model(x, training=False))
    return lambda arrays: call(arrays[0] if len(arrays) == 1 else arrays)


# ---- a process for each engine: it says "ready", then answers a number of seconds with a median in seconds ----

def serve(peer, path, stem, threads, batch):
    import numpy
    arrays = [a for _, a in sorted(numpy.load(f"{stem}.{batch}.npz").items())]
    run = globals()["open_" + peer](path, stem, threads)
    run(arrays)
    print("ready", flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + float(line)
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            run(arrays)
            times.append(time.perf_counter() - start)
        print(statistics.median(times), flush=True)


def start(peer, path, stem, threads, batch, cornu):
    job = [path, stem, str(threads), str(batch)]
    command = [sys.executable, __file__, "--serve", peer]
    if peer == "cornu":
        command = [cornu, os.path.join(HERE, "peers_worker.lua")]
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", OMP_NUM_THREADS=str(threads))
    with open(f"{stem}.{peer}.log", "w") as log:
        p = subprocess.Popen(command + job, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                             env=environment)
    for line in p.stdout:
        if line.strip() == "ready":
            return p
    p.wait()
    return None  # its log tells why


def ask(p, seconds):
    p.stdin.write(f"{seconds}\n")
    p.stdin.flush()
    return float(p.stdout.readline())


def measure(name, threads, batch, options):
    stem = os.path.join(options.work, os.path.splitext(os.path.basename(name))[0])
    path = name if os.path.exists(name) else stem + ".keras"
    running = {peer: start(peer, path, stem, threads, batch, options.cornu) for peer in options.peers}
    turns = {peer: [] for peer, p in running.items() if p}
    for _ in range(options.rounds):
        for peer in turns:
            turns[peer].append(ask(running[peer], options.seconds))
    for peer in turns:
        running[peer].stdin.close()
        running[peer].wait()
    return {peer: statistics.median(t) * 1000 for peer, t in turns.items()}


def ratio(row):
    others = [ms for peer, ms in row["ms"].items() if peer != "cornu"]
    return min(others) / row["ms"]["cornu"] if others and "cornu" in row["ms"] else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(n) for n in text.split(",")]
    names = lambda text: [n for n in text.split(",") if n]
    parser.add_argument("files", nargs="*", help="models of your own")
    parser.add_argument("--models", type=names, default=[])
    parser.add_argument("--peers", type=names, default=PEERS)
    parser.add_argument("--threads", type=numbers, default=[1])
    parser.add_argument("--batches", type=numbers, default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn")
    parser.add_argument("--work", default="build/peers", help="folder for models and conversions")
    parser.add_argument("--cornu", default=shutil.which("build/cornu") or "cornu")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    models = options.models + options.files or ["mlp", "cnn", "lstm"]
    os.makedirs(options.work, exist_ok=True)
    for name in models:  # in a process of its own, since it takes much memory
        batches = ",".join(map(str, options.batches))
        if subprocess.run([sys.executable, __file__, "--prepare", name, options.work, batches]).returncode:
            sys.exit(f"{name} cannot be made or read")
    rows = []
    print(f"{'model':18}{'batch':>6}{'threads':>8}" + "".join(f"{p:>12}" for p in options.peers) + f"{'ratio':>8}")
    for name in models:
        for batch in options.batches:
            for threads in options.threads:
                row = {"model": name, "batch": batch, "threads": threads, "ms": measure(name, threads, batch, options)}
                rows.append(row)
                cells = "".join(f"{row['ms'][p]:12.4g}" if p in row["ms"] else f"{'':12}" for p in options.peers)
                r = ratio(row)
                tail = f"{r:8.2f}" if r else ""
                print(f"{os.path.basename(name)[:17]:18}{batch:6}{threads:8}{cells}{tail}", flush=True)
    ratios = [r for r in map(ratio, rows) if r]
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"geometric mean of {len(ratios)} ratios to the fastest other engine: {mean:.2f}")
    if options.json:
        with open(options.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
    elif sys.argv[1:2] == ["--prepare"]:
        prepare(sys.argv[2], sys.argv[3], [int(n) for n in sys.argv[4].split(",")])
    else:
        main()
