"""Quantizers by the numbers of their type alone, under the names of HGQ2; each is a `Quantizer`."""

from __future__ import annotations

from math import inf
from typing import Any

from hgq_keras._quantizer import Quantizer
from hgq_keras.config import QuantizerConfig
from hgq_keras.constraints import Min, MinMax

__all__ = ["DummyQuantizer", "FixedPointQuantizerKBI", "FixedPointQuantizerKIF", "FloatPointQuantizer"]

_OF_A_LAYER = ("name", "dtype")


def _made(q_type: str, is_weight: bool, parameters: dict[str, Any], more: dict[str, Any]) -> Quantizer:
    """The quantizer; what is not given is the default of its place, in the scope that this is written in."""
    of_layer = {name: more.pop(name) for name in _OF_A_LAYER if name in more}
    config = QuantizerConfig(q_type, "weight" if is_weight else "datalane", **parameters, **more)
    return Quantizer(config, **of_layer)


def FixedPointQuantizerKBI(  # noqa: N802 (called as the class of that name, which users know)
    k0: Any,
    b0: Any,
    i0: Any,
    round_mode: str,
    overflow_mode: str,
    bc: Any = MinMax(0, 12),  # noqa: B008 (a constraint holds two numbers and does not change)
    ic: Any = None,
    br: Any = None,
    ir: Any = None,
    i_decay_speed: float = inf,
    is_weight: bool = False,
    **kwargs: Any,
) -> Quantizer:
    """A fixed-point `Quantizer` with trained bits and integer bits.

    Args:
        k0: 1 to keep negative numbers, else 0.
        b0: bits without the sign.
        i0: integer bits without the sign.
        round_mode: see `QuantizerConfig`, as the others.
        overflow_mode: what becomes of numbers beyond the range.
        bc: constraint of the bits.
        ic: constraint of the integer bits.
        br: regulariser of the bits.
        ir: regulariser of the integer bits.
        i_decay_speed: how fast integer bits follow data that became smaller (bits per step).
        is_weight: whether it quantizes a weight.
        **kwargs: ``homogeneous_axis`` or ``heterogeneous_axis``; ``name`` and ``dtype`` of a Keras layer.

    >>> FixedPointQuantizerKBI(1, 4, 1, "RND", "SAT").q_type
    'kbi'
    """
    given = {"k0": k0, "b0": b0, "i0": i0, "round_mode": round_mode, "overflow_mode": overflow_mode}
    given |= {"bc": bc, "ic": ic, "br": br, "ir": ir, "i_decay_speed": i_decay_speed, "is_weight": is_weight}
    return _made("kbi", is_weight, given, kwargs)


def FixedPointQuantizerKIF(  # noqa: N802 (called as the class of that name, which users know)
    k0: Any,
    i0: Any,
    f0: Any,
    round_mode: str,
    overflow_mode: str,
    ic: Any = None,
    fc: Any = None,
    ir: Any = None,
    fr: Any = None,
    i_decay_speed: float = inf,
    is_weight: bool = False,
    **kwargs: Any,
) -> Quantizer:
    """A fixed-point `Quantizer` with trained integer and fraction bits.

    Args:
        k0: 1 to keep negative numbers, else 0.
        i0: integer bits without the sign.
        f0: fraction bits.
        round_mode: see `QuantizerConfig`, as the others.
        overflow_mode: what becomes of numbers beyond the range.
        ic: constraint of the integer bits.
        fc: constraint of the fraction bits.
        ir: regulariser of the integer bits.
        fr: regulariser of the fraction bits.
        i_decay_speed: how fast integer bits follow data that became smaller (bits per step).
        is_weight: whether it quantizes a weight.
        **kwargs: ``homogeneous_axis`` or ``heterogeneous_axis``; ``name`` and ``dtype`` of a Keras layer.

    >>> FixedPointQuantizerKIF(1, 1, 3, "RND", "WRAP").q_type
    'kif'
    """
    given = {"k0": k0, "i0": i0, "f0": f0, "round_mode": round_mode, "overflow_mode": overflow_mode}
    given |= {"ic": ic, "fc": fc, "ir": ir, "fr": fr, "i_decay_speed": i_decay_speed, "is_weight": is_weight}
    return _made("kif", is_weight, given, kwargs)


def FloatPointQuantizer(  # noqa: N802 (called as the class of that name, which users know)
    m0: Any,
    e0: Any,
    e00: Any = 0,
    mc: Any = Min(-1),  # noqa: B008 (a constraint holds a number and does not change)
    ec: Any = Min(0),  # noqa: B008
    e0c: Any = None,
    mr: Any = None,
    er: Any = None,
    e0r: Any = None,
    **kwargs: Any,
) -> Quantizer:
    """A minifloat `Quantizer` with trained bits.

    Args:
        m0: bits of the mantissa, without the sign.
        e0: bits of the exponent.
        e00: offset of the exponent.
        mc: constraint of the mantissa's bits.
        ec: constraint of the exponent's bits.
        e0c: constraint of the offset.
        mr: regulariser of the mantissa's bits.
        er: regulariser of the exponent's bits.
        e0r: regulariser of the offset.
        **kwargs: ``homogeneous_axis`` or ``heterogeneous_axis``; ``name`` and ``dtype`` of a Keras layer.

    >>> FloatPointQuantizer(2, 4).q_type
    'float'
    """
    given = {"m0": m0, "e0": e0, "e00": e00, "mc": mc, "ec": ec, "e0c": e0c, "mr": mr, "er": er, "e0r": e0r}
    return _made("float", False, given, kwargs)


def DummyQuantizer(**kwargs: Any) -> Quantizer:  # noqa: N802 (called as the class of that name, which users know)
    """A `Quantizer` that leaves numbers as they are.

    Args:
        **kwargs: ``name`` and ``dtype`` of a Keras layer.

    >>> DummyQuantizer().q_type
    'dummy'
    """
    return _made("dummy", False, {}, kwargs)
