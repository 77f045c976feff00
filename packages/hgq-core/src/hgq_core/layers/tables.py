"""A trained table: a function on every representable number, rounded by its output quantizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
_AT_ONCE = 2**18
"""Numbers that functions of many elements are evaluated for at once."""


def tabulated(
    function: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    source: Exported,
    target: Exported,
    shape: Shape,
    counted: NDArray[np.float64] | None,
    label: str,
    *,
    each: bool = False,
    table_idxs: tuple[int, int] | None = None,
) -> Lookup:
    """The table of ``target(function(source(x)))``, one for each distinct pair of input and output format.

    Args:
        function: in the numerics of the framework that trained it, at inference.
        source: quantizer of the input.
        target: quantizer of the output.
        shape: of the tensor, without the batch axis.
        counted: widths of the output that EBOPs counts, broadcastable to ``(1, *shape)``.
        label: the layer, for messages.
        each: whether each element has a function of its own, which then takes ``(entries, *shape)``; equal tables are
            one all the same.
        table_idxs: see `Lookup`.

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
    bits = None if counted is None else np.rint(np.broadcast_to(counted, (1, *shape))[0]).astype(np.int64)
    if each:
        given, index = _each(function, inputs, outputs, target, label)
        return Lookup(inputs, given, int(outputs.f.max()), index.reshape(shape), bits, table_idxs)
    rows = np.stack([part.ravel() for f in (inputs, outputs) for part in (f.k, f.i, f.f)], axis=1)
    distinct, index = np.unique(rows, axis=0, return_inverse=True)
    fraction = int(outputs.f.max())
    tables = tuple(_table(function, row, target, fraction, label) for row in distinct)
    return Lookup(inputs, tables, fraction, index.reshape(shape).astype(np.int64), bits, table_idxs)


def _each(
    function: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    inputs: Formats,
    outputs: Formats,
    target: Exported,
    label: str,
) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.int64]]:
    """The distinct tables of elements that each have a function of their own, and the one of each element."""
    width = np.maximum(inputs.k + inputs.i + inputs.f, 0)
    entries = _entries(int(width.max(initial=0)), label)
    most = 2 ** (width - 1.0)
    codes = np.arange(entries).reshape(-1, *(1,) * width.ndim) % 2**width
    signed = np.where((inputs.k > 0) & (width > 0) & (codes >= most), codes - 2**width, codes)
    x = np.ldexp(signed.astype(np.float64), -inputs.f).astype(np.float32)
    rows = max(1, _AT_ONCE // max(width.size, 1))
    values = np.concatenate([function(x[start : start + rows]) for start in range(0, entries, rows)])
    fraction = int(outputs.f.max())
    table = _rounded(values.astype(np.float64), (outputs.k, outputs.i, outputs.f), target, fraction, label)
    columns = np.moveaxis(table, 0, -1).reshape(-1, entries)
    found: dict[bytes, int] = {}
    tables: list[NDArray[np.int64]] = []
    index = np.zeros(width.size, dtype=np.int64)
    for number, (column, bits) in enumerate(zip(columns, width.ravel(), strict=True)):
        own = np.ascontiguousarray(column[: 2 ** int(bits)])
        index[number] = found.setdefault(own.tobytes(), len(tables))
        if index[number] == len(tables):
            tables.append(own)
    return tuple(tables), index


def _entries(width: int, label: str) -> int:
    if width > LARGEST_TABLE:
        message = f"layer {label!r}: a table of 2**{width} entries is too large; expected at most {LARGEST_TABLE} bits"
        raise UnsupportedError(message)
    return int(2**width)


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
    codes = np.arange(_entries(width, label))
    signed = np.where(codes >= 2 ** (width - 1), codes - 2**width, codes) if k and width else codes
    values = function(np.ldexp(signed.astype(np.float64), -f).astype(np.float32)).astype(np.float64)
    return _rounded(values, tuple(np.float64(n) for n in out), target, fraction, label)


def _rounded(
    values: NDArray[np.float64], formats: tuple[Any, ...], target: Exported, fraction: int, label: str
) -> NDArray[np.int64]:
    """In units of ``2**-fraction``."""
    if not np.all(np.isfinite(values)):
        message = f"layer {label!r}: the function is not finite for some representable input; limit the input range"
        raise UnsupportedError(message)
    spec = target.spec
    if not isinstance(spec, KIF | KBI):
        message = f"layer {label!r}: its output quantizer is {spec.q_type!r}; a table needs 'kif' or 'kbi'"
        raise UnsupportedError(message)
    widths = [np.asarray(n, dtype=np.float64) for n in formats]
    rounded = fixed_point(NUMPY, values, *widths, round_mode=spec.round_mode, overflow_mode=spec.overflow_mode)
    table: NDArray[np.int64] = np.ldexp(rounded, fraction).astype(np.int64)
    return table
