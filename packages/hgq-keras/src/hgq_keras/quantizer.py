"""The Keras quantizer: variables, modes, and one custom-gradient operation around the core's quantizer body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.errors import ConfigError, FileError
from hgq_core.formats import Formats
from hgq_core.modes import Overflow
from hgq_core.ops import EMPTY, NUMPY, Ops
from hgq_core.spec import KBI, KIF, Dummy, Float
from hgq_keras.computed import ComputedProperties, computed
from hgq_keras.config import QuantizerConfig, check_format
from hgq_keras.kernels.quantize import minifloat_op, quantize_op
from hgq_keras.ops import KERAS, read
from hgq_keras.start import alive
from hgq_keras.stored import load_widths, save_widths, width_names
from hgq_keras.tracking import Mode, follow
from hgq_keras.widths import Width, counted, declared, straight_through, width_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.granularity import Sharing

__all__ = ["Quantizer"]


_MOST = 126.0
"""More integer bits than any constraint leaves: an element that is dead even so is dead whatever its data."""


@keras.saving.register_keras_serializable(package="hgq_keras")
class Quantizer(ComputedProperties, keras.Layer):
    """Quantizes a tensor element by element, with widths that are trained by gradient.

    ``q(x) = affine[0] * (scaler * Q(x / scaler)) + affine[1]`` with Q the format of each element.

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
        super().__init__(**base)
        self.config = config
        self.spec = config.spec
        self.supports_masking = True
        self._calibrating = False
        self._kernel: Any = None
        self._owner = ""
        self._refusal = ""
        self._sharing: Sharing | None = None
        self._rank = 0
        self._is_data = config.place == "datalane"
        stochastic = isinstance(self.spec, KIF | KBI) and self.spec.stochastic
        self._seed = keras.random.SeedGenerator() if stochastic else None

    # --- variables ---------------------------------------------------------------------------------------------------

    def build(self, input_shape: Sequence[int | None]) -> None:
        if self.built:
            return
        if self.compute_dtype not in ("float32", "float64"):
            message = (
                f"quantizer {self.name!r} computes in {self.compute_dtype}, which rounds fixed-point numbers; "
                "use the dtype policy 'float32'"
            )
            raise ConfigError(message)
        spec = self.spec
        self._rank = len(input_shape)
        if not isinstance(spec, Dummy):
            try:
                self._sharing = spec.granularity.resolve(tuple(input_shape))
            except ValueError as error:
                raise type(error)(f"quantizer {self.name!r}: {error}") from error
            self.input_spec = self._accepted(input_shape)
            for width in declared(spec):
                setattr(self, f"_{width.name}", self._variable(width))
        super().build(input_shape)

    def _accepted(self, shape: Sequence[int | None]) -> Any:
        """Tensors whose axes with own widths have the size of the build; others would broadcast silently."""
        widths = self._shared.width_shape if self._shared.split_shape is None else [0] * len(shape)
        first = 1 if self._is_data else 0
        axes = {n: shape[n] for n in range(first, len(shape)) if widths[n] != 1 and shape[n] is not None}
        return keras.layers.InputSpec(ndim=len(shape), axes=axes)

    def _variable(self, width: Width) -> Any:
        start = width.initializer(self.name)
        if self._kernel is not None and width.name in ("f", "b"):
            start = alive(start, self._kernel(), self._owner, self.fixed_spec, self._shared, self._k, self._i)
        return self.add_weight(
            shape=self._shared.width_shape,
            initializer=start,
            name=width.name,
            trainable=width.trained,
            constraint=width.constraint if width.trained else None,
            regularizer=width.regularizer if width.trained else None,
            dtype=width_dtype(),
            autocast=False,
        )

    def start_from(self, kernel: Any, owner: str) -> None:
        """Choose wider initial widths if the given ones round this whole kernel to zero; call it before `build`.

        Args:
            kernel: the variable that will be quantized.
            owner: name of the layer, for the warning.
        """
        # Behind a function, since Keras would take a variable that is an attribute for one of this layer's own.
        self._kernel, self._owner = lambda: kernel, owner

    @property
    @computed
    def _widths(self) -> dict[str, Any]:
        """The variables of the widths by name; empty before the quantizer is built."""
        if self._sharing is None:
            return {}
        return {name: getattr(self, f"_{name}") for name in width_names(self.spec.q_type)}

    def save_own_variables(self, store: Any) -> None:
        """Write the widths by name; Keras calls it."""
        save_widths(store, self._widths)

    def load_own_variables(self, store: Any) -> None:
        """Read the widths by name; Keras calls it. Raises FileError for those of another type or shape."""
        # Keras comes a second time, without data, by way of a layer's tuple of quantizers; the first reason counts.
        if self._refusal and not store.keys():
            raise FileError(self._refusal)
        try:
            load_widths(store, self._widths, self.name, self.spec.q_type)
        except FileError as error:
            self._refusal = "" if isinstance(self.spec, Dummy) else str(error)
            raise
        self._refusal = ""

    # --- forward -----------------------------------------------------------------------------------------------------

    def mode(self, training: bool | None) -> Mode:
        """Calibration if it is switched on, else training or inference."""
        if self._calibrating:
            return Mode.CALIBRATE
        return Mode.TRAIN if training and self.trainable and getattr(self.spec, "trainable", True) else Mode.INFER

    def call(self, x: Any, training: bool | None = None) -> Any:
        if isinstance(self.spec, Dummy):
            return x
        mode = self.mode(training)
        x = ops.cast(x, self.compute_dtype)
        if self.config.scaler is not None:
            x = x / self.config.scaler
        sharing = self._shared
        split = sharing.split(KERAS, x)
        q = sharing.join(KERAS, self._float(split) if isinstance(self.spec, Float) else self._fixed(split, mode))
        if self.config.qnoise_factor is not None and mode is Mode.TRAIN:
            q = x + self.config.qnoise_factor * (q - x)
        if self.config.scaler is not None:
            q = q * self.config.scaler
        if self.config.affine is not None:
            q = q * self.config.affine[0] + self.config.affine[1]
        return q

    @property
    @computed
    def _shared(self) -> Sharing:
        if self._sharing is None:
            message = f"quantizer {self.name!r} is not built; call it on data first"
            raise ConfigError(message)
        return self._sharing

    def _fixed(self, x: Any, mode: Mode) -> Any:
        spec = self.fixed_spec
        k, i, second = self._beside_data("k"), self._beside_data("i"), self._beside_data(self._second)
        follows = spec.overflow_mode is Overflow.WRAP and (mode is not Mode.INFER or spec.is_weight)
        # In kif the step does not depend on i: training quantizes first and takes the extremes of the result.
        after = follows and mode is Mode.TRAIN and isinstance(spec, KIF)
        if after:
            i_used = ops.full_like(i, _MOST) if spec.ic is None else spec.ic(ops.full_like(i, _MOST))
        elif follows:
            k, i_used = self._follow(x, k, i, ops.round(second), mode)
        else:
            i_used = i
        noise = None
        if self._seed is not None and mode is Mode.TRAIN:
            noise = keras.random.uniform(ops.shape(x), dtype=self.compute_dtype, seed=self._seed)
        xq = quantize_op(self._shared.shared_axes, spec, k, wrap=mode is Mode.INFER, noise=noise)(x, i_used, second)
        if after:
            self._follow(xq, k, i, ops.round(second), mode)
        return xq

    def _float(self, x: Any) -> Any:
        return minifloat_op(self._shared.shared_axes)(
            x, self._beside_data("m"), self._beside_data("e"), self._beside_data("e0")
        )

    @property
    def _second(self) -> str:
        """Name of the width beside the integer bits."""
        return "f" if isinstance(self.spec, KIF) else "b"

    def _beside_data(self, name: str) -> Any:
        """A stored width in the type of the data, which TensorFlow does not mix with another."""
        return ops.cast(read(getattr(self, f"_{name}")), self.compute_dtype)

    def _follow(self, x: Any, k: Any, i: Any, second: Any, mode: Mode) -> tuple[Any, Any]:
        """Sign and integer bits that hold x, stored but at inference."""
        k, i = follow(x, k, i, second, self.fixed_spec, self._shared.shared_axes, mode)
        if mode is Mode.CALIBRATE:
            self._k.assign(k)
        if mode is not Mode.INFER:
            self._i.assign(i)
        return k, i

    # --- what others read --------------------------------------------------------------------------------------------

    @property
    @computed
    def fixed_spec(self) -> KIF | KBI:
        """The specification of a fixed-point quantizer; raises ConfigError for a minifloat or a dummy."""
        if not isinstance(self.spec, KIF | KBI):
            message = f"quantizer {self.name!r} of type {self.spec.q_type!r} has no fixed-point widths"
            raise ConfigError(message)
        return self.spec

    @property
    @computed
    def overflow_mode(self) -> str:
        """Name of the overflow mode."""
        return str(self.fixed_spec.overflow_mode)

    @property
    @computed
    def round_mode(self) -> str:
        """Name of the rounding mode."""
        return str(self.fixed_spec.round_mode)

    @property
    @computed
    def kif(self) -> tuple[Any, Any, Any]:
        """``k, i, f`` as whole numbers (bits) with straight-through gradients, of the shape of the widths."""
        spec, _ = self.fixed_spec, self._shared
        i, second = straight_through(read(self._i)), straight_through(read(getattr(self, f"_{self._second}")))
        return read(self._k), i, second if isinstance(spec, KIF) else second - i

    @property
    @computed
    def array_kif(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same as float64 arrays."""
        spec, _ = self.fixed_spec, self._shared
        k, i, second = (self._whole(name) for name in ("k", "i", self._second))
        return k, i, second if isinstance(spec, KIF) else second - i

    @property
    @computed
    def bits(self) -> Any:
        """Widths that EBOPs counts (bits), differentiable, broadcastable to the tensor with a batch axis of 1.

        0 for a dummy: a number without a format has no hardware to count.
        """
        return self._counted(KERAS, lambda name: straight_through(read(getattr(self, f"_{name}"))))

    @property
    @computed
    def array_bits(self) -> np.ndarray:
        """The same as a float64 array."""
        return np.asarray(self._counted(NUMPY, self._whole))

    def _whole(self, name: str) -> np.ndarray:
        """A stored width as a float64 array of whole numbers."""
        return np.rint(ops.convert_to_numpy(getattr(self, f"_{name}")).astype(np.float64))

    def _counted(self, verbs: Ops, whole: Callable[[str], Any]) -> Any:
        if isinstance(self.spec, Dummy):
            return verbs.broadcast_to(np.zeros((), width_dtype()), (1,) * self._rank)
        sharing = self._shared
        return sharing.expand(verbs, counted(verbs, self.spec, whole))

    def formats(self, shape: Sequence[int], values: np.ndarray | None = None) -> Formats:
        """The formats at inference of a tensor of this shape, batch axis left out for data.

        Args:
            shape: shape of the tensor, without the batch axis for data.
            values: the tensor itself, for a weight under WRAP, whose range follows its values.
        """
        k, i, f = self.array_kif
        spec = self.fixed_spec
        if spec.is_weight and spec.overflow_mode is Overflow.WRAP and values is not None:
            second = ops.round(self._beside_data(self._second))
            tensor = self._shared.split(KERAS, ops.convert_to_tensor(values, dtype=self.compute_dtype))
            _, i_tensor = self._follow(tensor, self._beside_data("k"), self._beside_data("i"), second, Mode.INFER)
            i = np.rint(ops.convert_to_numpy(i_tensor)).astype(np.float64)
            f = f if isinstance(spec, KIF) else ops.convert_to_numpy(second) - i
        k, i, f = (self._shared.expand(NUMPY, part) for part in np.broadcast_arrays(k, i, f))
        if self._is_data:
            k, i, f = k[0], i[0], f[0]
        return Formats.of(k, i, f).broadcast_to(tuple(shape))

    def calibrate(self, on: bool) -> None:
        """Switch calibration mode on or off; `hgq_keras.calibrate.calibrating` does it for a model."""
        self._calibrating = on

    def reset_range(self) -> None:
        """Forget the observed range of a WRAP quantizer, so that calibration starts fresh."""
        if isinstance(self.spec, KIF | KBI) and self.spec.overflow_mode is Overflow.WRAP and self.spec.trainable:
            self._i.assign(ops.full(self._i.shape, EMPTY))
            self._k.assign(ops.zeros(self._k.shape))

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
