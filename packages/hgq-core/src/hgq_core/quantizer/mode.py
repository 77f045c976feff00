"""What a quantizer does with a batch: it trains, is calibrated, or acts as the hardware does."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Mode", "mode_of"]


class Mode(StrEnum):
    """How a quantizer, or a model, is called."""

    TRAIN = "train"
    """A training step: WRAP only rounds, and its ``i`` follows the batch, down by at most ``i_decay_speed``."""
    CALIBRATE = "calibrate"
    """Calibration: WRAP only rounds, and its ``i`` and ``k`` grow to hold the batch."""
    INFER = "infer"
    """What the hardware does, and what is exported: WRAP wraps with the stored widths."""


def mode_of(*, frozen: bool, calibrating: bool, training: bool) -> Mode:
    """The mode of a quantizer: what is frozen is neither trained nor calibrated; calibration is no kind of training.

    Args:
        frozen: whether its widths are not trained, so that nothing follows the data.
        calibrating: whether it is being calibrated.
        training: whether the framework calls it in training.

    >>> mode_of(frozen=True, calibrating=False, training=True)
    <Mode.INFER: 'infer'>
    >>> mode_of(frozen=False, calibrating=True, training=True)
    <Mode.CALIBRATE: 'calibrate'>
    """
    if frozen:
        return Mode.INFER
    if calibrating:
        return Mode.CALIBRATE
    return Mode.TRAIN if training else Mode.INFER
