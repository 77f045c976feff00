"""The linear operations, declared once: shape algebra and one ``apply`` that runs on any array type.

Layers run them on values, the cost on bit-widths, the prover on intervals, the exporters on hardware symbols.
All data is channels-last with the batch axis first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.numbers import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hgq_core.ops import Ops

__all__ = ["Contract", "Convolve", "Pool", "average_scale", "explicit_pads", "transposed_cuts", "windows"]


@dataclass(frozen=True, slots=True)
class Contract:
    """Sum of products ``y = einsum(equation, a, b)`` of data with a constant or of data with data.

    The equation names every axis, the batch axis of data included: a dense layer is ``"bi,io->bo"``.

    Attributes:
        equation: two operands and an explicit output, one letter per axis.

    Raises:
        ConfigError: another kind of equation.

    >>> Contract("bti,io->bto").shape((None, 3, 4), (4, 8))
    (None, 3, 8)
    """

    equation: str

    def __post_init__(self) -> None:
        inputs, arrow, output = self.equation.partition("->")
        terms = inputs.split(",")
        letters = self.equation.replace(",", "").replace("->", "")
        repeated = any(len(set(term)) != len(term) for term in (*terms, output))
        if len(terms) != 2 or not arrow or not letters.isalpha() or repeated or set(output) - set(inputs):
            message = (
                f"einsum equation: received {self.equation!r}, expected two operands, an explicit output and "
                "one letter per axis without repeats, such as 'bi,io->bo'"
            )
            raise ConfigError(message)

    @property
    def terms(self) -> tuple[str, str, str]:
        """Axis letters of the two operands and of the output."""
        inputs, _, output = self.equation.partition("->")
        first, second = inputs.split(",")
        return first, second, output

    def check_batch(self, *, constant: tuple[bool, bool]) -> None:
        """Raise ShapeError unless the batch axis comes first in all data and in the output, and is in no constant.

        Args:
            constant: whether each operand is constant and so has no batch axis.

        >>> Contract("bti,io->bto").check_batch(constant=(False, True))
        """
        data = [term for term, fixed in zip(self.terms, constant, strict=False) if not fixed]
        others = [term for term, fixed in zip(self.terms, constant, strict=False) if fixed]
        batch = data[0][:1] if data else ""
        if not batch or any(t[:1] != batch for t in (*data, self.terms[2])) or any(batch in t for t in others):
            message = (
                f"einsum equation {self.equation!r}: the batch axis, {batch!r}, must be the first axis of the data and "
                "of the output, and no axis of a constant, because each row of a batch is computed alone; move the "
                "axes behind it, as in 'bi,io->bo'"
            )
            raise ShapeError(message)

    def sizes(self, a: Sequence[int | None], b: Sequence[int | None]) -> dict[str, int | None]:
        """Size of every letter; raises ShapeError when the operands disagree."""
        sizes: dict[str, int | None] = {}
        for term, shape in zip(self.terms[:2], (a, b), strict=True):
            if len(term) != len(shape):
                message = f"{self.equation!r}: operand {term!r} has {len(term)} axes, received shape {tuple(shape)}"
                raise ShapeError(message)
            for letter, size in zip(term, shape, strict=True):
                if sizes.setdefault(letter, size) != size:
                    message = (
                        f"{self.equation!r}: axis {letter!r} is {sizes[letter]} in one operand and {size} in the other"
                    )
                    raise ShapeError(message)
        return sizes

    def shape(self, a: Sequence[int | None], b: Sequence[int | None]) -> tuple[int | None, ...]:
        """Shape of the output."""
        sizes = self.sizes(a, b)
        return tuple(sizes[letter] for letter in self.terms[2])

    def apply(self, ops: Ops, a: Any, b: Any) -> Any:
        """The output for values, intervals or symbols that ``ops`` understands."""
        return ops.einsum(self.equation, a, b)


@dataclass(frozen=True, slots=True)
class Convolve:
    """Convolution (cross-correlation) of ``(batch, *spatial, c_in)`` with a kernel ``(*window, c_in / groups, c_out)``.

    Attributes:
        strides: one per spatial axis.
        pads: ``(before, after)`` zeros per spatial axis.
        dilation: one per spatial axis.
        groups: number of channel groups.
        transposed: True for the adjoint operation: each input position adds ``x * kernel`` to the output at
            ``position * stride``; ``pads`` are then cut away from the full output.

    >>> Convolve((1, 1), ((1, 1), (1, 1)), (1, 1)).shape((None, 8, 8, 3), (3, 3, 3, 16))
    (None, 8, 8, 16)
    """

    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False

    def shape(self, x: Sequence[int | None], kernel: Sequence[int]) -> tuple[int | None, ...]:
        """Shape of the output; raises ShapeError if kernel and data do not fit."""
        rank = len(self.strides)
        if (
            len(x) != rank + 2
            or len(kernel) != rank + 2
            or x[-1] != kernel[-2] * self.groups
            or kernel[-1] % self.groups
        ):
            message = (
                f"convolution of rank {rank} with {self.groups} group(s): received data {tuple(x)} and kernel "
                f"{tuple(kernel)}; expected (batch, *spatial, c_in) and (*window, c_in / groups, c_out)"
            )
            raise ShapeError(message)
        if not len(self.strides) == len(self.dilation) == len(self.pads) or min(*self.strides, *self.dilation) < 1:
            message = (
                f"{self}: expected a stride and a dilation of at least 1, and a pair of pads, for each spatial axis"
            )
            raise ShapeError(message)
        spatial = [
            self._extent(int(n), w, s, d, p)  # type: ignore[arg-type]  # spatial sizes are static
            for n, w, s, d, p in zip(x[1:-1], kernel, self.strides, self.dilation, self.pads, strict=False)
        ]
        if any(n < 1 for n in spatial):
            message = (
                f"a kernel {tuple(kernel)} does not fit into data {tuple(x)}: the output would be {tuple(spatial)}"
            )
            raise ShapeError(message)
        return (x[0], *spatial, kernel[-1])

    def _extent(self, n: int, window: int, stride: int, dilation: int, pads: tuple[int, int]) -> int:
        reach = (window - 1) * dilation + 1
        if self.transposed:
            return (n - 1) * stride + reach - sum(pads)
        return (n + sum(pads) - reach) // stride + 1

    def apply(self, ops: Ops, x: Any, kernel: Any) -> Any:
        """The output for values, intervals or symbols that ``ops`` understands."""
        return ops.convolve(x, kernel, self)


@dataclass(frozen=True, slots=True)
class Pool:
    """Maximum or sum over windows of ``(batch, *spatial, channels)``.

    Padding never wins a maximum and adds nothing to a sum. An average is a sum followed by a multiplication.

    Attributes:
        kind: ``"max"`` or ``"sum"``.
        window: one size per spatial axis.
        strides: one per spatial axis.
        pads: ``(before, after)`` per spatial axis.

    Raises:
        ConfigError: another kind.

    >>> Pool("max", (2, 2), (2, 2), ((0, 0), (0, 0))).shape((None, 8, 8, 3))
    (None, 4, 4, 3)
    """

    kind: Literal["max", "sum"]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if self.kind not in ("max", "sum"):
            message = f"pooling kind: received {self.kind!r}, expected 'max' or 'sum'"
            raise ConfigError(message)

    def shape(self, x: Sequence[int | None]) -> tuple[int | None, ...]:
        """Shape of the output; raises ShapeError if the window does not fit."""
        if len(x) != len(self.window) + 2:
            message = f"pooling over {len(self.window)} axes: received shape {tuple(x)}"
            raise ShapeError(message)
        spatial = [
            (int(n) + sum(p) - w) // s + 1  # type: ignore[arg-type]  # spatial sizes are static
            for n, w, s, p in zip(x[1:-1], self.window, self.strides, self.pads, strict=True)
        ]
        if min(spatial, default=1) < 1:
            message = f"a pooling window {self.window} does not fit into shape {tuple(x)} with pads {self.pads}"
            raise ShapeError(message)
        return (x[0], *spatial, x[-1])

    def apply(self, ops: Ops, x: Any) -> Any:
        """The output for values, intervals or symbols that ``ops`` understands."""
        return ops.pool(x, self)

    def counts(self, spatial: Sequence[int]) -> list[list[int]]:
        """Per spatial axis, how many elements that are not padding each window covers."""
        return [
            [
                sum(0 <= start * stride - before + tap < size for tap in range(window))
                for start in range((size + before + after - window) // stride + 1)
            ]
            for size, window, stride, (before, after) in zip(spatial, self.window, self.strides, self.pads, strict=True)
        ]


def windows(
    window: Sequence[int], strides: Sequence[int], dilation: Sequence[int], out: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """For every tap of a window, its position and the slices of the padded input that meet it.

    >>> [position for position, _ in windows((2,), (1,), (1,), (3,))]
    [(0,), (1,)]
    """
    for tap in product(*map(range, window)):
        yield (
            tap,
            tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s) for t, s, d, n in zip(tap, strides, dilation, out, strict=True)
            ),
        )


def explicit_pads(
    padding: str, spatial: Sequence[int], window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Zeros ``(before, after)`` each spatial axis for ``"valid"``, ``"same"`` or ``"causal"`` padding.

    >>> explicit_pads("same", (8, 8), (3, 3), (2, 2), (1, 1))
    ((0, 1), (0, 1))
    """
    if padding == "valid":
        return tuple((0, 0) for _ in spatial)
    reach = [(w - 1) * d for w, d in zip(window, dilation, strict=True)]
    if padding == "causal":
        return tuple((r, 0) for r in reach)
    if padding != "same":
        message = f"padding: received {padding!r}, expected 'valid', 'same' or 'causal'"
        raise ConfigError(message)
    total = [max((-(-n // s) - 1) * s + r + 1 - n, 0) for n, s, r in zip(spatial, strides, reach, strict=True)]
    return tuple((t // 2, t - t // 2) for t in total)


def transposed_cuts(
    padding: str,
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int] | None = None,
) -> tuple[tuple[int, int], ...]:
    """What Keras cuts away ``(before, after)`` of a full transposed convolution; less than 0: zeros that it adds.

    With ``reach = (window - 1) * dilation + 1``, an axis of n positions gets, for ``"valid"``, ``(n - 1) * stride +
    reach + output_padding`` positions, or without output padding at least ``n * stride``; for ``"same"``
    ``(n - 1) * stride + reach % 2 + output_padding``, or without ``n * stride``.

    >>> transposed_cuts("same", (3,), (2,), (1,)), transposed_cuts("valid", (1,), (3,), (1,))
    (((0, 1),), ((0, -2),))
    """
    if padding not in ("valid", "same"):
        message = f"padding: received {padding!r}, expected 'valid' or 'same'"
        raise ConfigError(message)
    more = [None] * len(window) if output_padding is None else list(output_padding)
    cuts = []
    for w, s, d, extra in zip(window, strides, dilation, more, strict=True):
        reach = (w - 1) * d + 1
        if padding == "valid":
            cuts.append((0, -(max(s - reach, 0) if extra is None else extra)))
            continue
        cut = reach - s if extra is None else reach - reach % 2 - extra
        before = max(cut // 2, 0)
        cuts.append((before, cut - before))
    return tuple(cuts)


def average_scale(pool: Pool, spatial: Sequence[int]) -> NDArray[np.float64]:
    """``1 / n`` for the n elements that each window covers, padding left out; shape ``(*positions, 1)``.

    Exact where n is a power of two, else rounded to 12 significant bits: training and hardware then compute the same
    product, and float32 holds it.

    >>> average_scale(Pool("sum", (2,), (2,), ((0, 0),)), (4,)).ravel()
    array([0.5, 0.5])
    """
    counts = np.ones(())
    for covered in pool.counts(spatial):
        counts = np.multiply.outer(counts, np.asarray(covered, dtype=np.float64))
    scale: NDArray[np.float64] = short(1.0 / counts)
    return scale[..., None]
