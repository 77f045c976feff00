"""The range of data under WRAP: it is not trained, but follows the data (specification, numbers, section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.module_tracker import ModuleTracker

from hgq_core.calibration import FINGERPRINT_BYTES, fingerprint
from hgq_core.errors import DataError
from hgq_core.quantizer import Mode, fraction, mode_of, second
from hgq_core.quantizer.range import (
    cut,
    follows,
    follows_data,
    fresh,
    limited,
    needed,
    needed_as_it_stands,
    rounds_below_zero,
    tracks,
    wanted,
)
from hgq_core.spec import Dummy, Spec
from hgq_torch._ops import TORCH
from hgq_torch._reduce import check_not_empty
from hgq_torch._widths import StoredWidths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hgq_core.spec import KBI, KIF

__all__ = ["TRACKER", "FollowedRange"]

TRACKER = ModuleTracker()
"""Knows whether a backward pass runs; it is never entered, and tracks nothing."""


def _is_recomputed() -> bool:
    """Whether this forward pass runs inside a backward pass, as activation checkpointing repeats one.

    It sees the same batch a second time, which is no second step: ranges do not decay.
    """
    return not torch.compiler.is_compiling() and bool(TRACKER.is_bw)


class FollowedRange(StoredWidths):
    """Abstract: widths of which ``i`` and ``k`` follow the data under WRAP."""

    calibrated: Tensor

    def __init__(self, spec: Spec, *, data: bool, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__(spec, data=data, device=device, dtype=dtype)
        self.calibrating = False
        self.repeating = False
        self.process_group: Any = None
        self._observed: tuple[Tensor, Tensor] | None = None
        if self.follows_data:
            self.register_buffer("calibrated", torch.zeros(FINGERPRINT_BYTES, dtype=torch.uint8, device=device))

    # --- modes ------------------------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """CALIBRATE inside `calibrating`, else TRAIN or INFER as ``training`` says; INFER where it is `frozen`.

        A specification with ``trainable=False`` is not calibrated either.
        """
        # Calibration is no gradient: `requires_grad=False` does not keep a range from it.
        frozen = self.fixed_by_spec if self.calibrating else self.frozen
        return mode_of(frozen=frozen, calibrating=self.calibrating, training=self.training)

    @property
    def frozen(self) -> bool:
        """Whether no width is trained: training then rounds, wraps or clips as inference, and nothing follows the data.

        So says ``trainable=False`` of the specification, or ``requires_grad=False`` of its parameters.
        """
        if isinstance(self.spec, Dummy):
            return False
        return self.fixed_by_spec or not any(getattr(self, name).requires_grad for name in self.trained)

    @property
    def fixed_by_spec(self) -> bool:
        """Whether the specification says ``trainable=False``, so that calibration leaves the range too."""
        return not getattr(self.spec, "trainable", True)

    @property
    def follows_data(self) -> bool:
        """Whether ``i`` follows what is seen: under WRAP, but for a weight, whose range is that of its values."""
        return follows_data(self.spec)

    def _formats_of(self, x: Tensor, mode: Mode) -> tuple[Tensor, Tensor, Tensor]:
        """``k, i, f`` for this batch; under WRAP they follow it and are stored, but for a weight at inference."""
        if not follows(self.spec, mode):
            return self.kif()
        spec = cast("KIF | KBI", self.spec)
        own = self.width(second(spec))
        with torch.no_grad():
            k, i = self._followed(x, own, mode)
        return k, i, fraction(spec, own, i)

    def _followed(self, x: Tensor, own: Tensor, mode: Mode) -> tuple[Tensor, Tensor]:
        """Sign and whole integer bits that follow the batch; stored, except at inference."""
        spec = cast("KIF | KBI", self.spec)
        check_not_empty(x)
        axes = self.sharing.shared_axes
        low, high = TORCH.amin(x, axes), TORCH.amax(x, axes)
        needs = needed(TORCH, spec, low, high, own)
        if mode is Mode.INFER:
            return self.k, torch.round(limited(TORCH, spec, needs))
        self.reduce_max(needs)
        if mode is Mode.CALIBRATE:
            self._observe(low, high, needs, fraction(spec, own, needs))
        # A loop goes through one batch in several steps: the range is the largest of any of them, and decays once.
        repeated = self.repeating or _is_recomputed()
        self.i.copy_(limited(TORCH, spec, wanted(TORCH, spec, self.i, needs, mode, repeated=repeated)))
        i = torch.round(self.i)
        if mode is Mode.CALIBRATE:
            negative = rounds_below_zero(TORCH, spec, low, i, fraction(spec, own, i)).to(self.k.dtype)
            self.reduce_max(negative)
            self.k.copy_(torch.maximum(self.k, negative))
        return self.k, i

    def reduce_max(self, extreme: Tensor) -> None:
        """Maximum over replicas, in place, if `hgq_torch.synchronize` asked for it."""
        if self.process_group is not None:
            torch.distributed.all_reduce(extreme, torch.distributed.ReduceOp.MAX, group=self.process_group)

    def stored_widths(self) -> dict[str, Tensor] | None:
        """A copy of the widths, for `restore_widths`; None while they have no shape."""
        if not self.built:
            return None
        return {name: getattr(self, name).detach().clone() for name in self.stored}

    def restore_widths(self, kept: dict[str, Tensor] | None) -> None:
        """The widths as they were when `stored_widths` gave ``kept``; those that had no shape have none again."""
        if kept is not None:
            for name, width in kept.items():
                self._store(name, width)
        elif self.built:
            self.forget_shape()

    def reset_range(self) -> None:
        """Forget the data's range: the fewest integer bits that the constraint allows, and no sign (WRAP only)."""
        if tracks(self.spec) and self.built and not self.fixed_by_spec:
            self.assign(i=fresh(TORCH, cast("KIF | KBI", self.spec), torch.zeros_like(self.i)), k=0)

    # --- calibration --------------------------------------------------------------------------------------------------

    def _observe(self, low: Tensor, high: Tensor, needs: Tensor, f: Tensor) -> None:
        """Note what the batches of a calibration need, whatever the constraint leaves of it."""
        if not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
            message = "the calibration data become NaN or infinity on their way through the model; check its weights"
            raise DataError(message)
        negative = rounds_below_zero(TORCH, cast("KIF | KBI", self.spec), low, needs, f)
        if self._observed is not None:
            needs, negative = torch.maximum(self._observed[0], needs), self._observed[1] | negative
        self._observed = needs.clone(), negative

    def _observe_frozen(self, x: Tensor) -> None:
        """The same for a range that calibration leaves as it is."""
        axes = self.sharing.shared_axes
        low, high = TORCH.amin(x, axes), TORCH.amax(x, axes)
        f = self.kif()[2]
        self._observe(low, high, needed_as_it_stands(TORCH, cast("KIF | KBI", self.spec), low, high, f), f)

    def forget_observed(self) -> None:
        """Begin to note anew what a calibration needs."""
        self._observed = None

    def cut(self) -> tuple[int, int] | None:
        """Integer bits that the calibration data need and those that there are, where these are fewer; else None.

        Of the element that lacks most; with the sign for a range that is frozen.
        """
        if self._observed is None:
            return None
        needs, negative = (part.double().cpu().numpy() for part in self._observed)
        k, i, f = (part.detach().double().cpu().numpy() for part in self.kif())
        return cut(needs, k, i, f, negative > 0 if self.fixed_by_spec else None)

    def _fingerprint(self, weights: Sequence[Tensor]) -> NDArray[np.uint8]:
        widths = {name: getattr(self, name).detach().double().cpu().numpy() for name in self.stored}
        return fingerprint(widths, [weight.detach().double().cpu().numpy() for weight in weights])

    @property
    def was_observed(self) -> bool:
        """Whether data came by since `forget_observed`."""
        return self._observed is not None

    def mark_calibrated(self, weights: Sequence[Tensor] = ()) -> None:
        """Remember the present widths, and the weights of the layer, as those that a calibration left."""
        if self.follows_data and self.built:
            self.calibrated.copy_(torch.from_numpy(self._fingerprint(weights).copy()))

    def is_calibrated(self, weights: Sequence[Tensor] = ()) -> bool:
        """Whether the widths, and the weights of the layer, are those that a calibration left; True without a range.

        A step of training makes it False again. It is saved in the ``state_dict``, as the buffer ``calibrated``; files
        without it were not calibrated as far as is known.

        Args:
            weights: `hgq_torch.nn.QModule.own_weights` of the layer that it belongs to; none for a quantizer by itself.

        >>> from hgq_torch import Quantizer, calibrating
        >>> q = Quantizer("kif", "datalane", shape=(None, 4))
        >>> q.is_calibrated()
        False
        >>> with calibrating(q):
        ...     _ = q(torch.ones(1, 4))
        >>> q.mark_calibrated()
        >>> q.is_calibrated()
        True
        """
        if not self.follows_data:
            return True
        return self.built and bool(np.array_equal(self.calibrated.cpu().numpy(), self._fingerprint(weights)))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Files that are older than the buffer ``calibrated`` load without it: not known to be calibrated."""
        name = f"{prefix}calibrated"
        if self.follows_data and name not in state_dict:
            state_dict = {**state_dict, name: torch.zeros_like(self.calibrated)}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
