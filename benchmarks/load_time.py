"""CPU seconds of loading a quantized network over loading the float network of the same shape, in fresh processes.

A fresh process has compiled nothing yet: what Keras makes a model compute while it is loaded is in the figure. What a
framework prepares once, at the first number that it computes, is in both. Prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from process import pin

WIDTHS = (64, 32, 32, 5)
FEATURES = 16


def save(folder: Path) -> dict[str, Path]:
    """Files of both networks."""
    import keras

    from hgq_keras.layers import QDense

    paths = {}
    for name, dense in (("plain", keras.layers.Dense), ("quantized", QDense)):
        layers = [dense(width, activation="relu") for width in WIDTHS]
        paths[name] = folder / f"{name}.keras"
        keras.Sequential([keras.Input((FEATURES,)), *layers]).save(paths[name])
    return paths


def load(path: str) -> float:
    """CPU seconds of loading this file, imports left out."""
    import keras

    import hgq_keras  # noqa: F401 (registers its layers)

    before = os.times()
    keras.saving.load_model(path, compile=False)
    after = os.times()
    return after.user + after.system - before.user - before.system


def measure(turns: int) -> dict[str, object]:
    """Medians over processes that take turns, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        paths = save(Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(turns):
            for name, path in paths.items():
                command = [sys.executable, __file__, "--load", str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds[name].append(float(done.stdout.splitlines()[-1]))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    import keras

    return {
        "backend": keras.backend.backend(),
        "plain_s": medians["plain"],
        "quantized_s": medians["quantized"],
        "ratio": medians["quantized"] / medians["plain"],
    }


def main() -> None:
    """Measure, or load one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="processes for each network")
    parser.add_argument("--load", help="load this file and print the CPU seconds")
    options = parser.parse_args()
    pin()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    print(load(options.load) if options.load else json.dumps(measure(options.turns)))


if __name__ == "__main__":
    main()
