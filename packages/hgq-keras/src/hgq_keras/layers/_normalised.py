"""What layers with a folded batch normalisation have in common: its arguments, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import FoldedNorm
from hgq_keras._checks import averaging, replicas
from hgq_keras.layers._kernel import KernelLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Normalised"]


class Normalised(KernelLayer):
    """Abstract over what it declares: a layer whose product is normalised, with the arguments of a norm.

    Args:
        norm: momentum, epsilon, center, scale, synchronized.
        learned: initializer, regularizer and constraint of beta and of gamma, and initializers of the averages.
        kernel: arguments of `KernelLayer`.
    """

    weight_arguments: Mapping[str, str] = {"bn_beta": "beta", "bn_gamma": "gamma"}

    def __init__(
        self, *, norm: tuple[Any, Any, Any, Any, Any], learned: Mapping[str, Any], kernel: Mapping[str, Any]
    ) -> None:
        super().__init__(**kernel)
        momentum, epsilon, center, scale, synchronized = norm
        self.momentum, self.epsilon = averaging(momentum, epsilon, self.name)
        self.synchronized = replicas(synchronized, self.name)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = keras.initializers.get(learned["beta_initializer"])
        self.gamma_initializer = keras.initializers.get(learned["gamma_initializer"])
        self.moving_mean_initializer = keras.initializers.get(learned["moving_mean_initializer"])
        self.moving_variance_initializer = keras.initializers.get(learned["moving_variance_initializer"])
        self.beta_regularizer = keras.regularizers.get(learned["beta_regularizer"])
        self.gamma_regularizer = keras.regularizers.get(learned["gamma_regularizer"])
        self.beta_constraint = keras.constraints.get(learned["beta_constraint"])
        self.gamma_constraint = keras.constraints.get(learned["gamma_constraint"])

    @property
    def norm(self) -> FoldedNorm:
        """The norm as a declaration has it."""
        return FoldedNorm(self.epsilon, self.center, self.scale)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("use_bias", "bias_initializer", "bias_regularizer", "bias_constraint"):
            config.pop(name)
        return config | {
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "synchronized": self.synchronized,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": keras.initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": keras.initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": keras.regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": keras.regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": keras.constraints.serialize(self.beta_constraint),
            "gamma_constraint": keras.constraints.serialize(self.gamma_constraint),
        }
