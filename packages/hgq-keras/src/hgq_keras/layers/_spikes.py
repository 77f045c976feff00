"""What spiking layers and their cells have in common: the three numbers, their quantizers, and the surrogate."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.errors import ConfigError
from hgq_core.layers import ArcTangent, SpikingCell
from hgq_core.layers.spiking import RESETS, check_reset
from hgq_core.numbers import finite
from hgq_core.scope import layer_option
from hgq_keras._checks import positive_integer
from hgq_keras._initializers import Filled
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_keras.config import QuantizerConfig

__all__ = ["ATan", "Spiking", "atan"]

_PLACES = {"lkq": "weight", "thq": "weight", "grq": "weight", "sq": "datalane"}


@keras.saving.register_keras_serializable(package="hgq_keras")
class ATan:
    r"""A spike, 1 above 0 and 0 elsewhere, with the derivative of :math:`\arctan(\pi \alpha x / 2) / \pi`.

    Args:
        alpha: how steep it is; the derivative is ``alpha / 2`` at 0.

    Raises:
        ConfigError: an alpha that is not finite, or 0.

    >>> keras.ops.convert_to_numpy(ATan()(keras.ops.convert_to_tensor([-0.5, 0.0, 2.0]))).tolist()
    [0.0, 0.0, 1.0]
    """

    def __init__(self, alpha: float = 2.0) -> None:
        self.alpha = finite(alpha, "alpha", zero=False)

    def __call__(self, x: Any) -> Any:
        """The spike of a distance from the threshold."""
        steep = x * (pi / 2 * self.alpha)
        smooth = ops.stop_gradient((self.alpha / 2) / (1.0 + steep * steep)) * x
        return ops.stop_gradient(ops.cast(x > 0, x.dtype)) + (smooth - ops.stop_gradient(smooth))

    def get_config(self) -> dict[str, float]:
        """Keyword arguments that make an equal one."""
        return {"alpha": self.alpha}


def atan(alpha: float = 2.0) -> ATan:
    """`ATan`, under the name of a function.

    >>> atan(1.0).alpha
    1.0
    """
    return ATan(alpha)


@dataclass(frozen=True)
class _Given:
    """A function of the distance from the threshold, as a cell takes it."""

    function: Any

    def __call__(self, ops: Any, membrane: Any, threshold: Any) -> Any:  # noqa: ARG002 (it has its own)
        return self.function(membrane - threshold)


class Spiking(QLayer):
    """Abstract over loop or step: reads the arguments that they share, by their names."""

    def read_spikes(self, given: Mapping[str, Any], confs: Mapping[str, QuantizerConfig | None]) -> None:
        """Set the attributes of these arguments, and note the quantizers that are given.

        Args:
            given: ``units, leak, threshold, spike_grad, surrogate_disable, inhibition, learn_beta, learn_threshold,
                reset_mechanism, detach_reset, graded_spikes_factor, learn_graded_spikes_factor, enable_sq``.
            confs: configurations of quantizers by argument.
        """
        title = f"layer {self.name!r}"
        self.units = positive_integer(given["units"], f"{title}: units")
        self.leak_factor = finite(given["leak"], f"{title}: beta")
        self.threshold = finite(given["threshold"], f"{title}: threshold")
        self.graded_spikes_factor = finite(given["graded_spikes_factor"], f"{title}: graded_spikes_factor")
        self.leak_initializer, self.level_initializer = Filled(self.leak_factor), Filled(self.threshold)
        self.grade_initializer = Filled(self.graded_spikes_factor)
        check_reset(given["reset_mechanism"], title)
        self.reset_mechanism: str = given["reset_mechanism"]
        self.spike_grad = given["spike_grad"]
        if self.spike_grad is not None and not callable(self.spike_grad):
            message = f"{title}: spike_grad: received {self.spike_grad!r}, expected a function such as ATan(2.0)"
            raise ConfigError(message)
        flags = ("surrogate_disable", "inhibition", "learn_beta", "learn_threshold", "detach_reset")
        for name in (*flags, "learn_graded_spikes_factor"):
            setattr(self, name, bool(given[name]))
        enable_sq = given["enable_sq"]
        self.enable_sq = bool(layer_option("enable_sq")) if enable_sq is None else bool(enable_sq)
        self._spike_confs = dict(confs)
        for argument, slot in _ARGUMENTS.items():
            conf = confs.get(argument)
            if conf is not None:
                self._built_confs[slot] = configured(conf, _PLACES[slot], argument)

    def cell(self) -> SpikingCell:
        """One step."""
        learned = {"leak": "learn_beta", "level": "learn_threshold", "grade": "learn_graded_spikes_factor"}
        surrogate: Any = ArcTangent() if self.spike_grad is None else _Given(self.spike_grad)
        learns = tuple(slot for slot, name in learned.items() if getattr(self, name))
        return SpikingCell(
            units=self.units,
            leaks=self.leak_factor != 1.0 or "leak" in learns,
            grades=self.graded_spikes_factor != 1.0 or "grade" in learns,
            learns=learns,
            inhibition=self.inhibition,
            reset_mechanism=self.reset_mechanism,
            detach_reset=self.detach_reset,
            surrogate=None if self.surrogate_disable else surrogate,
            enable_sq=self.enable_sq,
            known_input=self.enable_iq,
        )

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        names = ["units", "threshold", "surrogate_disable", "inhibition", "learn_threshold", "detach_reset"]
        names += ["graded_spikes_factor", "learn_graded_spikes_factor", "enable_sq"]
        config = super().get_config() | {name: getattr(self, name) for name in names}
        # Keras, where it reads HDF5, takes the word "subtract" for its function of that name.
        config["reset_number"] = RESETS.index(self.reset_mechanism)
        config["spike_grad"] = None if self.spike_grad is None else serialize(self.spike_grad)
        return config | {name: None if conf is None else serialize(conf) for name, conf in self._spike_confs.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        grad = config.get("spike_grad")
        config["spike_grad"] = grad if grad is None or callable(grad) else keras.saving.deserialize_keras_object(grad)
        if "reset_number" in config:
            config["reset_mechanism"] = RESETS[config.pop("reset_number")]
        return super().from_config(config)


_ARGUMENTS = {
    "sq_conf": "sq",
    "beta_q_conf": "lkq",
    "threshold_q_conf": "thq",
    "graded_spikes_factor_q_conf": "grq",
}
