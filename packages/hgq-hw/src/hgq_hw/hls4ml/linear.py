"""Rules for contractions, convolutions and pooling: see `hgq_hw.hls4ml.rules`."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Contract, Convolve, Pool
from hgq_core.ops import NUMPY
from hgq_hw.hls4ml.rules import rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal import Legalizer

__all__: list[str] = []

_LARGEST_MATRIX = 1 << 18


@rule.register
def _(op: Contract, legal: Legalizer, a: str, b: str) -> str:
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
    return legal.add(Contract(f"{first},{second}->{out}"), x, y)


def _check_batch(op: Contract, legal: Legalizer, batch: str, out: str, second: str, *, constant: bool) -> None:
    fits = out[:1] == batch and (batch not in second if constant else second[:1] == batch)
    if not fits:
        raise legal.refused(
            f"mixes the batch axis: received {op.equation!r}, expected the batch first in the data and in the output",
            "write the equation as 'b...,...->b...'",
        )


def _times_constant(
    legal: Legalizer, x: str, first: str, kernel: NDArray[np.float64], second: str, out: str
) -> str:
    """A contraction with a kernel; hls4ml wants every summed letter in both operands."""
    only_kernel = [n for n, letter in enumerate(second) if letter not in first + out]
    if only_kernel:
        kernel = kernel.sum(axis=tuple(only_kernel))
        second = "".join(letter for letter in second if letter in first + out)
    for letter in first[1:]:
        if letter not in second + out:
            kernel = np.repeat(kernel[..., None], legal.shape(x)[first.index(letter) - 1], axis=-1)
            second += letter
    shape = legal.node.shape
    if second and out[1:]:
        result = legal.add(Contract(f"{first},{second}->{out}"), x, legal.constant(kernel))
        return legal.reshape(result, shape)
    matrix = np.einsum(f"{_eye(first[1:])},{second}->{first[1:]}{out[1:]}", *_ones(legal.shape(x)), kernel)
    flat = matrix.reshape(prod(legal.shape(x)), max(prod(shape), 1))
    return legal.reshape(legal.along_axis(legal.flat(x), 0, flat), shape)


def _eye(letters: str) -> str:
    return letters


def _ones(shape: tuple[int, ...]) -> tuple[NDArray[np.float64]]:
    return (np.ones(shape),)
