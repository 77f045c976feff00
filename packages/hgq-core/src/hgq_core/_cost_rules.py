"""The rules of EBOPs, each on the widths that it needs: `hgq_core.cost` is their public door.

``bits`` are widths without the sign for WRAP and SAT_SYM and with it for SAT; width tensors have a leading batch axis
of size 1 for data. Source of the rules: the project's specification of EBOPs.
"""

from __future__ import annotations

import operator
from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, Any

from hgq_core.linear import windows
from hgq_core.quantize import LN2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hgq_core.linear import Contract, Convolve, Pool
    from hgq_core.ops import Ops

__all__ = [
    "ADDER",
    "LOOKUP",
    "bias_cost",
    "contraction_cost",
    "convolution_cost",
    "edge_cost",
    "lookup_cost",
    "merge_cost",
    "pooling_cost",
    "product_cost",
    "reduction_cost",
    "widest",
    "widest_along",
]

ADDER = 0.65
"""EBOPs of an adder per bit of its wider operand."""
LOOKUP = 1e-4
"""EBOPs of a table per bit that it stores."""
_WIDER_THAN_ANY = 4096.0


def contraction_cost(ops: Ops, op_: Contract, a: Any, b: Any, sizes: dict[str, int]) -> Any:
    """Sum of the contraction of two tensors of bits, whose axes may have size 1 where a width is shared.

    Each operand is first summed over the axes that it has alone, so that no product of the full size is formed.

    Args:
        ops: the array library.
        op_: the contraction.
        a: bits of the first operand.
        b: bits of the second operand.
        sizes: true size of every letter, 1 for the batch.
    """
    first, second, _ = op_.terms
    both = [letter for letter in first if letter in second]
    a = _summed(ops, a, first, both, sizes)
    b = _summed(ops, b, second, both, sizes)
    order = [letter for letter in second if letter in both]
    factor = 1.0
    for letter in both:
        if a.shape[both.index(letter)] == 1 and b.shape[order.index(letter)] == 1:
            factor *= sizes[letter]
    letters = "".join(both)
    a_full = ops.broadcast_to(a, [max(a.shape[n], b.shape[order.index(c)]) for n, c in enumerate(both)])
    b_full = ops.broadcast_to(b, [max(b.shape[n], a.shape[both.index(c)]) for n, c in enumerate(order)])
    if not both:
        return ops.reshape(a_full, ()) * ops.reshape(b_full, ())
    return ops.einsum(f"{letters},{''.join(order)}->", a_full, b_full) * factor


def _summed(ops: Ops, bits: Any, term: str, kept: list[str], sizes: dict[str, int]) -> Any:
    alone = tuple(n for n, letter in enumerate(term) if letter not in kept)
    factor = 1.0
    for n in alone:
        if bits.shape[n] == 1:
            factor *= sizes[term[n]]
    summed = ops.sum(bits, alone) if alone else bits
    return ops.reshape(summed, [n for axis, n in enumerate(bits.shape) if axis not in alone]) * factor


def convolution_cost(
    ops: Ops, op_: Convolve, x: Any, kernel: Any, spatial: Sequence[int], kernel_shape: Sequence[int]
) -> Any:
    """Sum of the convolution of two tensors of bits, tap by tap, without running the convolution.

    Args:
        ops: the array library.
        op_: the convolution.
        x: bits of the input, broadcastable to ``(1, *spatial, c_in)``.
        kernel: bits of the kernel, broadcastable to its shape.
        spatial: spatial shape of the input.
        kernel_shape: ``(*window, c_in / groups, c_out)``.
    """
    window, channels = kernel_shape[:-2], kernel_shape[-2] * op_.groups
    full = ops.broadcast_to(x, (1, *spatial, channels))
    kernel = ops.broadcast_to(kernel, tuple(kernel_shape))
    out = op_.shape((1, *spatial, channels), kernel_shape)[1:-1]
    if op_.transposed:
        met = _met_positions(op_, window, spatial, [int(n or 1) for n in out])
        parts = [_tap_cost(ops, full[(slice(None), *places)], kernel[tap], op_.groups) for tap, places in met]
        if parts:
            return reduce(operator.add, parts)
        # The padding cuts all products away: nothing to pay for, nor to gain.
        return ops.reshape(ops.sum(full, tuple(range(len(full.shape)))), ()) * 0.0
    padded = ops.pad(full, [(0, 0), *op_.pads, (0, 0)]) if any(map(any, op_.pads)) else full
    parts = [
        _tap_cost(ops, padded[(slice(None), *slices)], kernel[tap], op_.groups)
        for tap, slices in windows(window, op_.strides, op_.dilation, [int(n or 1) for n in out])
    ]
    return reduce(operator.add, parts)


def _met_positions(
    op_: Convolve, window: Sequence[int], spatial: Sequence[int], out: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """For every tap of a transposed convolution the positions of the input whose products are not cut away."""
    for tap in product(*map(range, window)):
        places = []
        for t, n, size, s, d, (before, _) in zip(tap, spatial, out, op_.strides, op_.dilation, op_.pads, strict=True):
            # Those with 0 <= position * s + t * d - before < size.
            first = max(-((t * d - before) // s), 0)
            places.append(slice(first, min((size - 1 + before - t * d) // s + 1, n)))
        if all(place.start < place.stop for place in places):
            yield tap, tuple(places)


def _tap_cost(ops: Ops, x: Any, kernel: Any, groups: int) -> Any:
    """Bits met by one tap: sum over channels of (input bits) * (bits of the weights that read them)."""
    per_channel = ops.reshape(ops.sum(x, tuple(range(len(x.shape) - 1))), (-1,))
    c_in, c_out = kernel.shape
    per_weight = ops.reshape(ops.sum(ops.reshape(kernel, (c_in, groups, c_out // groups)), (2,)), (c_in, groups))
    by_group = ops.reshape(per_channel, (groups, c_in))
    return ops.einsum("gi,ig->", by_group, per_weight)


def bias_cost(ops: Ops, bits: Any, shape: Sequence[int]) -> Any:
    """Sum of the bias bits over all output positions; ``shape`` is that of the output without the batch axis."""
    broadcast = ops.broadcast_to(bits, tuple(shape)) if tuple(bits.shape) != tuple(shape) else bits
    return ops.reshape(ops.sum(broadcast, tuple(range(len(shape)))), ())


def merge_cost(ops: Ops, bits: Sequence[Any], shape: Sequence[int], weight: float) -> Any:
    """``weight * (sum of bits - sum of the smallest operand's bits)`` over the elements of ``shape``.

    ``weight`` is `ADDER` for sums and 1 for maximum, minimum and comparison.
    """
    full = [ops.broadcast_to(b, (1, *shape)) for b in bits]
    total = reduce(lambda a, b: a + b, full) - _smallest(ops, full)
    return weight * ops.reshape(ops.sum(total, tuple(range(len(shape) + 1))), ())


def _smallest(ops: Ops, bits: Sequence[Any]) -> Any:
    """The elementwise minimum, whose derivative operands that tie share equally, on every backend."""
    low = ops.stop_gradient(reduce(ops.minimum, bits))
    ties = [ops.stop_gradient(ops.where(b <= low, b * 0.0 + 1.0, b * 0.0)) for b in bits]
    number = reduce(lambda a, b: a + b, ties)
    return low + reduce(
        lambda a, b: a + b, [(b - ops.stop_gradient(b)) * (tie / number) for b, tie in zip(bits, ties, strict=True)]
    )


def pooling_cost(ops: Ops, op_: Pool, bits: Any, shape: Sequence[int]) -> Any:
    """The rule of `merge_cost` over each window: weight 1 for max, `ADDER` for sum; padding costs nothing.

    ``shape`` is that of the input without the batch axis.
    """
    full = ops.broadcast_to(bits, (1, *shape))
    out = [int(n or 0) for n in op_.shape(full.shape)[1:-1]]
    pads = [(0, 0), *op_.pads, (0, 0)]
    places = [(slice(None), *cut) for _, cut in windows(op_.window, op_.strides, [1] * len(op_.window), out)]
    padded = compared = full
    if any(map(any, op_.pads)):
        # Padding is wider than any number, so that it is the smallest of no window.
        padded = ops.pad(full, pads)
        compared = padded + (1.0 - ops.pad(full * 0.0 + 1.0, pads)) * _WIDER_THAN_ANY
    summed = reduce(lambda a, b: a + b, [padded[place] for place in places])
    smallest = _smallest(ops, [compared[place] for place in places])
    weight = 1.0 if op_.kind == "max" else ADDER
    return weight * ops.reshape(ops.sum(summed - smallest, tuple(range(len(shape) + 1))), ())


def reduction_cost(ops: Ops, bits: Any, axes: Sequence[int], shape: Sequence[int], weight: float) -> Any:
    """The rule of `merge_cost` over the elements of one tensor along ``axes``, of which none is the batch axis.

    ``shape`` is that of the input without the batch axis, which ``axes`` leave out too.
    """
    full = ops.broadcast_to(bits, (1, *shape))
    total = ops.sum(full, tuple(axis + 1 for axis in axes)) - _smallest_along(ops, full, axes)
    return weight * ops.reshape(ops.sum(total, tuple(range(len(shape) + 1))), ())


def _smallest_along(ops: Ops, full: Any, axes: Sequence[int]) -> Any:
    """`_smallest` of the elements along axes, batch axis left out, which are kept with size 1."""
    over = tuple(axis + 1 for axis in axes)
    low = ops.stop_gradient(ops.amin(full, over))
    ties = ops.stop_gradient(ops.where(full <= low, full * 0.0 + 1.0, full * 0.0))
    return low + ops.sum((full - ops.stop_gradient(full)) * (ties / ops.sum(ties, over)), over)


def widest(ops: Ops, bits: Sequence[Any], shape: Sequence[int]) -> Any:
    """The largest width of each element: that of a number that is one of the operands, ``(1, *shape)``."""
    return -_smallest(ops, [-ops.broadcast_to(b, (1, *shape)) for b in bits])


def widest_along(ops: Ops, bits: Any, axes: Sequence[int], shape: Sequence[int]) -> Any:
    """The same for the elements of one tensor along ``axes``, which are kept with size 1; see `reduction_cost`."""
    return -_smallest_along(ops, -ops.broadcast_to(bits, (1, *shape)), axes)


def product_cost(ops: Ops, bits: Sequence[Any], shape: Sequence[int]) -> Any:
    """Sum of the product of the operands' bits over the elements of ``shape``."""
    full = [ops.broadcast_to(b, (1, *shape)) for b in bits]
    return ops.reshape(ops.sum(reduce(lambda a, b: a * b, full), tuple(range(len(shape) + 1))), ())


def edge_cost(ops: Ops, width_in: Any, width_out: Any, shape: Sequence[int], table_idxs: tuple[int, int]) -> Any:
    """Of layers of tables: ``sum(small * width_out) * 2**(b - B) + sum(width_out)``, ``(B, b) = table_idxs``.

    ``small = 2**(width_in - b)`` where that is 1 or more, else ``width_in / b``; widths have their sign. The second sum
    is the adders behind the tables.
    """
    whole, part = table_idxs
    fixed = ops.stop_gradient(width_in)
    above = fixed >= part
    entries = ops.power_of_two(ops.where(above, fixed - part, fixed * 0)) * (1.0 + LN2 * (width_in - fixed))
    small = ops.broadcast_to(ops.where(above, entries, width_in / part), (1, *shape))
    wide = ops.broadcast_to(width_out, (1, *shape))
    each = small * wide * 2.0 ** (part - whole) + wide
    return ops.reshape(ops.sum(each, tuple(range(len(shape) + 1))), ())


def lookup_cost(ops: Ops, bits_in: Any, bits_out: Any, shape: Sequence[int]) -> Any:
    """``1e-4 * sum(2**bits_in * bits_out)`` over the elements of ``shape``."""
    # Exact in value, with the derivative of 2**b: verbs that read bits of a float have none.
    fixed = ops.stop_gradient(bits_in)
    entries = ops.broadcast_to(ops.power_of_two(fixed) * (1.0 + LN2 * (bits_in - fixed)), (1, *shape))
    full = ops.broadcast_to(bits_out, (1, *shape))
    return LOOKUP * ops.reshape(ops.sum(entries * full, tuple(range(len(shape) + 1))), ())
