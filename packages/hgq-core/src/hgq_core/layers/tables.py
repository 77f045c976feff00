"""A trained table: a function on every representable number, rounded by its output quantizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.graph.ops import Lookup
from hgq_core.ops import NUMPY
from hgq_core.quantize import fixed_point
from hgq_core.spec import KBI, KIF

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.emit import Exported

__all__ = ["LARGEST_TABLE", "tabulated"]

LARGEST_TABLE = 20
"""Bits of the widest input that a table is made for."""


def tabulated(
    function: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    source: Exported,
    target: Exported,
    shape: Shape,
    counted: NDArray[np.float64] | None,
    label: str,
) -> Lookup:
    """The table of ``target(function(source(x)))``, one for each distinct pair of input and output format.

    Args:
        function: in the numerics of the framework that trained it, at inference.
        source: quantizer of the input.
        target: quantizer of the output.
        shape: of the tensor, without the batch axis.
        counted: widths of the output that EBOPs counts, broadcastable to ``(1, *shape)``.
        label: the layer, for messages.

    Raises:
        UnsupportedError: quantizers that are not fixed point or have a scaler or an affine map, more than
            2**`LARGEST_TABLE` entries, or a function that is not finite for some representable input.
    """
    for exported in (source, target):
        if not isinstance(exported.spec, KIF | KBI):
            message = f"layer {label!r}: its quantizers are {exported.spec.q_type!r}; a table needs 'kif' or 'kbi'"
            raise UnsupportedError(message)
        if exported.scaler is not None or exported.affine is not None:
            message = f"layer {label!r}: a table takes no scaler and no affine; put them into its function"
            raise UnsupportedError(message)
    inputs, outputs = (_whole(exported.formats, shape, label) for exported in (source, target))
    rows = np.stack([part.ravel() for f in (inputs, outputs) for part in (f.k, f.i, f.f)], axis=1)
    distinct, index = np.unique(rows, axis=0, return_inverse=True)
    fraction = int(outputs.f.max())
    tables = tuple(_table(function, row, target, fraction, label) for row in distinct)
    bits = None if counted is None else np.rint(np.broadcast_to(counted, (1, *shape))[0]).astype(np.int64)
    return Lookup(inputs, tables, fraction, index.reshape(shape).astype(np.int64), bits)


def _whole(formats: Formats | None, shape: Shape, label: str) -> Formats:
    if formats is None:
        message = f"layer {label!r}: a quantizer of its table has no formats; expected 'kif' or 'kbi'"
        raise UnsupportedError(message)
    return formats.broadcast_to(shape)


def _table(
    function: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    row: NDArray[np.int64],
    target: Exported,
    fraction: int,
    label: str,
) -> NDArray[np.int64]:
    k, i, f, *out = (int(n) for n in row)
    width = max(k + i + f, 0)
    if width > LARGEST_TABLE:
        message = f"layer {label!r}: a table of 2**{width} entries is too large; expected at most {LARGEST_TABLE} bits"
        raise UnsupportedError(message)
    codes = np.arange(2**width)
    signed = np.where(codes >= 2 ** (width - 1), codes - 2**width, codes) if k and width else codes
    values = function(np.ldexp(signed.astype(np.float64), -f).astype(np.float32)).astype(np.float64)
    if not np.all(np.isfinite(values)):
        message = f"layer {label!r}: the function is not finite for some representable input; limit the input range"
        raise UnsupportedError(message)
    spec = target.spec
    if not isinstance(spec, KIF | KBI):
        message = f"layer {label!r}: its output quantizer is {spec.q_type!r}; a table needs 'kif' or 'kbi'"
        raise UnsupportedError(message)
    widths = [np.float64(n) for n in out]
    rounded = fixed_point(NUMPY, values, *widths, round_mode=spec.round_mode, overflow_mode=spec.overflow_mode)
    table: NDArray[np.int64] = np.ldexp(rounded, fraction).astype(np.int64)
    return table
