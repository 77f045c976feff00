"""Quantizers that are an activation: limits of a format in place of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.modes import Overflow
from hgq_core.spec import Bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HARD_SIGMOID_AFFINE", "beside", "hard_sigmoid", "hard_tanh"]

HARD_SIGMOID_AFFINE: tuple[float, float] = (0.25, 0.5)
"""``y = 0.25 x + 0.5`` behind the limits of `hard_sigmoid`."""


def hard_tanh(*, symmetric: bool = False) -> dict[str, Any]:
    """Parameters of a quantizer that is ``clip(x, -1, 1)``: no integer bits, and saturation.

    Args:
        symmetric: whether the lowest number is that above -1, as the highest is below 1.

    >>> hard_tanh()["i0"]
    0
    """
    mode = Overflow.SAT_SYM if symmetric else Overflow.SAT
    return {"k0": 1, "i0": 0, "ic": Bounds(0, 0), "overflow_mode": mode}


def hard_sigmoid() -> dict[str, Any]:
    """Parameters of a quantizer that is ``clip(x, -2, 2)``; with `HARD_SIGMOID_AFFINE` behind it a hard sigmoid.

    >>> hard_sigmoid()["i0"]
    1
    """
    return {"k0": 1, "i0": 1, "ic": Bounds(1, 1), "overflow_mode": Overflow.SAT}


def beside(fixed: Mapping[str, Any], parameters: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fixed parameters of a quantizer and those that a user gives beside them.

    Args:
        fixed: of a preset.
        parameters: of the user.
        name: of the preset, in the message.

    Raises:
        ConfigError: a parameter that is fixed.

    >>> beside(hard_tanh(), {"f0": 4}, "HardTanhConfig")["f0"]
    4
    """
    if taken := sorted(set(fixed) & set(parameters)):
        message = f"{name}: received {', '.join(taken)}, which it fixes; leave them out, or give another quantizer"
        raise ConfigError(message)
    return {**fixed, **parameters}
