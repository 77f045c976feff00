"""What surrounds the quantization: scaler, noise factor and affine map, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.quantizer.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["transformed"]


def transformed(
    x: Any,
    quantize: Callable[[Any], Any] | None,
    *,
    mode: Mode,
    scaler: Any = None,
    affine: tuple[Any, Any] | None = None,
    noise_factor: float | None = None,
) -> Any:
    """``y = affine[0] * q + affine[1]`` with ``q = scaler * Q(x / scaler)``.

    In training ``x + noise_factor * (q - x)`` takes the place of q.

    The noise factor mixes what goes in with what comes out of the scaled quantizer, so that 0 gives x itself, whatever
    the scaler; the affine map acts on the mixture. Of a dummy Q is the identity: scaler and noise cancel, exactly, and
    the affine map is left. Operators of the arrays are all that is needed, so that it runs on every library.

    Args:
        x: the tensor.
        quantize: Q; None for a dummy.
        mode: of the quantizer; noise belongs to TRAIN.
        scaler: a number other than 0; None for 1.
        affine: scale and shift; None for 1 and 0.
        noise_factor: 0 (no quantization) to 1; None for 1.

    >>> transformed(2.6, round, mode=Mode.TRAIN, scaler=0.5, affine=(4.0, 1.0), noise_factor=0.5)
    11.2
    >>> transformed(2.6, None, mode=Mode.INFER, scaler=0.3, affine=(2.0, 1.0))
    6.2
    """
    y = x
    if quantize is not None:
        y = quantize(x if scaler is None else x / scaler)
        y = y if scaler is None else y * scaler
        if noise_factor is not None and mode is Mode.TRAIN:
            y = x + noise_factor * (y - x)
    return y if affine is None else y * affine[0] + affine[1]
