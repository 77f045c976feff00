"""The layers of the NumPy backend: each a few nodes of a Graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer, Mode, Quantizer
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph import ops as op
from hgq_core.linear import explicit_pads
from hgq_core.spec import KBI, KIF

__all__ = ["FUNCTIONS", "add_layer"]

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x))}
"""The functions of ``unary_lut``."""

_Built = Callable[[str, tuple[int | None, ...]], Quantizer]


class _Writer:
    """Writes the nodes of one layer."""

    def __init__(self, builder: GraphBuilder, label: str, layer: Layer, built: _Built) -> None:
        self.builder = builder
        self.label = label
        self.layer = layer
        self.built = built

    def node(self, operation: op.Operation, *inputs: str, factor: float = 1.0) -> str:
        return self.builder.add(operation, *inputs, label=self.label, ebops_factor=factor)

    def quantize(self, name: str, x: str) -> str:
        """The data quantizer of this name; x itself if the layer has none."""
        spec = self.layer.quantizers.get(name)
        if not isinstance(spec, KIF | KBI):
            return x
        formats = self.built(name, (None, *self.builder.shape(x))).formats()
        # Widths are shared over the batch, so their leading axis is 1.
        flat = Formats(*(part[0] for part in (formats.k, formats.i, formats.f)))
        return self.node(op.Quantize(flat, spec.round_mode, spec.overflow_mode), x, factor=0.0)

    def constant(self, name: str, values: Any, shape: Sequence[int] = ()) -> str:
        """Weights, quantized by the quantizer of this name, then reshaped if a shape is given."""
        weights = np.asarray(values, dtype=np.float64)
        quantizer = self.built(name, weights.shape)
        quantized = quantizer.forward(weights, Mode.INFER)
        bits = np.broadcast_to(quantizer.bits(), weights.shape)
        target = tuple(shape) or weights.shape
        return self.node(op.Constant.of(np.reshape(quantized, target), np.reshape(bits, target)))

    def factor(self, instances: int) -> float:
        """Parallelization factor over the number of instances."""
        wanted = int(self.layer.options.get("parallelization_factor", -1))
        return 1.0 if wanted == -1 else wanted / instances

    def biased(self, y: str, factor: float, shape: Sequence[int] = ()) -> str:
        """y plus the layer's bias, if it has one."""
        if "bias" not in self.layer.weights:
            return y
        return self.node(op.Add(), y, self.constant("bq", self.layer.weights["bias"], shape), factor=factor)


def add_layer(builder: GraphBuilder, label: str, layer: Layer, inputs: Sequence[str], built: _Built) -> str:
    """Append the nodes of a layer and return the name of its output."""
    write = _Writer(builder, label, layer, built)
    x = [write.quantize("iq", name) for name in inputs]
    y = _KINDS[layer.kind](write, x)
    if layer.options.get("activation") == "relu":
        y = write.node(op.Relu(), y)
    return y if layer.kind == "unary_lut" else write.quantize("oq", y)


def _dense(write: _Writer, x: list[str]) -> str:
    shape = write.builder.shape(x[0])
    letters = "cdefgh"[: len(shape) - 1]
    factor = write.factor(prod(shape[:-1]))
    kernel = write.constant("kq", write.layer.weights["kernel"])
    y = write.node(op.Contract(f"b{letters}i,io->b{letters}o"), x[0], kernel, factor=factor)
    return write.biased(y, factor)


def _einsum_dense(write: _Writer, x: list[str]) -> str:
    contract = op.Contract(write.layer.options["equation"])
    data, weights, output = contract.terms
    shape = dict(zip(data[1:], write.builder.shape(x[0]), strict=True))
    instances = prod(n for letter, n in shape.items() if letter in output and letter not in weights)
    factor = write.factor(instances)
    kernel = write.constant("kq", write.layer.weights["kernel"])
    y = write.node(contract, x[0], kernel, factor=factor)
    axes = write.layer.options.get("bias_axes") or ""
    sizes = dict(zip(output[1:], write.builder.shape(y), strict=True))
    first = min((output.index(letter) for letter in axes), default=len(output))
    return write.biased(y, factor, [sizes[c] if c in axes else 1 for c in output[first:]])


def _conv(write: _Writer, x: list[str]) -> str:
    options, kernel = write.layer.options, write.layer.weights["kernel"]
    spatial = write.builder.shape(x[0])[:-1]
    window = kernel.shape[:-2]
    strides, dilation = (_tuple(options.get(name, 1), len(window)) for name in ("strides", "dilation_rate"))
    pads = explicit_pads(options.get("padding", "valid"), spatial, window, strides, dilation)
    operation = op.Convolve(strides, pads, dilation, options.get("groups", 1))
    out = operation.shape((None, *write.builder.shape(x[0])), kernel.shape)[1:-1]
    factor = write.factor(prod(int(n or 1) for n in out))
    y = write.node(operation, x[0], write.constant("kq", kernel), factor=factor)
    return write.biased(y, factor)


def _batch_norm(write: _Writer, x: list[str]) -> str:
    weights = {name: np.asarray(value, dtype=np.float64) for name, value in write.layer.weights.items()}
    scale = weights["gamma"] / np.sqrt(weights["moving_variance"] + write.layer.options.get("epsilon", 1e-3))
    offset = weights["beta"] - weights["moving_mean"] * scale
    y = write.node(op.Multiply(), x[0], write.constant("kq", scale))
    return write.node(op.Add(), y, write.constant("bq", offset))


def _pool(write: _Writer, x: list[str]) -> str:
    options = write.layer.options
    spatial = write.builder.shape(x[0])[:-1]
    window = _tuple(options.get("pool_size", 2), len(spatial))
    strides = _tuple(options.get("strides") or window, len(spatial))
    pads = explicit_pads(options.get("padding", "valid"), spatial, window, strides, (1,) * len(spatial))
    pool = op.Pool("max" if write.layer.kind == "max_pool2d" else "sum", window, strides, pads)
    y = write.node(pool, x[0])
    if pool.kind == "max":
        return y
    rows, columns = pool.counts(spatial)
    share = 1.0 / np.outer(rows, columns)[..., None]
    return write.node(op.Multiply(), y, write.node(op.Constant.of(share)))


def _add(write: _Writer, x: list[str]) -> str:
    return write.node(op.Add(), *x)


def _unary_lut(write: _Writer, x: list[str]) -> str:
    shape = write.builder.shape(x[0])
    formats = write.built("iq", (None, *shape)).formats().broadcast_to((1, *shape))
    output = write.built("oq", (None, *shape))
    k, i, f = (part[0] for part in (formats.k, formats.i, formats.f))
    fraction = int(output.formats().f.max())
    codes = np.arange(2 ** int((k + i + f).max(initial=0))).reshape(-1, *(1,) * len(shape))
    width = np.maximum(k + i + f, 0)
    signed = np.where((k == 1) & (codes >= 2.0 ** (width - 1)), codes - 2.0**width, codes) * 2.0**-f
    values = output.forward(FUNCTIONS[write.layer.options["function"]](signed), Mode.INFER) * 2.0**fraction
    flat = [values.reshape(len(codes), -1)[: 2**w, n] for n, w in enumerate(width.ravel())]
    tables = tuple(np.asarray(table, dtype=np.int64) for table in flat)
    index = np.arange(len(tables)).reshape(shape)
    bits = np.broadcast_to(output.bits()[0], shape).astype(np.int64)
    return write.node(op.Lookup(Formats(k, i, f), tables, fraction, index, bits), x[0])


def _flatten(write: _Writer, x: list[str]) -> str:
    return write.node(op.Reshape((prod(write.builder.shape(x[0])),)), x[0])


def _tuple(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


_KINDS: dict[str, Callable[[_Writer, list[str]], str]] = {
    "dense": _dense,
    "einsum_dense": _einsum_dense,
    "conv1d": _conv,
    "conv2d": _conv,
    "batch_norm": _batch_norm,
    "max_pool2d": _pool,
    "average_pool2d": _pool,
    "add": _add,
    "unary_lut": _unary_lut,
    "flatten": _flatten,
}
