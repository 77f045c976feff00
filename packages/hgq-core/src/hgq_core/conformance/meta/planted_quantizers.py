"""Backends whose quantizers are wrong in one place each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Gradients, Mode
from hgq_core.conformance.numpy_backend import NumpyBackend, NumpyQuantizer
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Spec

__all__ = [
    "FollowsFrozen",
    "ForgottenAffine",
    "HalfAdded",
    "NoiseAfterAffine",
    "NoiseAtInference",
    "NoiseBeforeScaler",
    "WrongBits",
    "WrongClippedGradient",
    "WrongConstraint",
    "WrongGradient",
    "WrongNeededBits",
    "WrongReading",
    "WrongSharing",
    "WrongSignOnly",
    "WrongSubnormals",
    "WrongTie",
    "WrongWrapBound",
]

Array = np.ndarray


class WrongTie(NumpyBackend):
    """Rounds ties of RND away from zero."""

    def quantize(self, x: Array, k: Array, i: Array, f: Array, *, round_mode: Round, **options: Any) -> Array:
        mode = Round.RND_INF if round_mode is Round.RND else round_mode
        return super().quantize(x, k, i, f, round_mode=mode, **options)


class HalfAdded(NumpyBackend):
    """RND as ``floor(x + 1/2)`` in float32, which is wrong just below a tie and for large numbers."""

    def quantize(self, x: Array, k: Array, i: Array, f: Array, *, round_mode: Round, **options: Any) -> Array:
        if round_mode is Round.RND and options["overflow_mode"] is Overflow.WRAP:
            scale = np.ldexp(np.float32(1), f)
            x = np.floor(x * scale + np.float32(0.5)) / scale
        return super().quantize(x, k, i, f, round_mode=round_mode, **options)


class WrongWrapBound(NumpyBackend):
    """Leaves a value of exactly ``2**i`` where it is."""

    def quantize(self, x: Array, k: Array, i: Array, f: Array, **options: Any) -> Array:
        xq = super().quantize(x, k, i, f, **options)
        rounded = super().quantize(x, k, i, f, **{**options, "wrap": False})
        at_bound = (options["overflow_mode"] is Overflow.WRAP) & (rounded == np.ldexp(1.0, i)) & (k + i + f > 0)
        return np.where(at_bound, rounded, xq)


class WrongSignOnly(NumpyBackend):
    """SAT_SYM with nothing but a sign bit gives the lowest value, as ap_fixed does."""

    def quantize(self, x: Array, k: Array, i: Array, f: Array, **options: Any) -> Array:
        xq = super().quantize(x, k, i, f, **options)
        lone = (options["overflow_mode"] is Overflow.SAT_SYM) & (k == 1) & (i + f == 0) & (x < 0)
        return np.where(lone, -np.ldexp(1.0, i), xq)


class _GradientQuantizer(NumpyQuantizer):
    """The gradient to ``f`` of values that were clipped low is missing in SAT_SYM."""

    def fixed_gradients(self, *arrays: Array, overflow_mode: Overflow) -> tuple[Array, Array | None, Array]:
        mode = Overflow.SAT if overflow_mode is Overflow.SAT_SYM else overflow_mode
        dx, _, df = super().fixed_gradients(*arrays, overflow_mode=mode)
        _, di, _ = super().fixed_gradients(*arrays, overflow_mode=overflow_mode)
        return dx, di, df


class WrongGradient(NumpyBackend):
    quantizer_class = _GradientQuantizer


class _ClippedQuantizer(NumpyQuantizer):
    """Gradients pass where x was clipped."""

    def gradients(self, x: Array, g: Array) -> Gradients:
        right = super().gradients(x, g)
        return Gradients(right.xq, g, right.widths)


class WrongClippedGradient(NumpyBackend):
    quantizer_class = _ClippedQuantizer


class _MeanQuantizer(NumpyQuantizer):
    """Averages the gradients of elements that share a width."""

    def gradients(self, x: Array, g: Array) -> Gradients:
        right = super().gradients(x, g)
        widths = {name: None if part is None else part / len(x) for name, part in right.widths.items()}
        return Gradients(right.xq, right.dx, widths)


class WrongSharing(NumpyBackend):
    quantizer_class = _MeanQuantizer


class _MagnitudeQuantizer(NumpyQuantizer):
    """Tracks the magnitude only, so that a minimum of exactly -2**n costs one bit more."""

    def _follow(self, x: Array, mode: Mode) -> None:
        super()._follow(np.abs(x), mode)


class WrongNeededBits(NumpyBackend):
    quantizer_class = _MagnitudeQuantizer


class _UnconstrainedQuantizer(NumpyQuantizer):
    """The constraint of ``i`` has no effect under WRAP."""

    def __init__(self, spec: Spec, shape: tuple[int | None, ...], **transform: Any) -> None:
        super().__init__(spec, shape, **transform)
        if isinstance(spec, KIF):
            self.spec = KIF(**{**_parameters(spec), "ic": None})


class WrongConstraint(NumpyBackend):
    quantizer_class = _UnconstrainedQuantizer


class _TruncatedWidths(NumpyQuantizer):
    """Reads stored widths by rounding half up."""

    def _kif(self) -> tuple[Array, Array, Array]:
        k, i = self.stored["k"], np.floor(self.stored["i"] + 0.5)
        return k, i, np.floor(self.stored["f"] + 0.5) if isinstance(self.spec, KIF) else np.rint(self.stored["b"]) - i


class WrongReading(NumpyBackend):
    quantizer_class = _TruncatedWidths


class _SignedBits(NumpyQuantizer):
    """Counts the sign under WRAP and SAT_SYM."""

    def bits(self) -> Array:
        right = super().bits()
        if isinstance(self.spec, KIF | KBI) and self.spec.overflow_mode is not Overflow.SAT:
            return np.where(right > 0, right + 1, right)
        return right


class WrongBits(NumpyBackend):
    quantizer_class = _SignedBits


class _NegativeZeroMantissa(NumpyQuantizer):
    """A minifloat without subnormal numbers."""

    def _quantized(self, x: Array, mode: Mode) -> Array:
        xq = super()._quantized(x, mode)
        if isinstance(self.spec, KIF | KBI):
            return xq
        smallest = np.ldexp(1.0, (self.stored["e0"] + 1 - 2.0 ** (self.stored["e"] - 1)).astype(int))
        return np.where(np.abs(xq) < smallest, 0.0, xq)


class WrongSubnormals(NumpyBackend):
    quantizer_class = _NegativeZeroMantissa


class _Thawed(NumpyQuantizer):
    """Follows the data whatever the specification says."""

    trainable = True


class FollowsFrozen(NumpyBackend):
    quantizer_class = _Thawed


class _NoiseLast(NumpyQuantizer):
    """Mixes what goes in with what comes out of the affine map."""

    def _transformed(self, x: Array, quantize: Callable[[Array], Array] | None, mode: Mode) -> Array:
        factor, self.qnoise_factor = self.qnoise_factor, None
        y = super()._transformed(x, quantize, mode)
        self.qnoise_factor = factor
        return y if factor is None or mode is not Mode.TRAIN else x + factor * (y - x)


class NoiseAfterAffine(NumpyBackend):
    quantizer_class = _NoiseLast


class _IdleDummy(NumpyQuantizer):
    """A dummy that returns what it is given, without its affine map."""

    def _transformed(self, x: Array, quantize: Callable[[Array], Array] | None, mode: Mode) -> Array:
        return x if quantize is None else super()._transformed(x, quantize, mode)


class ForgottenAffine(NumpyBackend):
    quantizer_class = _IdleDummy


class _EndlessNoise(NumpyQuantizer):
    """Mixes at inference as in training."""

    def _transformed(self, x: Array, quantize: Callable[[Array], Array] | None, mode: Mode) -> Array:
        return super()._transformed(x, quantize, Mode.TRAIN)


class NoiseAtInference(NumpyBackend):
    quantizer_class = _EndlessNoise


class _DividedNoise(NumpyQuantizer):
    """Mixes before the scaler is multiplied back, with what the division made of x."""

    def _transformed(self, x: Array, quantize: Callable[[Array], Array] | None, mode: Mode) -> Array:
        scaler, affine = self.scaler, self.affine
        if quantize is None or scaler is None:
            return super()._transformed(x, quantize, mode)
        self.scaler = self.affine = None
        y = super()._transformed(x / scaler, quantize, mode) * scaler
        self.scaler, self.affine = scaler, affine
        return y if affine is None else y * affine[0] + affine[1]


class NoiseBeforeScaler(NumpyBackend):
    quantizer_class = _DividedNoise


def _parameters(spec: KIF) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in ("round_mode", "overflow_mode", "i_decay_speed", "homogeneous_axis")}
