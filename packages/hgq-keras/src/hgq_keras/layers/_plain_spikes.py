"""Spiking cells without quantizers, under the names that code for HGQ2 has for them."""

from __future__ import annotations

from typing import Any

import keras

from hgq_core.errors import ConfigError
from hgq_keras.config import QuantizerConfigScope
from hgq_keras.layers._lif import QLIFCell

__all__ = ["LIFCell", "SpikingNeuralCell"]


def _unquantized(arguments: dict[str, Any], name: str) -> dict[str, Any]:
    """Arguments of a cell that quantizes nothing; raises ConfigError for those of quantizers."""
    if taken := sorted(key for key in arguments if key.endswith("_conf") or key.startswith("enable_")):
        message = f"{name}: received {', '.join(taken)}, and it has no quantizers; use QLIFCell"
        raise ConfigError(message)
    return {**arguments, "enable_iq": False, "enable_sq": False, "enable_oq": False, "enable_ebops": False}


@keras.saving.register_keras_serializable(package="hgq_keras")
class LIFCell(QLIFCell):
    """`QLIFCell` without quantizers, in which ``beta`` is 1 if it is not given.

    Args:
        units: membranes, as many as features.
        beta: what a membrane keeps from step to step.
        threshold: above which a membrane fires.
        **kwargs: the other arguments of `QLIFCell`, without those of quantizers.

    Raises:
        ConfigError: an argument of a quantizer.

    >>> spikes, _ = LIFCell(2, beta=0.5)(keras.ops.full((1, 2), 1.5), [keras.ops.zeros((1, 2))])
    >>> keras.ops.convert_to_numpy(spikes).tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, units: int, beta: float = 1.0, threshold: float = 1.0, **kwargs: Any) -> None:
        with QuantizerConfigScope(default_q_type="dummy"):
            super().__init__(units, beta=beta, threshold=threshold, **_unquantized(kwargs, type(self).__name__))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        held = {key: value for key, value in config.items() if not key.endswith("_conf")}
        return super().from_config({key: value for key, value in held.items() if not key.startswith("enable_")})


@keras.saving.register_keras_serializable(package="hgq_keras")
class SpikingNeuralCell(LIFCell):
    """`LIFCell` without a leak.

    Args:
        units: membranes, as many as features.
        threshold: above which a membrane fires.
        **kwargs: the other arguments of `QSimpleSNNCell`, without those of quantizers.

    Raises:
        ConfigError: an argument of a quantizer.

    >>> SpikingNeuralCell(2).state_size
    2
    """

    def __init__(self, units: int, threshold: float = 1.0, **kwargs: Any) -> None:
        kwargs.pop("beta", None)
        super().__init__(units, threshold=threshold, **kwargs)
