"""Cornu beside real Keras on one machine in one go: opening the file, first run, median run, peak memory.

    pip install keras tensorflow
    python scripts/baseline.py [--cornu build/cornu] [--rounds 3] [--seconds 2] [--threads 1,2]

The models: the bundled digits classifier, and ResNet50 as Keras makes it with random weights (102 MB, batch of one
image). Each measurement is a process of its own, Keras's and Cornu's in turn; the table shows the medians over the rounds
and the ratio of Keras's time to Cornu's (above 1: Cornu is faster). Keras is called in the two ways its users call it:
model.predict_on_batch(x), and model(x) within tf.function. Importing TensorFlow is not counted as opening the file.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

DIGITS = "lua/examples/digits/digits.keras"


def keras_process(path, threads, seconds):
    """Measures in this very process; prints one line of JSON."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow")
    import resource
    import numpy as np
    import tensorflow as tf
    import keras
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    clock = time.perf_counter
    start = clock()
    model = keras.models.load_model(path, compile=False)
    loaded = clock()
    x = np.random.default_rng(0).random((1,) + model.input_shape[1:], "float32")
    model.predict_on_batch(x)
    first = clock()
    graph = tf.function(model)
    tensor = tf.constant(x)
    graph(tensor)
    medians = []
    for run in (lambda: model.predict_on_batch(x), lambda: graph(tensor).numpy()):
        times, until = [], clock() + seconds
        while clock() < until or len(times) < 5:
            begin = clock()
            run()
            times.append(clock() - begin)
        medians.append(statistics.median(times) * 1e3)
    print(json.dumps({"load_ms": (loaded - start) * 1e3, "first_ms": (first - loaded) * 1e3,
                      "median_ms": medians[0], "graph_ms": medians[1],
                      "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def make_resnet(path):
    code = "import keras; keras.utils.set_random_seed(1); keras.applications.ResNet50(weights=None).save(r'%s')" % path
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                   env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow"))


def last_line(command):
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(args, path, threads):
    """Medians over the rounds: (Keras's, Cornu's)."""
    keras, cornu = [], []
    for _ in range(args.rounds):
        keras.append(last_line([sys.executable, __file__, "--process", path, "--threads", str(threads),
                                "--seconds", str(args.seconds)]))
        cornu.append(last_line([args.cornu, "bench", path, "--json", "--threads", str(threads),
                                "--seconds", str(args.seconds)]))
    return [{key: statistics.median(round_[key] for round_ in rounds) for key in rounds[0]
             if isinstance(rounds[0][key], (int, float))} for rounds in (keras, cornu)]


def show(name, threads, keras, cornu):
    rows = [("open the file", "load_ms", "load_ms"), ("first run", "first_ms", "first_ms"),
            ("median run (predict_on_batch)", "median_ms", "median_ms"),
            ("median run (tf.function)", "graph_ms", "median_ms")]
    print(f"{name}, {threads} thread{'s' if threads > 1 else ''}")
    for label, theirs, ours in rows:
        print(f"  {label:31} Keras {keras[theirs]:10.3f} ms   Cornu {cornu[ours]:9.4f} ms   "
              f"ratio {keras[theirs] / cornu[ours]:8.1f}")
    print(f"  {'peak memory':31} Keras {keras['rss_mb']:10.0f} MB   Cornu {cornu['rss_mb']:9.1f} MB   "
          f"ratio {keras['rss_mb'] / cornu['rss_mb']:8.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cornu", default="build/cornu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--process", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.process:
        return keras_process(args.process, int(args.threads), args.seconds)
    with tempfile.TemporaryDirectory() as folder:
        resnet = os.path.join(folder, "resnet50.keras")
        make_resnet(resnet)
        for name, path in (("digits", DIGITS), ("ResNet50", resnet)):
            for threads in map(int, args.threads.split(",")):
                show(name, threads, *measure(args, path, threads))


if __name__ == "__main__":
    main()
