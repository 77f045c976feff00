"""Layers with a batch normalisation folded into kernel and bias."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import LayerCase, data_spec, data_widths, numbers, tensors, weight_spec, weight_widths
from hgq_core.conformance.families.windows import spread
from hgq_core.graph.ops import Relu
from hgq_core.layers import BatchNormDense, Convolution, Declaration, FoldedNorm, ShapedEinsum

__all__ = ["CASES", "KINDS"]


def _norm(rng: np.random.Generator, *size: int) -> dict[str, Any]:
    """A norm after which no weight is near a tie; its variance and epsilon have an exact root."""
    gamma = (rng.integers(3, 15, size) / 8 + 0.0317) * rng.choice([-1.0, 1.0], size)
    return {
        "bn_gamma": gamma.astype(np.float32),
        "bn_beta": (rng.integers(-16, 17, size) / 8 + 0.02).astype(np.float32),
        "moving_mean": np.full(size, 0.27, np.float32),
        "moving_variance": np.full(size, 3.75, np.float32),
    }


def _drawn(
    rng: np.random.Generator,
    kind: str,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    normalised: tuple[int, ...],
    bias: bool = False,
    center: bool = True,
    **options: Any,
) -> LayerCase:
    weights: dict[str, Any] = {"kernel": numbers(rng, *kernel) / 2, **_norm(rng, *normalised)}
    if bias:
        weights["bias"] = numbers(rng, kernel[-1]) + np.float32(0.01)
        del weights["bn_beta"]
    elif not center:
        del weights["bn_beta"]
        options["center"] = False
    specs = {"iq": data_spec(), "kq": weight_spec(), "bq": weight_spec()}
    offset: NDArray[Any] = np.ones(normalised if not bias else kernel[-1:])
    if kind == "einsum_dense_norm":
        output = options["equation"].partition("->")[2]
        first = min(output.index(c) for c in options["bias_axes"])
        sizes = dict(zip(output[1:], options["output_shape"], strict=True))
        offset = np.ones([sizes[c] if c in options["bias_axes"] else 1 for c in output[first:]])
    widths = {"iq": data_widths(rng, shape), "kq": weight_widths(rng, weights["kernel"])}
    widths["bq"] = {"k": 1, "b": rng.integers(3, 7, offset.shape), "i": 3}
    layer = Layer(kind, {"epsilon": 0.25, **options}, specs, weights, widths)
    return LayerCase((layer,), shape, tensors(rng, 1, shape))


def _einsum(equation: str, axes: str, output: tuple[int, ...], **given: Any) -> Callable[..., LayerCase]:
    named: dict[str, Any] = {"equation": equation, "output_shape": output, "bias_axes": axes}
    return partial(_drawn, kind="einsum_dense_norm", **named, **given)


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "norm-einsum": _einsum("abc,cd->abd", "d", (3, 2), shape=(3, 4), kernel=(4, 2), normalised=(2,)),
    "norm-einsum-two-axes": _einsum(
        "abc,cde->aebd", "ed", (3, 2, 2), shape=(2, 4), kernel=(4, 2, 3), normalised=(3, 2), activation="relu"
    ),
    "norm-einsum-no-center": _einsum(
        "ab,bc->ac", "c", (3,), shape=(4,), kernel=(4, 3), normalised=(3,), center=False
    ),
    "norm-before": partial(_drawn, kind="norm_dense", shape=(4,), kernel=(4, 3), normalised=(4,), bias=True, units=3),
    "norm-before-rows": partial(
        _drawn, kind="norm_dense", shape=(3, 4), kernel=(4, 2), normalised=(4,), bias=True, units=2, activation="relu"
    ),
    "norm-conv1d": partial(
        _drawn, kind="conv1d_norm", shape=(6, 2), kernel=(3, 2, 2), normalised=(2,), filters=2, kernel_size=(3,)
    ),
    "norm-conv2d": partial(
        _drawn, kind="conv2d_norm", shape=(3, 3, 2), kernel=(2, 2, 2, 3), normalised=(3,), filters=3,
        kernel_size=(2, 2), padding="same", activation="relu",
    ),
    "norm-conv3d": partial(
        _drawn, kind="conv3d_norm", shape=(2, 2, 3, 1), kernel=(1, 2, 2, 1, 2), normalised=(2,), filters=2,
        kernel_size=(1, 2, 2),
    ),
}  # fmt: skip


def _relu(layer: Layer) -> Any:
    return Relu() if layer.options.get("activation") == "relu" else None


def _folded(layer: Layer) -> FoldedNorm:
    return FoldedNorm(layer.options["epsilon"], "bn_beta" in layer.weights, True)


def _declared_einsum(layer: Layer) -> Declaration:
    options = layer.options
    return ShapedEinsum(
        options["equation"], options["output_shape"], options["bias_axes"], _relu(layer), norm=_folded(layer)
    )


def _declared_convolution(layer: Layer) -> Declaration:
    options, rank = layer.options, int(layer.kind[4])
    return Convolution(
        options["filters"],
        options["kernel_size"],
        spread(options.get("strides", 1), rank),
        options.get("padding", "valid"),
        (1,) * rank,
        activation=_relu(layer),
        norm=_folded(layer),
    )


def _declared_dense(layer: Layer) -> Declaration:
    return BatchNormDense(layer.options["units"], layer.options["epsilon"], True, _relu(layer))


KINDS: dict[str, Callable[[Layer], Declaration]] = {
    "einsum_dense_norm": _declared_einsum,
    "norm_dense": _declared_dense,
    **{f"conv{rank}d_norm": _declared_convolution for rank in (1, 2, 3)},
}
