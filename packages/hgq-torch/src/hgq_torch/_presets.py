"""Quantizers that are an activation, as a layer takes them."""

from __future__ import annotations

from typing import Any

from hgq_core.presets import HARD_SIGMOID_AFFINE, beside, hard_sigmoid, hard_tanh

__all__ = ["HardSigmoidConfig", "HardTanhConfig"]


def HardTanhConfig(  # noqa: N802 (called as in hgq-keras)
    q_type: str = "kif", place: str = "datalane", symmetric: bool = False, **parameters: Any
) -> dict[str, Any]:
    """Arguments of a `Quantizer` that is ``clip(x, -1, 1)``: no integer bits, and saturation.

    Args:
        q_type: ``"kif"`` or ``"kbi"``.
        place: see `Quantizer`.
        symmetric: whether the lowest number is that above -1, as the highest is below 1.
        **parameters: see `Quantizer`; those of the range are fixed.

    Raises:
        ConfigError: a parameter that is fixed here.

    >>> import torch
    >>> from hgq_torch import Quantizer
    >>> Quantizer(**HardTanhConfig(f0=2))(torch.tensor([-3.0, 0.5, 3.0])).tolist()
    [-1.0, 0.5, 0.75]
    """
    fixed = beside(hard_tanh(symmetric=symmetric), parameters, "HardTanhConfig")
    return {"spec": q_type, "place": place, **fixed}


def HardSigmoidConfig(  # noqa: N802 (called as in hgq-keras)
    q_type: str = "kif", place: str = "datalane", **parameters: Any
) -> dict[str, Any]:
    """Arguments of a `Quantizer` that is ``0.25 * clip(x, -2, 2) + 0.5``.

    Args:
        q_type: ``"kif"`` or ``"kbi"``.
        place: see `Quantizer`.
        **parameters: see `Quantizer`; those of the range, and the affine map, are fixed.

    Raises:
        ConfigError: a parameter that is fixed here.

    >>> from hgq_torch.nn import QLinear
    >>> QLinear(4, 2, oq=HardSigmoidConfig(f0=4)).oq.affine
    (0.25, 0.5)
    """
    fixed = beside({**hard_sigmoid(), "affine": HARD_SIGMOID_AFFINE}, parameters, "HardSigmoidConfig")
    return {"spec": q_type, "place": place, **fixed}
