"""Layers with windows: convolutions and pooling."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.formats import FixedPoint
from hgq_core.graph.ops import Add, Convolve, Multiply, Pool
from hgq_hw.hls4ml.records._layers import affine, per_channel, sums
from hgq_hw.hls4ml.types import HLSType, covering

if TYPE_CHECKING:
    from hgq_core.graph import Node
    from hgq_hw.hls4ml.records._writer import Writer

__all__ = ["convolve", "pool"]

_AXES = ({1: ("width",), 2: ("height", "width")}, {1: (("left", "right"),), 2: (("top", "bottom"), ("left", "right"))})


def _window(
    word: str, shape: tuple[int, ...], out: tuple[int, ...], window: tuple[int, ...], op: Convolve | Pool
) -> dict[str, int]:
    """hls4ml's names for sizes, windows, strides and pads; ``word`` is ``filt`` or ``pool``."""
    rank = len(window)
    fields: dict[str, int] = {}
    for axis, (size, pads) in enumerate(zip(_AXES[0][rank], _AXES[1][rank], strict=True)):
        fields |= {
            f"in_{size}": shape[axis],
            f"out_{size}": out[axis],
            f"{word}_{size}": window[axis],
            f"stride_{size}": op.strides[axis],
        }
        fields |= {f"pad_{side}": pad for side, pad in zip(pads, op.pads[axis], strict=True)}
    return fields


def convolve(op: Convolve, writer: Writer, node: Node) -> None:
    kernel = writer.values(node.inputs[1])
    if kernel is None:
        raise writer.refused(node, "has a kernel that is data", "use the da4ml target")
    reader = writer.sole_reader(node.name)
    offset = writer.values(reader.inputs[1]) if reader is not None and isinstance(reader.op, Add) else None
    final, bias = node, None
    if offset is not None and per_channel(np.broadcast_to(offset, node.shape)) is not None:
        final, values = writer.take_constant_reader(node, Add)
        bias = None if values is None else per_channel(values)
    shape, out = writer.shape(node.inputs[0]), writer.shape(node.name)
    fields: dict[str, Any] = _window("filt", shape, out, kernel.shape[:-2], op)
    fields |= {"n_chan": shape[-1], "n_filt": out[-1], "data_format": "channels_last"}
    if not writer.options.stream:
        fields["parallelization_factor"] = prod(out[:-1])
    types = sums(writer, node, final, writer.result_type(final), kernel, bias)
    source = writer.out.names[node.inputs[0]]
    writer.add(
        f"Conv{len(op.strides)}D",
        final,
        types,
        source,
        weight_data=kernel,
        bias_data=bias,
        use_bias=bias is not None,
        **fields,
    )


def pool(op: Pool, writer: Writer, node: Node) -> None:
    if writer.options.stream and (any(map(any, op.pads)) or op.window != op.strides):
        # hls4ml's code asserts that there is neither: it would abort the process.
        raise writer.refused(
            node,
            f"pools over windows {op.window} with strides {op.strides} and padding {op.pads}",
            "io_stream needs strides equal to the window and no padding: use io_type='io_parallel', or change the pool",
        )
    shape, out = writer.shape(node.inputs[0]), writer.shape(node.name)
    rank = len(op.window)
    fields: dict[str, Any] = _window("pool", shape, out, op.window, op)
    fields |= {"n_filt": out[-1], "data_format": "channels_last", "count_pad": False}
    if rank == 1:
        fields |= {"n_in": shape[0], "n_out": out[0]}
    source = writer.out.names[node.inputs[0]]
    if op.kind == "max":
        types = {"result": writer.result_type(node), "accum": HLSType(covering(writer.formats_of(node.name)))}
        writer.add(f"MaxPooling{rank}D", node, types, source, **fields)
        return
    count = prod(op.window)
    final, factor = writer.take_constant_reader(node, Multiply)
    scale = np.full(node.shape, float(count)) * (1.0 if factor is None else factor)
    total = covering(writer.formats_of(node.name))
    shift = count.bit_length() - 1
    mean = HLSType(FixedPoint(total.k, total.i - shift, total.f + shift))
    types = {"result": mean, "accum": HLSType(FixedPoint(total.k, total.i, total.f + shift))}
    if np.all(scale == 1):
        types["result"] = writer.result_type(final)
        writer.add(f"AveragePooling{rank}D", final, types, source, **fields)
        return
    average = writer.add(f"AveragePooling{rank}D", node, types, source, **fields)
    final, offset = writer.take_constant_reader(final, Add)
    affine(writer, final, average, scale, np.zeros(node.shape) if offset is None else offset)
