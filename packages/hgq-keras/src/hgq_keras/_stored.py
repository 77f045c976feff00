"""A quantizer's widths on disk: by name, so that neither their order nor which are trained decides what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import DataError, FileError
from hgq_core.quantizer import width_names
from hgq_core.spec import TYPES, check_widths

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

__all__ = ["load_widths", "save_widths"]

_CALIBRATED = "calibrated"


def save_widths(store: MutableMapping[str, Any], widths: Mapping[str, Any], calibrated: np.ndarray | None) -> None:
    """Write every width under its name, and the fingerprint of the widths that a calibration left, if there is one."""
    for name, variable in widths.items():
        store[name] = variable
    if calibrated is not None:
        store[_CALIBRATED] = calibrated


def load_widths(store: Mapping[str, Any], widths: Mapping[str, Any], quantizer: str, q_type: str) -> np.ndarray | None:
    """Assign every width from its name, or none; returns the fingerprint beside them, None in older files.

    Args:
        store: what `save_widths` filled.
        widths: variables by name.
        quantizer: name of the quantizer, for the error.
        q_type: its type.

    Raises:
        FileError: the file has the widths of another type or of another shape, widths that no arithmetic holds, or was
            written by position.
    """
    names = set(store.keys())
    received, expected = names - {_CALIBRATED}, set(width_names(q_type))
    if received != expected:
        message = (
            f"quantizer {quantizer!r} of type {q_type!r}: the file has {_described(received)}, expected "
            f"{_described(expected)}; build the model with the quantizer types it was saved with, or save it again"
        )
        raise FileError(message)
    if expected and not widths:
        message = f"quantizer {quantizer!r} is not built, so it cannot take widths from a file; call the model first"
        raise FileError(message)
    values = {name: np.asarray(store[name]) for name in widths}  # each access reads the file
    for name, variable in widths.items():
        if values[name].shape != tuple(variable.shape):
            message = (
                f"quantizer {quantizer!r}: width {name!r} has shape {values[name].shape} in the file, expected "
                f"shape {tuple(variable.shape)}; build the model with the layers and axes it was saved with"
            )
            raise FileError(message)
        try:
            check_widths(name, values[name])
        except DataError as error:
            message = f"quantizer {quantizer!r}: {error}"
            raise FileError(message) from error
    for name, variable in widths.items():
        variable.assign(values[name])
    return np.asarray(store[_CALIBRATED], dtype=np.uint8) if _CALIBRATED in names else None


def _described(names: set[str]) -> str:
    """Which type writes these names."""
    if not names:
        return "no widths"
    kind = next((q_type for q_type in TYPES if set(width_names(q_type)) == names), None)
    listed = ", ".join(sorted(names))
    if kind is not None:
        return f"the widths {listed} of type {kind!r}"
    return f"the widths {listed}, which no quantizer type has (a version before 0.1 wrote them by position)"
