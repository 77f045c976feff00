"""Nodes that both front ends append alike: a quantizer with scaler and affine map, and those of one layer by name."""

from __future__ import annotations

from math import frexp
from typing import TYPE_CHECKING, Any

from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from hgq_core.graph.ir import GraphBuilder

__all__ = ["Emitter", "add_quantizer"]


def add_quantizer(
    builder: GraphBuilder,
    x: str,
    *,
    formats: Formats | None,
    round_mode: str,
    overflow_mode: str,
    scaler: float | None,
    affine: tuple[float, float] | None,
    name: str,
    label: str,
) -> str:
    """Append ``y = affine[0] * (scaler * Q(x / scaler)) + affine[1]``, exactly; returns the name of y.

    A scaler of ``2**n`` moves the binary point of Q. Of ``-2**n`` it also flips the sign before and after, because
    rounding and limits are those of ``x / scaler``: ``-floor(-x)`` is no floor, and the range ``[-2**i, 2**i)`` is not
    symmetric. None of these nodes counts in EBOPs.

    Args:
        builder: the graph.
        x: name of what is quantized.
        formats: of ``Q``, broadcastable to the shape of x without the batch axis; None if Q leaves numbers as they are
            (a dummy), whose scaler and affine map act all the same.
        round_mode: of Q.
        overflow_mode: of Q.
        scaler: a finite number other than 0, None for 1.
        affine: scale and shift, as the arithmetic of the model holds them (float32 numbers of a float32 model).
        name: of the Quantize node.
        label: the layer that it comes from.

    Raises:
        UnsupportedError: a scaler that is no power of two, positive or negative: dividing by it rounds.

    >>> from hgq_core.graph import GraphBuilder, run
    >>> builder = GraphBuilder()
    >>> x = builder.add(op.Input((1,)))
    >>> modes = {"round_mode": "TRN", "overflow_mode": "SAT", "affine": None}
    >>> y = add_quantizer(builder, x, formats=Formats.of(1, 1, 0), scaler=-1.0, name="q", label="q", **modes)
    >>> run(builder.build([y]), [[0.25], [9.0], [-9.0]]).ravel().tolist()
    [1.0, 2.0, -1.0]
    """
    scaler = 1.0 if scaler is None else float(scaler)
    mantissa, exponent = frexp(abs(scaler))
    if mantissa != 0.5:
        message = (
            f"quantizer {name!r} of layer {label!r}: scaler {scaler} is no power of two and dividing by it "
            "rounds; use 2**n or -2**n, or scale the data before the model"
        )
        raise UnsupportedError(message)
    if formats is not None:
        shift, negative = exponent - 1, scaler < 0
        moved = Formats.of(formats.k, formats.i + shift, formats.f - shift)
        x = builder.add(op.Negate(), x, label=label, ebops_factor=0.0) if negative else x
        quantize = op.Quantize(moved, Round.parse(round_mode), Overflow.parse(overflow_mode))
        x = builder.add(quantize, x, name=name, label=label, ebops_factor=0.0)
        x = builder.add(op.Negate(), x, label=label, ebops_factor=0.0) if negative else x
    if affine is not None:
        for operation, number, part in ((op.Multiply(), affine[0], "scale"), (op.Add(), affine[1], "shift")):
            operand = builder.add(op.Constant.of(float(number)), name=f"{name}_{part}", label=label, ebops_factor=0.0)
            x = builder.add(operation, x, operand, label=label, ebops_factor=0.0)
    return x


class Emitter:
    """Appends the nodes of one layer or operation to a Graph, under its name; what has no declaration uses it.

    Attributes:
        builder: the graph.
        label: the layer, in the user's words.

    Args:
        builder: the graph.
        label: the layer.
        kind: its class, for messages.
    """

    def __init__(self, builder: GraphBuilder, label: str, kind: str = "") -> None:
        self.builder = builder
        self.label = label
        self._kind = kind

    @property
    def named(self) -> str:
        """The layer and its class, for messages."""
        return f"layer {self.label!r} ({self._kind})" if self._kind else f"layer {self.label!r}"

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an edge without the batch axis."""
        return self.builder.shape(name)

    def add(
        self, operation: op.Operation, *inputs: str, factor: float = 0.0, composite: str = "", name: str = ""
    ) -> str:
        """Append an operation whose EBOPs count with this factor."""
        full = f"{self.label}/{name}" if name else ""
        return self.builder.add(
            operation, *inputs, name=full, label=self.label, composite=composite, ebops_factor=factor
        )

    def constant(self, values: ArrayLike, bits: Any, name: str) -> str:
        """Append exact numbers; ``bits`` are the widths that EBOPs counts, None for none."""
        return self.add(op.Constant.of(values, bits), name=name)
