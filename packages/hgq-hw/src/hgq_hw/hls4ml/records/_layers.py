"""One function per operation of a legal graph: its layer record and its types."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.formats import FixedPoint
from hgq_core.graph.ops import (
    Add,
    Concatenate,
    Constant,
    Contract,
    Input,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Quantize,
    Relu,
    Reshape,
    Subtract,
    Transpose,
)
from hgq_hw.hls4ml.types import HLSType, covering, covering_values, shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph import Node
    from hgq_hw.hls4ml.records._writer import Writer

__all__ = [
    "affine",
    "concatenate",
    "contract",
    "elementwise",
    "input_layer",
    "lookup",
    "output_layer",
    "per_channel",
    "quantize",
    "relu",
    "reshape",
    "sums",
    "transpose",
]


def output_layer(writer: Writer, node: Node) -> str:
    """The layer that gives an output; hls4ml wants one that computes, that nothing else reads, given once."""
    if isinstance(node.op, Constant):
        raise writer.refused(node, "is an output and does not depend on any input", "add it behind the model instead")
    name = writer.out.names[node.name]
    inert = isinstance(node.op, Input | Reshape)
    busy = bool(writer.graph.consumers(node.name)) or name in writer.out.outputs
    if writer.options.fuse:
        if busy or isinstance(node.op, Input):
            raise writer.refused(
                node,
                "is an output and read again, or given twice",
                "give every output a layer of its own, or use io_parallel",
            )
        return name
    return _mask(writer, node, name, writer.formats_of(node.name)) if inert or busy else name


def input_layer(op: Input, writer: Writer, node: Node) -> None:
    del op
    shape = list(writer.shape(node.name))
    types = {"result": HLSType(covering(writer.formats_of(node.name)))}
    writer.out.inputs.append(writer.add("InputLayer", node, types, input_shape=shape))


def quantize(op: Quantize, writer: Writer, node: Node) -> None:
    source = writer.out.names[node.inputs[0]]
    if not writer.options.fuse:
        _mask(writer, node, source, op.formats, str(op.round), str(op.overflow))
        return
    common = shared(op.formats)
    have = covering(writer.formats_of(node.inputs[0]))
    if common is not None and have.k <= common.k and have.i <= common.i and have.f <= common.f:
        writer.out.names[node.name] = source  # every value fits: nothing to do
        return
    raise writer.refused(
        node,
        "cannot become the type of the layer before it, which is an input, another quantizer, or read by others",
        "use io_parallel with the Vitis or Vivado back end, or remove this quantizer",
    )


def _mask(
    writer: Writer, node: Node, source: str, formats: Formats, rounding: str = "TRN", overflow: str = "WRAP"
) -> str:
    """A conversion per element; dead elements are written as constant zeros."""
    wide = formats.broadcast_to(node.shape)
    alive = wide.alive
    k, i = (np.where(alive, part, 0).reshape(1, *writer.shape(node.name)) for part in (wide.k, wide.i))
    bits = wide.width.reshape(k.shape)
    return writer.add(
        "FixedPointQuantizer",
        node,
        {"result": HLSType(covering(writer.formats_of(node.name)))},
        source,
        mask_kbi=(k.astype(np.int16), bits.astype(np.int16), (k + i).astype(np.int16)),
        RND=rounding,
        SAT=overflow,
        fusible=None,
        overrides={},
    )


def contract(op: Contract, writer: Writer, node: Node) -> None:
    first, second, out = op.terms
    source = writer.out.names[node.inputs[0]]
    kernel = writer.values(node.inputs[1])
    shapes = {"inp_shape": writer.shape(node.inputs[0]), "out_shape": writer.shape(node.name)}
    equation = f"{first[1:]},{second if kernel is not None else second[1:]}->{out[1:]}"
    if kernel is None:
        _needs_einsum(writer, node)
        inputs = (source, writer.out.names[node.inputs[1]])
        shapes = {"inp0_shape": shapes["inp_shape"], "inp1_shape": writer.shape(node.inputs[1]), **shapes}
        result = writer.result_type(node)
        writer.add("Einsum", node, sums(writer, node, node, result), *inputs, equation=equation, **shapes)
        return
    final, bias = writer.take_constant_reader(node, Add)
    types = sums(writer, node, final, writer.result_type(final), kernel, bias)
    pointwise = second == first[-1] + out[-1] and out == first[:-1] + out[-1]
    if pointwise and (len(first) == 2 or ((writer.options.stream or writer.options.plain) and len(first) <= 4)):
        per_output = None if bias is None else per_channel(bias)
        if bias is not None and per_output is None:
            raise writer.refused(node, "adds a constant that differs between positions", "use io_parallel")
        sizes = {"n_in": kernel.shape[0], "n_out": kernel.shape[1]}
        weights = {"weight_data": kernel, "bias_data": per_output, "use_bias": bias is not None}
        writer.add("Dense", final, types, source, data_format="channels_last", **sizes, **weights)
        return
    _needs_einsum(writer, node)
    writer.add("EinsumDense", final, types, source, equation=equation, weight_data=kernel, bias_data=bias, **shapes)


def _needs_einsum(writer: Writer, node: Node) -> None:
    if writer.options.stream or writer.options.plain:
        raise writer.refused(node, "has no layer", "use io_parallel with Vitis or Vivado, or the da4ml target")


def sums(
    writer: Writer,
    node: Node,
    final: Node,
    result: HLSType,
    kernel: NDArray[np.float64] | None = None,
    bias: NDArray[np.float64] | None = None,
) -> dict[str, HLSType]:
    """Types of a sum of products: the accumulator keeps every fraction bit, integer bits modulo the result's range."""
    types = {"result": result}
    plain = (result.round, result.overflow) == (HLSType(result.format).round, HLSType(result.format).overflow)
    whole = result.format if plain and not writer.options.fuse else covering(writer.formats_of(final.name))
    fraction = [whole.f, covering(writer.formats_of(node.name)).f]
    if bias is not None:
        types["bias"] = HLSType(covering_values(bias))
        fraction.append(types["bias"].format.f)
    if kernel is not None:
        types["weight"] = HLSType(covering_values(kernel))
    types["accum"] = HLSType(FixedPoint(whole.k, whole.i, max(fraction)))
    return types


def per_channel(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """One number per index of the last axis, None if they differ along the others."""
    rows = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    return np.array(rows[0]) if np.all(rows == rows[0]) else None


def affine(writer: Writer, node: Node, source: str, scale: NDArray[np.float64], offset: NDArray[np.float64]) -> None:
    """Write ``scale * x + offset``: one pair per channel where that is enough, else one per element."""
    channels = per_channel(scale), per_channel(offset)
    n_filt = channels[0].size if channels[0] is not None and channels[1] is not None else -1
    if n_filt == -1 and writer.options.stream:
        raise writer.refused(node, "scales positions differently", "use io_type='io_parallel'")
    scale_data, bias_data = channels if n_filt != -1 else (scale.ravel(), offset.ravel())
    types = {
        "result": writer.result_type(node),
        "scale": HLSType(covering_values(scale)),
        "bias": HLSType(covering_values(offset)),
    }
    size = prod(writer.shape(node.name))
    writer.add(
        "BatchNormalization", node, types, source, n_in=size, n_filt=n_filt, scale_data=scale_data, bias_data=bias_data
    )


def elementwise(op: Add | Subtract | Multiply | Maximum | Minimum, writer: Writer, node: Node) -> None:
    source = writer.out.names[node.inputs[0]]
    values = writer.values(node.inputs[1])
    if values is None:
        types = {"result": writer.result_type(node)}
        other, shape = writer.out.names[node.inputs[1]], list(writer.shape(node.name))
        writer.add("Merge", node, types, source, other, op=type(op).__name__.lower(), output_shape=shape)
        return
    full = np.broadcast_to(values, node.shape)
    if isinstance(op, Add):
        affine(writer, node, source, np.ones(node.shape), full)
        return
    final, offset = writer.take_constant_reader(node, Add)
    affine(writer, final, source, full, np.zeros(node.shape) if offset is None else offset)


def relu(op: Relu, writer: Writer, node: Node) -> None:
    del op
    source = writer.out.names[node.inputs[0]]
    size = prod(writer.shape(node.name))
    writer.add("Activation", node, {"result": writer.result_type(node)}, source, activation="relu", n_in=size)


def lookup(op: Lookup, writer: Writer, node: Node) -> None:
    """hls4ml's table is indexed by the bits of the input, whose type must therefore be the table's own."""
    if writer.options.plain:
        raise writer.refused(node, "has no layer", "use the Vitis or Vivado back end")
    key = FixedPoint(*(int(part.flat[0]) for part in (op.formats.k, op.formats.i, op.formats.f)))
    source = writer.out.names[node.inputs[0]]
    if writer.type_of(source).format != key:
        if writer.options.fuse:
            have = writer.type_of(source)
            raise writer.refused(
                node, f"reads {have} where its table has {HLSType(key)}", "quantize its input to that format"
            )
        source = _mask(writer, writer.graph[node.inputs[0]], source, op.formats)
        writer.out.types[source] = {"result": HLSType(key)}
    table = np.ldexp(op.tables[0].astype(np.float64), -op.fraction)
    types = {"result": writer.result_type(node), "table": HLSType(covering_values(table))}
    writer.add(
        "UnaryLUT", node, types, source, table_data=table, n_in=prod(writer.shape(node.name)), activation="unary_lut"
    )


def reshape(op: Reshape, writer: Writer, node: Node) -> None:
    del op
    source = writer.out.names[node.inputs[0]]
    types = {"result": HLSType(writer.type_of(source).format)}
    writer.add("Reshape", node, types, source, target_shape=list(writer.shape(node.name)))


def transpose(op: Transpose, writer: Writer, node: Node) -> None:
    source = writer.out.names[node.inputs[0]]
    types = {"result": HLSType(writer.type_of(source).format)}
    writer.add("Transpose", node, types, source, perm=list(op.axes))


def concatenate(op: Concatenate, writer: Writer, node: Node) -> None:
    sources = [writer.out.names[name] for name in node.inputs]
    rank = len(node.shape)
    if op.axis != rank - 1:
        raise writer.refused(node, "does not join along the last axis", "legalize the graph first")
    types = {"result": HLSType(covering(writer.formats_of(node.name)))}
    writer.add("Concatenate", node, types, *sources, axis=-1, op=f"concatenate{rank}d", output_shape=list(node.shape))
