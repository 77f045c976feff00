"""Which widths a quantizer stores: their names and order, where they start, what limits them, and which are trained.

Widths are stored as floats and read as whole numbers of bits. Fixed point is ``(k, i, f)`` or ``(k, b, i)`` with
``f = b - i``, a minifloat ``(m, e, e0)``; a type is named after its widths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hgq_core.modes import Overflow
from hgq_core.spec import KIF, Dummy, Float

if TYPE_CHECKING:
    from hgq_core.ops import Ops
    from hgq_core.spec import KBI, Spec

__all__ = ["Width", "declared", "fraction", "second", "straight_through", "width_names"]

_NAMES = {"kif": ("k", "i", "f"), "kbi": ("k", "b", "i"), "float": ("m", "e", "e0"), "dummy": ()}
_STARTS = {"float": ("m0", "e0", "e00")}


@dataclass(frozen=True, slots=True)
class Width:
    """One stored width (bits).

    Attributes:
        name: ``k, i, f, b, m, e`` or ``e0``.
        start: where it begins: a number, or an initialiser of the framework.
        constraint: its limits: `Bounds`, what the framework takes in their place, or None.
        regularizer: a factor of ``sum(width)``, what the framework takes in its place, or None.
        learned: whether it has a gradient: not ``k``, and not ``i`` under WRAP, which follows the data.
        trained: whether training moves it: it is learned, and the specification is trainable.
    """

    name: str
    start: Any
    constraint: Any
    regularizer: Any
    learned: bool
    trained: bool


def width_names(q_type: str) -> tuple[str, ...]:
    """Names of the widths of a quantizer type, in order; no two types have the same.

    >>> width_names("kbi")
    ('k', 'b', 'i')
    """
    return _NAMES[q_type]


def declared(spec: Spec) -> tuple[Width, ...]:
    """The widths of a quantizer, in the order of `width_names`; a dummy has none.

    >>> from hgq_core.spec import KBI
    >>> [(width.name, width.start, width.trained) for width in declared(KBI(b0=6, overflow_mode="WRAP"))]
    [('k', 1, False), ('b', 6, True), ('i', 2, False)]
    """
    if isinstance(spec, Dummy):
        return ()
    names = _NAMES[spec.q_type]
    starts = _STARTS.get(spec.q_type, tuple(f"{name}0" for name in names))
    widths = []
    for name, start in zip(names, starts, strict=True):
        learned = isinstance(spec, Float) or not (name == "k" or (name == "i" and spec.overflow_mode is Overflow.WRAP))
        limit, factor = (None, None) if name == "k" else (getattr(spec, f"{name}c"), getattr(spec, f"{name}r"))
        widths.append(Width(name, getattr(spec, start), limit, factor, learned, learned and spec.trainable))
    return tuple(widths)


def second(spec: KIF | KBI) -> str:
    """Name of the width beside the integer bits: ``f`` of kif, ``b`` of kbi."""
    return "f" if isinstance(spec, KIF) else "b"


def fraction(spec: KIF | KBI, width: Any, i: Any) -> Any:
    """Fraction bits: ``f`` itself in kif, ``b - i`` in kbi.

    Args:
        spec: the quantizer.
        width: the width named by `second`, whole.
        i: integer bits, whole.

    >>> from hgq_core.spec import KBI
    >>> fraction(KIF(), 6.0, 2.0), fraction(KBI(), 6.0, 2.0)
    (6.0, 4.0)
    """
    return width if isinstance(spec, KIF) else width - i


def straight_through(ops: Ops, width: Any) -> Any:
    """A stored width read as a whole number of bits: half to even, the gradient passed through unchanged.

    >>> from hgq_core.ops import NUMPY
    >>> [float(straight_through(NUMPY, width)) for width in (2.5, 3.5, -0.4)]
    [2.0, 4.0, 0.0]
    """
    return width + ops.stop_gradient(ops.rint(width) - width)
