"""A contraction with a kernel whose shape follows from that of the output, as Keras writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.layers.linear import EinsumDense
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.graph.ops import Shape
    from hgq_core.layers.activation import Activation
    from hgq_core.layers.fused_norm import FoldedNorm
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["ExplicitEinsum", "ShapedEinsum"]


@dataclass(frozen=True)
class ExplicitEinsum:
    """An equation without ellipsis, for data of one shape.

    Attributes:
        equation: of data and kernel.
        terms: letters of data, kernel and output.
        sizes: of the axes by letter, without the batch.
        kernel: shape of the kernel.
        bias: shape of the bias; None: no bias.
    """

    equation: str
    terms: tuple[str, ...]
    sizes: Mapping[str, int]
    kernel: Shape
    bias: Shape | None


@dataclass(frozen=True)
class ShapedEinsum:
    """`EinsumDense` whose equation may contain ``...`` and whose kernel follows from the output's shape.

    Attributes:
        equation: of data and kernel, such as ``"...i,io->...o"``; the first letter of the data is the batch.
        output_shape: sizes of the output's axes, without the batch axis and those of the ellipsis; None where a size is
            that of the input.
        bias_axes: letters of the output along which the bias varies; None: no bias.
        activation: see `Activation`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        norm: see `EinsumDense`; needs axes of the bias.
    """

    equation: str
    output_shape: tuple[int | None, ...]
    bias_axes: str | None = None
    activation: Activation = None
    parallelization_factor: int = -1
    norm: FoldedNorm | None = None

    def __call__(self, t: Trace, x: Value) -> Value:
        found = self.explicit(t.shape(x))
        if self.norm is not None and found.bias is None:
            message = f"a norm needs axes along which it normalises; expected letters of {found.terms[2]!r}"
            raise ConfigError(message)
        activation, factor = self.activation, self.parallelization_factor
        return EinsumDense(found.equation, found.kernel, found.bias, activation, factor, self.norm)(t, x)

    def explicit(self, shape: Shape) -> ExplicitEinsum:
        """The equation for data of this shape, the batch axis left out, with all sizes."""
        operation, elided = _explicit(self.equation, len(shape) + 1)
        data, kernel, output = operation.terms
        if len(data) != len(shape) + 1:
            message = (
                f"received shape {(None, *shape)} with {len(shape) + 1} axes, expected {len(data)}, one for each "
                f"letter of {data!r} in {self.equation!r}"
            )
            raise ShapeError(message)
        operation.check_batch(constant=(False, True))
        sizes: dict[str, int | None] = dict(zip(data[1:], shape, strict=True))
        self._take_output(sizes, [letter for letter in output if letter not in elided and letter != data[0]])
        known = tuple(n for letter in kernel if (n := sizes.get(letter)) is not None)
        if len(known) < len(kernel):
            message = f"the kernel's shape {tuple(sizes.get(c) for c in kernel)} must be fixed"
            raise ShapeError(message)
        fixed = {letter: int(n) for letter, n in sizes.items() if n is not None}
        return ExplicitEinsum(operation.equation, operation.terms, fixed, known, self._bias(output, sizes))

    def _take_output(self, sizes: dict[str, int | None], explicit: list[str]) -> None:
        """Add the sizes of the output's own axes to those that are known."""
        if len(explicit) != len(self.output_shape):
            message = f"output_shape {self.output_shape} does not name the axes {explicit}"
            raise ShapeError(message)
        for letter, size in zip(explicit, self.output_shape, strict=True):
            known = sizes.get(letter)
            if size is not None and known is not None and size != known:
                message = f"axis {letter!r} is {known} in the input and {size} in output_shape"
                raise ShapeError(message)
            sizes[letter] = known if size is None else size

    def _bias(self, output: str, sizes: Mapping[str, int | None]) -> Shape | None:
        if not self.bias_axes:
            return None
        if unknown := set(self.bias_axes) - set(output):
            names = f"bias_axes {self.bias_axes!r} names {sorted(unknown)}"
            message = f"{names}, which the output {output!r} does not have"
            raise ConfigError(message)
        if output[0] in self.bias_axes:
            message = f"bias_axes {self.bias_axes!r} names the batch axis {output[0]!r}; leave it out"
            raise ConfigError(message)
        start = min(output.index(letter) for letter in self.bias_axes)
        return tuple(int(sizes[c] or 1) if c in self.bias_axes else 1 for c in output[start:])


def _explicit(equation: str, rank: int) -> tuple[Contract, str]:
    """The equation with the ellipsis spelled out for an input of this rank, and the letters that stand for it."""
    equation = equation.replace(" ", "")
    term = equation.partition(",")[0]
    if "..." not in equation:
        return Contract(equation), ""
    unused = [letter for letter in "zyxwvutsrqponm" if letter not in equation]
    elided = "".join(unused[: rank - len(term.replace("...", ""))])
    return Contract(equation.replace("...", elided)), elided
