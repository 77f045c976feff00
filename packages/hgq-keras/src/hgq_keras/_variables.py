"""The widths of one quantizer: its variables, their way to and from files, and what others read in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.calibration import fingerprint
from hgq_core.errors import ConfigError, FileError
from hgq_core.formats import Formats
from hgq_core.ops import NUMPY, Ops
from hgq_core.quantizer import (
    Mode,
    Width,
    counted,
    declared,
    fraction,
    full_width,
    second,
    straight_through,
    width_names,
)
from hgq_core.quantizer.range import follows_data, fresh, is_weight_range, tracks
from hgq_core.spec import KBI, KIF, Dummy, Spec
from hgq_keras._computed import ComputedProperties, computed
from hgq_keras._ops import KERAS, cast, read
from hgq_keras._start import Weight, alive, held, outside_of_traces, warn_widened, widening
from hgq_keras._stored import load_widths, save_widths
from hgq_keras._tracking import follow
from hgq_keras._widths import initializer, width_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.alive import Widening
    from hgq_core.granularity import Sharing

__all__ = ["StoredWidths"]

_JUDGED = ("f", "b")
"""The widths that decide how fine the step is."""


class StoredWidths(ComputedProperties, keras.Layer):
    """A layer whose variables are the widths of one quantizer; `Quantizer` adds the quantization.

    Args:
        spec: what it is.
        is_data: whether axis 0 of its tensors is a batch.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, spec: Spec, is_data: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self._is_data = is_data
        self._weight: Weight | None = None
        self._calibrated: np.ndarray | None = None
        self._refusal = ""
        self._sharing: Sharing | None = None
        self._rank = 0

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
            # A weight is judged against sign and integer bits: they come first. Files of optimizers keep this order.
            for width in sorted(declared(spec), key=lambda width: width.name in _JUDGED):
                setattr(self, f"_{width.name}", self._variable(width))
        super().build(input_shape)

    def _accepted(self, shape: Sequence[int | None]) -> Any:
        """Tensors whose axes with own widths have the size of the build; others would broadcast silently."""
        widths = self._shared.width_shape if self._shared.split_shape is None else [0] * len(shape)
        first = 1 if self._is_data else 0
        axes = {n: shape[n] for n in range(first, len(shape)) if widths[n] != 1 and shape[n] is not None}
        return keras.layers.InputSpec(ndim=len(shape), axes=axes)

    def _variable(self, width: Width) -> Any:
        start = initializer(width, self.name)
        if self._weight is not None and width.name in _JUDGED:
            start = alive(start, self._weight, self.fixed_spec, self._shared, self._k, self._i)
        return self.add_weight(
            shape=self._shared.width_shape,
            initializer=start,
            name=width.name,
            trainable=width.trained,
            constraint=width.constraint if width.trained else None,
            regularizer=width.regularizer if width.trained else None,
            # Of several replicas each computes the same range; see `tracking`.
            aggregation="none" if width.trained else "only_first_replica",
            dtype=width_dtype(),
            autocast=False,
        )

    @property
    @computed
    def _shared(self) -> Sharing:
        if self._sharing is None:
            message = f"quantizer {self.name!r} is not built; call it on data first"
            raise ConfigError(message)
        return self._sharing

    @property
    @computed
    def _widths(self) -> dict[str, Any]:
        """The variables of the widths by name; empty before the quantizer is built."""
        if self._sharing is None:
            return {}
        return {name: getattr(self, f"_{name}") for name in width_names(self.spec.q_type)}

    @property
    @computed
    def _second(self) -> str:
        """Name of the width beside the integer bits."""
        return second(self.fixed_spec)

    def _beside_data(self, name: str) -> Any:
        """A stored width in the type of the data, which TensorFlow does not mix with another."""
        return cast(read(getattr(self, f"_{name}")), self.compute_dtype)

    def save_own_variables(self, store: Any) -> None:
        """Write the widths by name, and whether they were calibrated; Keras calls it."""
        save_widths(store, self._widths, self._calibrated)

    def load_own_variables(self, store: Any) -> None:
        """Read the widths by name; Keras calls it. Raises FileError for those of another type or shape."""
        # Keras comes a second time, without data, by way of a layer's tuple of quantizers; the first reason counts.
        if self._refusal and not store.keys():
            raise FileError(self._refusal)
        try:
            self._calibrated = load_widths(store, self._widths, self.name, self.spec.q_type)
        except FileError as error:
            self._refusal = "" if isinstance(self.spec, Dummy) else str(error)
            raise
        self._refusal = ""
        values = None if self._weight is None else self._weight.held()
        if self._weight is not None and values is not None and isinstance(self.spec, KIF | KBI):
            self._weight.see(values, self._stored(self._second))

    # --- the weight --------------------------------------------------------------------------------------------------

    def quantizes(
        self, variables: Sequence[Any], owner: str, compute: Callable[..., Any] = lambda kernel: kernel
    ) -> None:
        """Say which weight this is the quantizer of; call it before `build`.

        The weight gives a WRAP quantizer its range, and is judged by its signal-to-noise ratio: widths that are too
        narrow for it are raised, with a warning.

        Args:
            variables: what the weight is computed from.
            owner: name of the layer, for the warning.
            compute: the weight from the tensors of the variables; without it, the only variable.
        """
        self._weight = Weight(variables, compute, owner)

    def judge_weight(self) -> None:
        """Raise the widths, with a warning, if the weight was assigned since the last look and is too fine for them."""
        if self._weight is None or not self.built or not isinstance(self.spec, KIF | KBI):
            return
        change = outside_of_traces(self._raised)
        if change:
            warn_widened(self._weight.owner, change)

    def _raised(self) -> Widening | None:
        """What was added to the widths."""
        weight, spec = self._weight, self.fixed_spec
        values = None if weight is None else weight.held()
        if weight is None or values is None or any(held(width) is None for width in self._widths.values()):
            return None
        width, change = self._stored(self._second), None
        if weight.assigned(values, width) and np.all(np.isfinite(values)):
            i = self._stored("i")
            change = widening(values, spec, self._shared, self._stored("k"), i, width)
            if change:
                width = width + (change.fraction if isinstance(spec, KIF) else change.bits)
                getattr(self, f"_{self._second}").assign(width)
                self._i.assign(i + change.integer)
        weight.see(values, width)
        return change

    # --- calibration -------------------------------------------------------------------------------------------------

    @property
    def follows_data(self) -> bool:
        """Whether the stored range is that of data that were seen: under WRAP, but for weights and fixed widths."""
        return follows_data(self.spec)

    def is_calibrated(self, weights: Sequence[np.ndarray] = ()) -> bool:
        """Whether widths and weights are those that a calibration left; always where no range follows the data.

        Args:
            weights: `QLayer.own_weights` of the layer that it belongs to; none for a quantizer by itself.
        """
        if not self.follows_data:
            return True
        mark = self._calibrated
        return mark is not None and self.built and np.array_equal(mark, self._fingerprint(weights))

    def mark_calibrated(self, weights: Sequence[np.ndarray] = ()) -> None:
        """Remember the present widths, and the weights of the layer, as those that a calibration left."""
        self._calibrated = self._fingerprint(weights) if self.follows_data and self.built else None

    def _fingerprint(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(fingerprint({name: self._stored(name) for name in self._widths}, weights))

    def reset_range(self) -> None:
        """Forget the observed range of a WRAP quantizer, so that calibration starts fresh; a frozen one is kept."""
        if self.built and tracks(self.spec) and self.fixed_spec.trainable and self.trainable:
            self._i.assign(fresh(KERAS, self.fixed_spec, ops.zeros(self._i.shape)))
            self._k.assign(ops.zeros(self._k.shape))

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
        i = self._tensor_width("i")
        return read(self._k), i, fraction(spec, self._tensor_width(self._second), i)

    @property
    @computed
    def array_kif(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same as float64 arrays."""
        spec, _ = self.fixed_spec, self._shared
        k, i, width = (self._array_width(name) for name in ("k", "i", self._second))
        return k, i, fraction(spec, width, i)

    @property
    @computed
    def bits(self) -> Any:
        """Widths that EBOPs counts (bits), differentiable, broadcastable to the tensor with a batch axis of 1.

        0 for a dummy: a number without a format has no hardware to count. A layer's weight under WRAP counts the range
        that its values need.
        """
        return self.bits_of(None)

    def bits_of(self, values: Any) -> Any:
        """The same for a weight with these values.

        Args:
            values: a tensor; None: the layer's weight.
        """
        return self._counted(KERAS, self._tensor_width, values)

    @property
    @computed
    def array_bits(self) -> np.ndarray:
        """`bits` as a float64 array."""
        return np.asarray(self._counted(NUMPY, self._array_width, None))

    @property
    @computed
    def full_width(self) -> Any:
        """`bits` with the sign in every mode, as the rule of layers of tables counts; of data."""
        return self._shared.expand(KERAS, full_width(KERAS, self.spec, self._tensor_width))

    @property
    @computed
    def array_full_width(self) -> np.ndarray:
        """`full_width` as a float64 array."""
        return np.asarray(self._shared.expand(NUMPY, full_width(NUMPY, self.spec, self._array_width)))

    def _stored(self, name: str) -> np.ndarray:
        """A stored width as a float64 array."""
        return ops.convert_to_numpy(getattr(self, f"_{name}")).astype(np.float64)

    def _array_width(self, name: str) -> np.ndarray:
        """A stored width as a float64 array of whole numbers."""
        return np.rint(self._stored(name))

    def _tensor_width(self, name: str) -> Any:
        """A stored width as a tensor of whole numbers, with a straight-through gradient."""
        return straight_through(KERAS, read(getattr(self, f"_{name}")))

    def _counted(self, verbs: Ops, width: Callable[[str], Any], values: Any) -> Any:
        if isinstance(self.spec, Dummy):
            return verbs.broadcast_to(np.zeros((), width_dtype()), (1,) * self._rank)
        # In kbi the bits are stored, and do not depend on the range.
        values = self._values(values) if isinstance(self.spec, KIF) else None
        if values is None:
            return self._shared.expand(verbs, counted(verbs, self.spec, width))
        i = self._range_of(values)
        i = ops.cast(i, width_dtype()) if verbs is KERAS else np.rint(ops.convert_to_numpy(i).astype(np.float64))
        return self._shared.expand(verbs, counted(verbs, self.spec, lambda name: i if name == "i" else width(name)))

    def _values(self, given: Any) -> Any:
        """The weight whose values are the range, those given or the layer's; None if the stored range counts."""
        if not is_weight_range(self.spec):
            return None
        return self._weight.tensor if given is None and self._weight is not None else given

    def _range_of(self, values: Any) -> Any:
        """Integer bits that hold these values, of the shape of the widths."""
        tensor = self._shared.split(KERAS, ops.cast(ops.convert_to_tensor(values), self.compute_dtype))
        k, i, width = (self._beside_data(name) for name in ("k", "i", self._second))
        return follow(tensor, k, i, KERAS.rint(width), self.fixed_spec, self._shared.shared_axes, Mode.INFER).limited

    def formats(self, shape: Sequence[int], values: np.ndarray | None = None) -> Formats:
        """The formats at inference of a tensor of this shape, batch axis left out for data.

        Args:
            shape: shape of the tensor, without the batch axis for data.
            values: the tensor itself, for a weight under WRAP, whose range follows its values; None: the layer's.
        """
        k, i, f = self.array_kif
        values = self._values(values)
        if values is not None:
            i_of_values = np.rint(ops.convert_to_numpy(self._range_of(values)).astype(np.float64))
            f, i = fraction(self.fixed_spec, self._array_width(self._second), i_of_values), i_of_values
        k, i, f = (self._shared.expand(NUMPY, part) for part in np.broadcast_arrays(k, i, f))
        if self._is_data:
            k, i, f = k[0], i[0], f[0]
        return Formats.of(k, i, f).broadcast_to(tuple(shape))
