"""Rules for contractions, convolutions and pooling."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Contract, Convolve, Multiply, Pool
from hgq_core.ops import NUMPY
from hgq_hw.hls4ml.legal._transposed import by_phase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal._legalizer import Legalizer

__all__ = ["contract", "convolve", "pool"]

_LARGEST_MATRIX = 1 << 18


def contract(op: Contract, legal: Legalizer, a: str, b: str) -> str:
    first, second, out = op.terms
    kernel = legal.constant_values(b)
    if kernel is None and legal.constant_values(a) is not None:
        first, second, a, b = second, first, b, a
        kernel = legal.constant_values(b)
    batch = first[0]
    _check_batch(op, legal, batch, out, second, constant=kernel is not None)
    if kernel is not None:
        return _times_constant(legal, a, first, kernel, second, out)
    x, first = _sum_out(legal, a, first, second + out)
    y, second = _sum_out(legal, b, second, first + out)
    if not out[1:]:
        products = legal.add(Multiply(), x, legal.transpose(y, [second.index(letter) - 1 for letter in first[1:]]))
        size = prod(legal.shape(products))
        return legal.reshape(legal.along_axis(legal.flat(products), 0, np.ones((size, 1))), ())
    return legal.add(Contract(f"{first},{second}->{out}"), x, y)


def _check_batch(op: Contract, legal: Legalizer, batch: str, out: str, second: str, *, constant: bool) -> None:
    fits = out[:1] == batch and (batch not in second if constant else second[:1] == batch)
    if not fits:
        raise legal.refused(
            f"mixes the batch axis: received {op.equation!r}, expected the batch first in the data and in the output",
            "write the equation as 'b...,...->b...'",
        )


def _times_constant(legal: Legalizer, x: str, first: str, kernel: NDArray[np.float64], second: str, out: str) -> str:
    """A contraction with a kernel; hls4ml wants every summed letter in both operands."""
    only_kernel = [n for n, letter in enumerate(second) if letter not in first + out]
    if only_kernel:
        kernel = kernel.sum(axis=tuple(only_kernel))
        second = "".join(letter for letter in second if letter in first + out)
    for letter in first[1:]:
        if letter not in second + out:
            kernel = np.repeat(kernel[..., None], legal.shape(x)[first.index(letter) - 1], axis=-1)
            second += letter
    if not out[1:]:  # hls4ml has no scalars: a vector of one element instead
        order = [second.index(letter) for letter in first[1:]]
        return legal.reshape(legal.along_axis(legal.flat(x), 0, kernel.transpose(order).reshape(-1, 1)), ())
    if not second:
        return legal.affine(legal.transpose(x, [first.index(letter) - 1 for letter in out[1:]]), kernel)
    return legal.add(Contract(f"{first},{second}->{out}"), x, legal.constant(kernel))


def _sum_out(legal: Legalizer, x: str, letters: str, others: str) -> tuple[str, str]:
    """x summed over the letters that nothing else has, and the letters that remain."""
    gone = "".join(letter for letter in letters if letter not in others)
    if not gone:
        return x, letters
    kept = "".join(letter for letter in letters if letter in others)
    ones = np.ones([legal.shape(x)[letters.index(letter) - 1] for letter in gone])
    return legal.add(Contract(f"{letters},{gone}->{kept}"), x, legal.constant(ones)), kept


def convolve(op: Convolve, legal: Legalizer, x: str, kernel: str) -> str:
    values = legal.constant_values(kernel)
    if values is None:
        raise legal.refused("has a kernel that is data", "express it as a contraction, or use the da4ml target")
    if len(op.strides) > 2 or (op.transposed and (legal.plain or legal.stream)):
        return _as_matrix(op, legal, x, values)
    full = _dilated(_ungrouped(values, op.groups), op.dilation)
    return by_phase(op, legal, x, full) if op.transposed else _convolve(legal, x, full, op.strides, op.pads)


def _convolve(
    legal: Legalizer,
    x: str,
    kernel: NDArray[np.float64],
    strides: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
) -> str:
    return legal.add(Convolve(strides, pads, (1,) * len(strides)), x, legal.constant(kernel))


def _ungrouped(kernel: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """The kernel of the same convolution without groups: zeros between the groups."""
    *window, c_in, c_out = kernel.shape
    full = np.zeros((*window, c_in * groups, c_out))
    for g in range(groups):
        outputs = slice(g * c_out // groups, (g + 1) * c_out // groups)
        full[..., g * c_in : (g + 1) * c_in, outputs] = kernel[..., outputs]
    return full


def _dilated(kernel: NDArray[np.float64], dilation: tuple[int, ...]) -> NDArray[np.float64]:
    """The kernel with zeros between its taps."""
    window = [(n - 1) * d + 1 for n, d in zip(kernel.shape, dilation, strict=False)]
    full = np.zeros((*window, *kernel.shape[-2:]))
    full[tuple(slice(None, None, d) for d in dilation)] = kernel
    return full


def _as_matrix(op: Convolve | Pool, legal: Legalizer, x: str, *kernel: NDArray[np.float64]) -> str:
    """Any linear operation as one matrix on the flat tensor."""
    size_in, size_out = prod(legal.shape(x)), prod(legal.node.shape)
    if size_in * size_out > _LARGEST_MATRIX:
        raise legal.refused(
            f"has no layer and would be a matrix of {size_in} x {size_out}, more than {_LARGEST_MATRIX} entries",
            "make the layer smaller, or use the da4ml target",
        )
    units = np.eye(size_in).reshape(size_in, *legal.shape(x))
    matrix = np.asarray(op.apply(NUMPY, units, *kernel)).reshape(size_in, size_out)
    return legal.reshape(legal.along_axis(legal.flat(x), 0, matrix), legal.node.shape)


def pool(op: Pool, legal: Legalizer, x: str) -> str:
    counts = op.counts(legal.shape(x)[:-1])
    if any(0 in axis for axis in counts):
        raise legal.refused("has a window that holds nothing but padding", "make the padding smaller than the window")
    return _pool_max(op, legal, x) if op.kind == "max" else _pool_sum(op, legal, x)


def _pool_max(op: Pool, legal: Legalizer, x: str) -> str:
    """hls4ml pads a maximum with the lowest signed number; where there is no sign, edges are repeated instead."""
    (formats,) = legal.operand_formats
    if len(op.window) < 3 and (formats.k.any() or not any(map(any, op.pads))):
        return legal.add(op, x)
    for axis, (before, after) in enumerate(op.pads):
        size = legal.shape(x)[axis]
        if before or after:
            x = legal.take(x, axis, np.clip(np.arange(-before, size + after), 0, size - 1))
    op = replace(op, pads=((0, 0),) * len(op.window))
    return legal.add(op, x) if len(op.window) < 3 else _pool_volume(op, legal, x)


def _pool_volume(op: Pool, legal: Legalizer, x: str) -> str:
    """The largest of a box is that of its lines: first along the last axis, then along the other two."""
    depth, height, width, channels = legal.shape(x)
    lines = Pool("max", (1, op.window[2]), (1, op.strides[2]), ((0, 0), (0, 0)))
    y = legal.add(lines, legal.reshape(x, (depth * height, width, channels)))
    planes = Pool("max", op.window[:2], op.strides[:2], op.pads[:2])
    y = legal.add(planes, legal.reshape(y, (depth, height, legal.shape(y)[1] * channels)))
    return legal.reshape(y, legal.node.shape)


def _pool_sum(op: Pool, legal: Legalizer, x: str) -> str:
    """Vitis and Vivado average exactly over a power of two; other sums are contractions, or convolutions if windows
    overlap. Quartus and Catapult average in the type of the data, and have no contraction: always a convolution.
    """
    rank, shape = len(op.window), legal.shape(x)
    padded = any(map(any, op.pads))
    averaged = not legal.plain and not (legal.stream and op.window != op.strides)
    if rank <= 2 and not padded and averaged and prod(op.window).bit_count() == 1:
        return legal.add(op, x)
    tiled = op.window == op.strides and not any(n % w for n, w in zip(shape, op.window, strict=False))
    if tiled and not padded and not legal.plain:
        split = [part for n, w in zip(shape, op.window, strict=False) for part in (n // w, w)]
        outer, inner, channel = "acdefg"[:rank], "hijklm"[:rank], "z"
        letters = "".join(a + h for a, h in zip(outer, inner, strict=True))
        equation = f"b{letters}{channel},{inner}->b{outer}{channel}"
        tiles = legal.reshape(x, (*split, shape[-1]))
        return legal.add(Contract(equation), tiles, legal.constant(np.ones(op.window)))
    if rank > 2:
        return _as_matrix(op, legal, x)
    kernel = np.ones(op.window)[..., None, None] * np.eye(shape[-1])
    return _convolve(legal, x, kernel, op.strides, op.pads)
