"""A training step, or inference, of a model with quantized layers over plain ones, both interleaved in this process.

The same script runs where hgq-keras is installed and where HGQ2 is: it writes what users of both write,
`from hgq.layers import QDense`. One thread on one core; CPU time; prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

from process import keep_memory, pin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras

CLASSES = 5
JET = (64, 32, 32)
PARTICLES, FEATURES = 64, 16
EDGE_UNITS = 8
NETWORKS = ("jet", "mixer", "mha", "lut")
VECTORS = ("jet", "lut")


def network(name: str, make: Mapping[str, Callable[..., Any]]) -> keras.Model:
    """``jet``, 16-64-32-32-5, or a network over 64 particles of 16 features, or of tables.

    ``mixer``: two blocks that mix the particles, then the features, past each other. ``mha``: two blocks of attention
    with 4 heads of 8. ``lut``: 16-32-5 with a network of 8 units for each edge.

    Args:
        name: of the network.
        make: layers, plain or quantized, by ``dense, einsum, add, attention, table``.
    """
    import keras

    dense, add = make["dense"], make["add"]
    if name == "jet":
        inner = [dense(width, activation="relu") for width in JET]
        return keras.Sequential([keras.Input((FEATURES,)), *inner, dense(CLASSES)])
    if name == "lut":
        return keras.Sequential([keras.Input((FEATURES,)), make["table"](FEATURES, 32), make["table"](32, CLASSES)])
    inputs = keras.Input((PARTICLES, FEATURES))
    x = dense(FEATURES, activation="relu")(inputs)
    for _ in range(2):
        if name == "mha":
            mixed = make["attention"](num_heads=4, key_dim=8)(x, x)
        else:
            contraction = {"output_shape": (PARTICLES, FEATURES), "bias_axes": "m", "activation": "relu"}
            mixed = make["einsum"]("bnc,nm->bmc", **contraction)(x)
        x = add()([x, mixed])
        x = add()([x, dense(FEATURES, activation="relu")(dense(FEATURES, activation="relu")(x))])
    return keras.Model(inputs, dense(CLASSES)(keras.layers.Flatten()(x)))


def plain_layers() -> dict[str, Callable[..., Any]]:
    """The layers of Keras; a table is what it is trained as, a small network for each edge, by two contractions."""
    from keras import Sequential, layers

    def table(inputs: int, units: int) -> keras.Layer:
        first = layers.EinsumDense("bi,iod->biod", (inputs, units, EDGE_UNITS), bias_axes="iod", activation="tanh")
        return Sequential([first, layers.EinsumDense("biod,iod->bo", (units,), bias_axes="o")])

    names = {"dense": layers.Dense, "einsum": layers.EinsumDense, "add": layers.Add}
    return {**names, "attention": layers.MultiHeadAttention, "table": table}


def quantized_layers() -> dict[str, Callable[..., Any]]:
    """What users of ours and of HGQ2 write."""
    from hgq import layers

    names = {"dense": layers.QDense, "einsum": layers.QEinsumDense, "add": layers.QAdd}
    return {**names, "attention": layers.QMultiHeadAttention, "table": lambda _, units: layers.QDenseT(units)}


def measure(
    batch: int, rounds: int = 25, seconds: float = 0.2, *, name: str = "jet", inference: bool = False, jit: bool = True
) -> dict[str, object]:
    """Milliseconds of a step, plain and quantized, and the ratio of their medians over blocks that take turns.

    Args:
        batch: samples in a step.
        rounds: blocks of each model; the medians are taken over them.
        seconds: about how long a block takes.
        name: of the network.
        inference: time a batch of ``predict`` of the trained networks, not a step of ``fit``.
        jit: whether Keras may compile where the framework asks for it; PyTorch is always run eagerly.
    """
    import keras
    import numpy as np

    from hgq.config import LayerConfigScope

    def model(make: Mapping[str, Callable[..., Any]]) -> keras.Model:
        built = network(name, make)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        compiled = jit and keras.backend.backend() != "torch"
        built.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, jit_compile=compiled)
        return built

    plain = plain_layers()
    shape = (FEATURES,) if name in VECTORS else (PARTICLES, FEATURES)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    # What a framework prepares once is in nobody's first step.
    model(plain).fit(np.zeros((2, *shape), "float32"), np.zeros(2, "int32"), verbose=0)
    with LayerConfigScope(enable_ebops=True, beta0=1e-5):
        models = {"plain": model(plain), "quantized": model(quantized_layers())}

    def steps(which: str, count: int) -> float:
        x = data[: count * batch]
        y = labels[: count * batch]
        start = time.process_time()
        models[which].fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
        return time.process_time() - start

    def predictions(which: str, count: int) -> float:
        x = data[: count * batch]
        start = time.process_time()
        models[which].predict(x, batch_size=batch, verbose=0)
        return time.process_time() - start

    data = rng.normal(size=(batch, *shape)).astype("float32")
    labels = rng.integers(0, CLASSES, batch).astype("int32")
    # The larger model first: where its temporaries lie, those of the smaller one fit. The other way round it depends on
    # the holes in the heap whether the larger one finds the same place in every step, which the caches reward.
    order = ("quantized", "plain")
    first = {which: steps(which, 1) for which in order}
    timed = predictions if inference else steps
    most = 400 if data.size < 2**16 else 40
    data = np.tile(data, (most, *(1 for _ in shape)))
    labels = np.tile(labels, most)
    counts = {}
    for which in order:
        timed(which, 3)
        counts[which] = int(min(max(seconds / (timed(which, 10) / 10), 5), most))
    times: dict[str, list[float]] = {which: [] for which in models}
    for turn in range(rounds):
        for which in sorted(models, reverse=bool(turn % 2)):
            times[which].append(timed(which, counts[which]) / counts[which] * 1e3)
    medians = {which: statistics.median(values) for which, values in times.items()}
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
    parser.add_argument("--model", choices=NETWORKS, default="jet")
    parser.add_argument("--inference", action="store_true", help="time predictions, not training steps")
    parser.add_argument("--no-jit", action="store_true", help="TensorFlow without XLA")
    parser.add_argument("--default-malloc", action="store_true", help="leave the C library's memory settings alone")
    arguments = parser.parse_args()
    pin()
    if not arguments.default_malloc:
        keep_memory()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    row = measure(
        arguments.batch,
        arguments.rounds,
        arguments.seconds,
        name=arguments.model,
        inference=arguments.inference,
        jit=not arguments.no_jit,
    )
    print(json.dumps(row))


if __name__ == "__main__":
    main()
