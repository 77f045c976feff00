"""Dense layers and convolutions of one table an edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import LayerCase, data_spec, data_widths, numbers, tensors, weight_spec, weight_widths
from hgq_core.conformance.families.windows import spread
from hgq_core.graph.ops import Relu
from hgq_core.layers import (
    Declaration,
    EdgeNetwork,
    FrameworkFunction,
    TableConvolution,
    TableDense,
    TableEinsum,
)
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI

__all__ = ["CASES", "KINDS", "Slots", "edges_of", "network"]

OUTPUT = (Round.RND, Overflow.SAT_SYM)


Slots = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""Weights, specifications and widths by slot."""


def edges_of(
    rng: np.random.Generator,
    edges: tuple[int, ...],
    rows: int,
    options: Mapping[str, Any],
    *,
    bias: tuple[int, ...] | None = None,
    overflow: Overflow = Overflow.WRAP,
) -> Slots:
    """What tables have whose axes begin with those of so many rows."""
    own = (*(1,) * rows, *edges[rows:])
    sizes = [1, *[options["d_hl"]] * options["n_hl"], 1]
    weights: dict[str, Any] = {}
    for n, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights[f"kernel_{n}"], weights[f"bias_{n}"] = numbers(rng, *own, inputs, outputs), numbers(rng, *own, outputs)
    if options.get("batch_norm"):
        weights |= {"bn_gamma": numbers(rng, *own), "bn_beta": numbers(rng, *own)}
        weights |= {
            "moving_mean": numbers(rng, *own[rows:]),
            "moving_variance": np.abs(numbers(rng, *own[rows:])) + 0.5,
        }
    toq = KBI(round_mode=OUTPUT[0], overflow_mode=OUTPUT[1], homogeneous_axis=tuple(range(rows + 1)))
    outputs_b = rng.integers(0, 6, (1, *own))
    specs: dict[str, Any] = {"iq": data_spec((Round.RND, overflow)), "toq": toq}
    # A coarse element without a sign may see no number but one negative step: then it has no bit after a training step.
    inputs_w = data_widths(rng, edges)
    inputs_w["k"] = np.where(inputs_w["f"] > 0, inputs_w["k"], 1)
    widths: dict[str, Any] = {"iq": inputs_w, "toq": {"k": 1, "b": outputs_b, "i": 1}}
    if bias is not None:
        weights["bias"] = numbers(rng, *bias)
        specs["bq"], widths["bq"] = weight_spec(is_bias=True), weight_widths(rng, weights["bias"], is_bias=True)
    return weights, specs, widths


def _table(
    rng: np.random.Generator,
    kind: str,
    shape: tuple[int, ...],
    edges: tuple[int, ...],
    rows: int,
    *,
    bias: tuple[int, ...] | None = None,
    overflow: Overflow = Overflow.WRAP,
    **options: Any,
) -> LayerCase:
    weights, specs, widths = edges_of(rng, edges, rows, options, bias=bias, overflow=overflow)
    return LayerCase((Layer(kind, options, specs, weights, widths),), shape, tensors(rng, 1, shape))


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "table-dense": partial(
        _table, kind="table_dense", shape=(3,), edges=(2, 3), rows=0, bias=(2,), units=2, n_hl=1, d_hl=3
    ),
    "table-dense-deep": partial(
        _table, kind="table_dense", shape=(2, 2), edges=(2, 2, 2), rows=1, units=2, n_hl=2, d_hl=2,
        activation="relu", parallelization_factor=1, overflow=Overflow.SAT, table_idxs=(5, 3),
    ),
    "table-dense-normalised": partial(
        _table, kind="table_dense", shape=(2, 2), edges=(2, 2, 2), rows=1, bias=(2,), units=2, n_hl=1, d_hl=2,
        batch_norm=True,
    ),
    "table-einsum": partial(
        _table, kind="table_einsum", shape=(2, 3), edges=(2, 2, 3), rows=0, bias=(2, 1), n_hl=1, d_hl=2,
        equation="bti,toi->bto", output_shape=(2, 2), bias_axes="t",
    ),
    "table-conv1d": partial(
        _table, kind="table_conv1d", shape=(4, 2), edges=(2, 2, 3, 2), rows=1, bias=(2,), n_hl=1, d_hl=2, filters=2,
        kernel_size=(3,), activation="relu",
    ),
    "table-conv1d-same-strided-pf": partial(
        _table, kind="table_conv1d", shape=(5, 1), edges=(3, 2, 2, 1), rows=1, n_hl=1, d_hl=2, filters=2,
        kernel_size=(2,), strides=2, padding="same", parallelization_factor=2, overflow=Overflow.SAT,
    ),
    "table-conv1d-groups": partial(
        _table, kind="table_conv1d", shape=(3, 4), edges=(2, 2, 1, 2, 2), rows=1, bias=(2, 1), n_hl=1, d_hl=2,
        filters=2, kernel_size=(2,), groups=2, table_idxs=(5, 3),
    ),
    "table-conv2d-normalised": partial(
        _table, kind="table_conv2d", shape=(3, 2, 1), edges=(2, 1, 2, 2, 2, 1), rows=2, bias=(2,), n_hl=1, d_hl=2,
        filters=2, kernel_size=(2, 2), batch_norm=True,
    ),
    "table-conv2d-same-dilated": partial(
        _table, kind="table_conv2d", shape=(3, 2, 1), edges=(3, 2, 1, 2, 2, 1), rows=2, n_hl=2, d_hl=2, filters=1,
        kernel_size=(2, 2), padding="same", dilation_rate=(2, 1),
    ),
}  # fmt: skip


def network(layer: Layer) -> EdgeNetwork:
    """The network of an edge, as a case says it."""
    options = layer.options
    normalised = options.get("batch_norm", False)
    return EdgeNetwork(options["n_hl"], options["d_hl"], FrameworkFunction(np.tanh), normalised)


def _common(layer: Layer) -> dict[str, Any]:

    return {
        "network": network(layer),
        "activation": Relu() if layer.options.get("activation") == "relu" else None,
        "parallelization_factor": layer.options.get("parallelization_factor", -1),
        "table_idxs": layer.options.get("table_idxs", (6, 5)),
    }


def _dense(layer: Layer) -> Declaration:
    return TableDense(layer.options["units"], use_bias="bias" in layer.weights, **_common(layer))


def _einsum(layer: Layer) -> Declaration:
    options = layer.options
    return TableEinsum(options["equation"], options["output_shape"], options.get("bias_axes"), **_common(layer))


def _convolution(layer: Layer) -> Declaration:
    options, rank = layer.options, int(layer.kind[-2])
    return TableConvolution(
        options["filters"],
        options["kernel_size"],
        spread(options.get("strides", 1), rank),
        options.get("padding", "valid"),
        spread(options.get("dilation_rate", 1), rank),
        options.get("groups", 1),
        use_bias="bias" in layer.weights,
        **_common(layer),
    )


KINDS: dict[str, Callable[[Layer], Declaration]] = {
    "table_dense": _dense,
    "table_einsum": _einsum,
    **dict.fromkeys(("table_conv1d", "table_conv2d"), _convolution),
}
