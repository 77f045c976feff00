"""A training step of the jet model with quantized layers over one with plain layers, both interleaved in this process.

The same script runs where hgq-keras is installed and where HGQ2 is: it writes what users of both write,
`from hgq.layers import QDense`. One thread on one core; CPU time; prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

from process import keep_memory, pin

WIDTHS = (64, 32, 32, 5)
FEATURES = 16


def measure(batch: int, rounds: int = 25, seconds: float = 0.2) -> dict[str, object]:
    """Milliseconds of a step, plain and quantized, and the ratio of their medians over blocks that take turns.

    Args:
        batch: samples in a step.
        rounds: blocks of each model; the medians are taken over them.
        seconds: about how long a block takes.
    """
    import keras
    import numpy as np

    from hgq.config import LayerConfigScope
    from hgq.layers import QDense

    def model(dense: type[keras.Layer]) -> keras.Model:
        *hidden, last = WIDTHS
        layers = [dense(width, activation="relu") for width in hidden]
        built = keras.Sequential([keras.Input((FEATURES,)), *layers, dense(last)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        built.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
        return built

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    # What a framework prepares once is in nobody's first step.
    model(keras.layers.Dense).fit(np.zeros((2, FEATURES), "float32"), np.zeros(2, "int32"), verbose=0)
    with LayerConfigScope(enable_ebops=True, beta0=1e-5):
        models = {"plain": model(keras.layers.Dense), "quantized": model(QDense)}

    def steps(name: str, count: int) -> float:
        x = data[: count * batch]
        y = labels[: count * batch]
        start = time.process_time()
        models[name].fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
        return time.process_time() - start

    data = rng.normal(size=(batch, FEATURES)).astype("float32")
    labels = rng.integers(0, WIDTHS[-1], batch).astype("int32")
    # The larger model first: where its temporaries lie, those of the smaller one fit. The other way round it depends on
    # the holes in the heap whether the larger one finds the same place in every step, which the caches reward.
    order = ("quantized", "plain")
    first = {name: steps(name, 1) for name in order}
    counts = {}
    most = 400
    data = np.tile(data, (most, 1)) if batch < 4096 else np.tile(data, (40, 1))
    labels = np.tile(labels, len(data) // batch)
    for name in order:
        steps(name, 3)
        counts[name] = int(min(max(seconds / (steps(name, 10) / 10), 5), len(data) // batch))
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds):
        for name in sorted(models, reverse=bool(turn % 2)):
            times[name].append(steps(name, counts[name]) / counts[name] * 1e3)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "backend": keras.backend.backend(),
        "batch": batch,
        "plain_ms": medians["plain"],
        "quantized_ms": medians["quantized"],
        "ratio": medians["quantized"] / medians["plain"],
        "first_step_ratio": first["quantized"] / first["plain"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--default-malloc", action="store_true", help="leave the C library's memory settings alone")
    arguments = parser.parse_args()
    pin()
    if not arguments.default_malloc:
        keep_memory()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    print(json.dumps(measure(arguments.batch, arguments.rounds, arguments.seconds)))


if __name__ == "__main__":
    main()
