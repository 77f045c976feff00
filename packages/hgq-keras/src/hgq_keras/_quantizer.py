"""The Keras quantizer: variables, modes, and one custom-gradient operation around the core's quantizer body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.errors import ConfigError
from hgq_core.quantize import Grid
from hgq_core.quantizer import Mode, fraction, mode_of, transformed
from hgq_core.quantizer.range import cut, follows, is_weight_range, limited, tracks, wraps
from hgq_core.spec import KBI, KIF, Dummy, Float
from hgq_keras._computed import computed
from hgq_keras._kept import kept, may_keep
from hgq_keras._ops import KERAS, cast, read
from hgq_keras._read_widths import ReadWidths
from hgq_keras._start import in_trace
from hgq_keras._tracking import follow, observe
from hgq_keras.config import QuantizerConfig, check_format
from hgq_keras.kernels import on_grid
from hgq_keras.kernels.quantize import minifloat_op, quantize_op

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.kept import Kept
    from hgq_keras._tracking import Range

__all__ = ["Quantizer"]


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_MOST = 126.0
"""More integer bits than any constraint leaves: an element that is dead even so is dead whatever its data."""


@keras.saving.register_keras_serializable(package="hgq_keras")
class Quantizer(ReadWidths):
    """Quantizes a tensor element by element, with widths that are trained by gradient.

    ``q(x) = affine[0] * (scaler * Q(x / scaler)) + affine[1]`` with Q the format of each element; of a dummy Q is the
    identity.

    Args:
        config: a `QuantizerConfig`, or a type name as its first argument.
        place: place if ``config`` is a type name.
        **kwargs: parameters of `QuantizerConfig` if ``config`` is a type name; ``name`` and ``dtype`` of a Keras layer.

    Variables (bits): ``k``; ``i``; ``f`` (kif) or ``b`` (kbi); ``m, e, e0`` (float). Under WRAP ``i`` is not trained:
    it follows the data.

    Raises:
        ConfigError: options that do not exist or exclude each other, or a data type that cannot hold the numbers.

    >>> import numpy as np
    >>> q = Quantizer("kif", "datalane", i0=1, f0=1, heterogeneous_axis=())
    >>> [float(v) for v in q(np.array([[0.3, 2.6]], "float32"), training=True)[0]]
    [0.5, 2.5]
    """

    def __init__(self, config: QuantizerConfig | str = "default", place: str = "datalane", **kwargs: Any) -> None:
        base = {name: kwargs.pop(name) for name in ("name", "dtype") if name in kwargs}
        if isinstance(config, QuantizerConfig):
            if kwargs:
                message = f"received a QuantizerConfig and also {sorted(kwargs)}; put them into the configuration"
                raise ConfigError(message)
        else:
            config = QuantizerConfig(config, place, **kwargs)
        super().__init__(config.spec, config.place == "datalane", **base)
        self.config = config
        self.supports_masking = True
        self._calibrating = False
        self._repeating = False
        self._unlimited = False
        self._kept: tuple[np.ndarray, np.ndarray] | None = None
        self._seen = False
        self._known_weight: Kept[Any] = kept()
        self._known_grid: Kept[Grid] = kept()
        stochastic = isinstance(self.spec, KIF | KBI) and self.spec.stochastic
        self._seed = keras.random.SeedGenerator() if stochastic else None

    # --- forward -----------------------------------------------------------------------------------------------------

    def mode(self, training: bool | None) -> Mode:
        """Inference if the widths are not trained; else calibration if it is switched on, training or inference."""
        return mode_of(frozen=self.is_frozen, calibrating=self._calibrating, training=bool(training))

    def call(self, x: Any, training: bool | None = None) -> Any:
        if self._weight is not None and self._weight.first_step(training):
            self.judge_weight()
        q = self._transformed(x, self.mode(training))
        if self._weight is not None and in_trace(q):
            self.judge_weight()
        return q

    @property
    @computed
    def is_watched(self) -> bool:
        """Whether PyTorch has hooks to call around it, which it does where Keras calls it as a layer."""
        return any(getattr(self, hooks, None) for hooks in _HOOKS)

    def weight_at_hand(self, weight: Any) -> Any:
        """A weight quantized as at inference; that of last time as long as weight and widths are the same."""
        sources = [weight, *self._tensors()]
        if self._calibrating or not may_keep(*sources):
            return self.call(weight, training=False)
        return self._known_weight.result(sources, lambda: self.call(weight, training=False))

    def _tensors(self) -> list[Any]:
        """The widths as they are stored."""
        return [read(width) for width in self._widths.values()]

    def _transformed(self, x: Any, mode: Mode) -> Any:
        """Quantization with scaler, noise factor and affine map around it."""
        config = self.config
        dummy = isinstance(self.spec, Dummy)
        return transformed(
            x if dummy and config.affine is None else cast(x, self.compute_dtype),
            None if dummy else lambda inner: self._quantized(inner, mode),
            mode=mode,
            scaler=config.scaler,
            affine=config.affine,
            noise_factor=config.qnoise_factor,
        )

    def _quantized(self, x: Any, mode: Mode) -> Any:
        sharing = self._shared
        split = sharing.split(KERAS, x)
        return sharing.join(KERAS, self._float(split) if isinstance(self.spec, Float) else self._fixed(split, mode))

    def _fixed(self, x: Any, mode: Mode) -> Any:
        spec = self.fixed_spec
        if mode is Mode.INFER and self._kept is None and not follows(spec, mode):
            sources = self._tensors()
            if may_keep(x, *sources):
                return on_grid(KERAS, x, self._known_grid.result(sources, self._grid), wrap=wraps(spec, mode))
        k, i, second = self._beside_data("k"), self._beside_data("i"), self._beside_data(self._second)
        if self._kept is not None:
            own_k, own_i = (ops.convert_to_tensor(part, dtype=self.compute_dtype) for part in self._kept)
            f = fraction(spec, KERAS.rint(second), KERAS.rint(own_i))
            self._note(observe(x, k, i, f, spec, self._shared.shared_axes), Mode.CALIBRATE)
            k, i = own_k, own_i
        # In kif the step does not depend on i: training quantizes first and takes the extremes of the result.
        after = mode is Mode.TRAIN and isinstance(spec, KIF) and follows(spec, mode)
        if after:
            i_used = limited(KERAS, spec, ops.full_like(i, _MOST))
        elif follows(spec, mode):
            k, i_used = self._follow(x, k, i, KERAS.rint(second), mode)
        else:
            i_used = i
        noise = []
        if self._seed is not None and mode is Mode.TRAIN:
            noise = [keras.random.uniform(ops.shape(x), dtype=self.compute_dtype, seed=self._seed)]
        quantized = quantize_op(self._shared.shared_axes, spec, wrap=wraps(spec, mode), noisy=bool(noise))
        xq = quantized(x, i_used, second, k, *noise)
        if after:
            self._follow(xq, k, i, KERAS.rint(second), mode)
        return xq

    def _grid(self) -> Grid:
        """The grid of the widths as they are stored."""
        spec = self.fixed_spec
        i, second = KERAS.rint(self._beside_data("i")), KERAS.rint(self._beside_data(self._second))
        modes: dict[str, Any] = {"round_mode": spec.round_mode, "overflow_mode": spec.overflow_mode}
        return Grid.of(KERAS, self._beside_data("k"), i, fraction(spec, second, i), **modes)

    def _float(self, x: Any) -> Any:
        return minifloat_op(self._shared.shared_axes)(
            x, self._beside_data("m"), self._beside_data("e"), self._beside_data("e0")
        )

    def _follow(self, x: Any, k: Any, i: Any, second: Any, mode: Mode) -> tuple[Any, Any]:
        """Sign and integer bits that hold x, stored but at inference."""
        found = follow(x, k, i, second, self.fixed_spec, self._shared.shared_axes, mode, repeated=self._repeating)
        self._note(found, mode)
        return found.k, found.limited

    def _note(self, found: Range, mode: Mode) -> None:
        """Store the range after a batch, but at inference."""
        if mode is Mode.CALIBRATE:
            self._seen = True
            self._k.assign(found.k)
        if mode is not Mode.INFER:
            self._i.assign(found.wanted if self._unlimited else found.limited)

    # --- loops -------------------------------------------------------------------------------------------------------

    def repeat(self, on: bool) -> None:
        """Say that calls from now on go on with one batch, as the steps of a loop do, so that no range decays."""
        self._repeating = on

    def moving(self, training: bool | None) -> list[Any]:
        """The variables that a call stores something in: the range of its data, the state of random numbers."""
        mode = Mode.CALIBRATE if self._kept is not None else self.mode(training)
        if not isinstance(self.spec, KIF | KBI) or mode is Mode.INFER:
            return []
        stores = self._kept is not None or follows(self.spec, mode)
        ranges = [] if not stores else [self._i] if mode is Mode.TRAIN else [self._k, self._i]
        return [*ranges, self._seed.state] if self._seed is not None and mode is Mode.TRAIN else ranges

    def decayed(self, training: bool | None) -> list[tuple[Any, Any]]:
        """Variables with what they hold before the first step of a loop over a batch, where that is something else."""
        mode = self.mode(training)
        if mode is not Mode.TRAIN or not isinstance(self.spec, KIF | KBI) or not follows(self.spec, mode):
            return []
        return [(self._i, read(self._i) - self.spec.i_decay_speed)]

    # --- calibration -------------------------------------------------------------------------------------------------

    def calibrate(self, on: bool) -> None:
        """Switch calibration mode on or off; `hgq_keras.calibrating` does it for a model."""
        self._calibrating = on

    @property
    def was_seen(self) -> bool:
        """Whether the function that calibration calls applies it; compiled, it says so only once."""
        return self._seen

    def forget_seen(self) -> None:
        """Begin to look anew whether calibration applies it."""
        self._seen = False

    def observe(self) -> None:
        """Switch calibration mode on, and note what the data want even where the range is limited or frozen.

        What is noted stands in place of the range until `conclude`, and is used by nothing.
        """
        self._calibrating = True
        if self.built and tracks(self.spec):
            self._unlimited = True
            if self.is_frozen and not is_weight_range(self.spec):
                self._kept = self._stored("k"), self._stored("i")

    def conclude(self) -> tuple[int, int] | None:
        """Switch calibration mode off and store the range.

        Returns:
            If the range does not hold the data: the integer bits that are needed and those that there are, of the
            element that lacks most; with the sign for a frozen range.
        """
        kept, unlimited = self._kept, self._unlimited
        self._calibrating, self._unlimited, self._kept = False, False, None
        if not unlimited:
            return None
        spec, k, needed = self.fixed_spec, self._stored("k"), self._stored("i")
        if kept is not None:
            own_k, own_i = kept
        else:
            own_k, own_i = k, ops.convert_to_numpy(limited(KERAS, spec, ops.convert_to_tensor(needed)))
        self._k.assign(own_k)
        self._i.assign(own_i)
        i = np.rint(own_i)
        f = fraction(spec, self._array_width(self._second), i)
        return cut(np.rint(needed), own_k, i, f, None if kept is None else k > own_k)

    @property
    def is_frozen(self) -> bool:
        """Whether nothing follows the data, because the widths are not trained."""
        return not (self.trainable and getattr(self.spec, "trainable", True))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        base = super().get_config()
        return base | {"format": 1, "config": keras.saving.serialize_keras_object(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantizer:
        config = dict(config)
        check_format(config.pop("format", 1), cls.__name__)
        trainable = config.pop("trainable", True)
        quantizer = cls(keras.saving.deserialize_keras_object(config.pop("config")), **config)
        # Not an argument, where it means that the widths are fixed numbers and never trained.
        quantizer.trainable = trainable
        return quantizer
