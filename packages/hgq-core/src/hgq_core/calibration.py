"""What calibration is, whatever the framework: passes over the data that repeat until no range moves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hgq_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from numpy.typing import ArrayLike, NDArray

__all__ = ["FINGERPRINT_BYTES", "fingerprint", "refuse_cut", "settle"]

T = TypeVar("T")

FINGERPRINT_BYTES = 16
"""Length of a `fingerprint`."""


def fingerprint(widths: Mapping[str, ArrayLike], weights: Sequence[ArrayLike] = ()) -> NDArray[np.uint8]:
    """A digest of the whole widths of one quantizer, `FINGERPRINT_BYTES` bytes; never all zero.

    The range of data under WRAP is calibrated as long as the widths and the weights are those that calibration left: a
    step of training moves them, and with them the fingerprint. It is stored beside the widths, so that a file tells
    whether its model was calibrated.

    Args:
        widths: stored widths by name (bits), read as whole numbers.
        weights: those of the layer that the quantizer belongs to, in order.

    >>> before = fingerprint({"i": [2.0], "f": [3.4]})
    >>> bool(np.all(before == fingerprint({"f": [3.0], "i": [2.0]})))
    True
    >>> bool(np.all(before == fingerprint({"i": [2.0], "f": [4.0]})))
    False
    >>> bool(np.all(before == fingerprint({"i": [2.0], "f": [3.0]}, [[0.5]])))
    False
    """
    digest = hashlib.blake2b(digest_size=FINGERPRINT_BYTES - 1)
    for name in sorted(widths):
        whole = np.rint(np.asarray(widths[name], dtype=np.float64)).astype("<i8")
        digest.update(f"{name}{whole.shape}".encode())
        digest.update(whole.tobytes())
    for weight in weights:
        values = np.asarray(weight).astype("<f8")
        digest.update(f"{values.shape}".encode())
        digest.update(values.tobytes())
    return np.frombuffer(b"\x01" + digest.digest(), dtype=np.uint8)


def settle(one_pass: Callable[[int], T], stored: Callable[[], Sequence[ArrayLike]], *, moving: int) -> T:
    """Pass over the data until no range moves any more; returns what the last pass gave.

    In kif the grid does not depend on the range, and one pass is enough. In kbi a batch that raises ``i`` makes the
    grid coarser for the batches before it too, and for the layers behind it: they are passed again.

    Args:
        one_pass: shows the model all of the data once; receives the number of the pass, from 0.
        stored: the ranges as they stand.
        moving: number of quantizers whose grid moves with their range; without any, one pass is all.

    Raises:
        ConfigError: ranges still move after ``2 * moving + 4`` passes, which a model that gives the same numbers for
            the same data does not do.

    >>> ranges = [0.0]
    >>> def one_pass(number):
    ...     ranges[0] = min(ranges[0] + 1.0, 2.0)
    ...     return number
    >>> settle(one_pass, lambda: list(ranges), moving=1)
    2
    """
    # A pass settles at least the first quantizer that is not; one layer that is called many times may take more.
    most = 2 * moving + 4
    for number in range(most):
        before = [np.array(part) for part in stored()]
        result = one_pass(number)
        if not moving or all(map(np.array_equal, before, stored())):
            return result
    message = (
        f"ranges still grow after {most} passes over the same data, so no range holds them; expected a model that "
        "gives the same numbers for the same data: reset its state, or use the type 'kif' or overflow_mode='SAT'"
    )
    raise ConfigError(message)


def refuse_cut(name: str, needed: int, allowed: int, *, frozen: bool = False) -> NoReturn:
    """Refuse a range under WRAP that does not hold the data that it was calibrated on: they would wrap in silence.

    Args:
        name: of the quantizer, and of the layer that it belongs to.
        needed: integer bits that the data need; with the sign for a frozen range.
        allowed: integer bits that there are.
        frozen: whether the range is what it is because it is not trained, and not because of a constraint.

    Raises:
        DataError: always.

    >>> refuse_cut("dense_iq", 26, 23)
    Traceback (most recent call last):
    ...
    hgq_core.errors.DataError: quantizer 'dense_iq': the calibration data need 26 integer bits and its constraint ic \
leaves 23, so they would wrap; scale the data, raise the upper limit of ic, or use overflow_mode='SAT'
    """
    if frozen:
        message = (
            f"quantizer {name!r}: the calibration data need {needed} integer bits with the sign and its range, which "
            f"is frozen (trainable=False), has {allowed}, so they would wrap; set trainable=True while it is "
            "calibrated, give it a larger i0, scale the data, or use overflow_mode='SAT'"
        )
    else:
        message = (
            f"quantizer {name!r}: the calibration data need {needed} integer bits and its constraint ic leaves "
            f"{allowed}, so they would wrap; scale the data, raise the upper limit of ic, or use overflow_mode='SAT'"
        )
    raise DataError(message)
