"""The table of the groups numbers and gradients: formats, and the inputs where implementations go wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Spec

__all__ = ["FORMATS", "INPUTS", "fixed_spec", "format_arrays", "inputs_for", "stored_widths"]

FORMATS = {
    "signed": (1, 2, 3),
    "unsigned": (0, 2, 3),
    "signed-integer": (1, 3, 0),
    "unsigned-integer": (0, 4, 0),
    "signed-fraction": (1, 0, 4),
    "negative-i": (1, -2, 6),
    "unsigned-negative-i": (0, -1, 5),
    "negative-f": (1, 5, -2),
    "unsigned-negative-f": (0, 4, -3),
    "sign-only": (1, 0, 0),
    "sign-only-negative-f": (1, 3, -3),
    "sign-only-negative-i": (1, -3, 3),
    "one-bit": (0, 0, 1),
    "two-bits": (1, 0, 1),
    "wide": (1, 7, 16),
    "wide-unsigned": (0, 8, 16),
    "wide-coarse": (1, 20, -4),
    "widest-fraction": (1, 0, 24),
    "widest": (1, 18, 6),
    "widest-unsigned": (0, 2, 22),
    "dead": (0, 0, 0),
    "dead-signed": (1, 1, -3),
    "dead-i-below-f": (1, -5, 2),
    "dead-unsigned-negative": (0, -4, 2),
}
"""``(k, i, f)`` by name."""

INPUTS = 72
"""Numbers of inputs of every format, one size for all so that compiled backends compile once."""


def inputs_for(k: int, i: int, f: int) -> NDArray[np.float32]:
    """Float32 numbers at and beside ties, at and beside the bounds of saturation and of wrapping, and far outside."""
    step, top = Fraction(2) ** -f, Fraction(2) ** max(i, -f)
    highest, lowest = top - step, -k * top
    span = top * 2**k
    centres = [Fraction(0), highest, lowest, -highest]
    values = [c + n * step / 2 for c in centres for n in range(-3, 4)]
    values += [lowest - span, highest + span, lowest + span, highest - span, 3 * span + step, -5 * span - step / 2]
    values += [Fraction(9, 10) * step, Fraction(-9, 10) * step, step / 1000, -step / 1000, span * 1000 + step * 3 / 2]
    ties = [step / 2, -step / 2, 3 * step / 2, highest - step / 2, lowest + step / 2]
    exact = np.array([float(v) for v in values], dtype=np.float32)
    beside = np.array([float(v) for v in ties], dtype=np.float32)
    up, down = (np.nextafter(beside, np.float32(end)) for end in (np.inf, -np.inf))
    famous = [0.49999997, -0.49999997, 8388609.0, -8388609.0, 8388607.5, 16777215.0, 0.7, -3.3]
    known = np.array(famous, dtype=np.float32)
    scaled = known[:6] * np.float32(float(step))
    result = np.concatenate([exact, up, down, known, scaled])
    padding = np.linspace(-1.7, 1.7, INPUTS, dtype=np.float32)[len(result) :] * np.float32(float(top))
    return np.concatenate([result, padding])


def format_arrays() -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """``(x, k, i, f)`` for all formats side by side: x of shape ``(inputs, formats)``, widths ``(1, formats)``."""
    x = np.stack([inputs_for(*fmt) for fmt in FORMATS.values()], axis=1)
    k, i, f = (np.array([[fmt[n] for fmt in FORMATS.values()]], dtype=np.int64) for n in range(3))
    return x, k, i, f


def fixed_spec(q_type: str, round_mode: Round, overflow_mode: Overflow, **parameters: Any) -> Spec:
    """A quantizer of data with own widths per element, shared over the batch; no constraints, no regularisers."""
    chosen: dict[str, Any] = {"homogeneous_axis": (0,), "i_decay_speed": 0.01} | parameters
    kind = KIF if q_type == "kif" else KBI
    return kind(round_mode=round_mode, overflow_mode=overflow_mode, **chosen)


def stored_widths(q_type: str, k: Any, i: Any, f: Any) -> dict[str, Any]:
    """What a quantizer of this type stores for the format ``(k, i, f)``."""
    return {"k": k, "i": i, "f": f} if q_type == "kif" else {"k": k, "b": np.asarray(i) + np.asarray(f), "i": i}
