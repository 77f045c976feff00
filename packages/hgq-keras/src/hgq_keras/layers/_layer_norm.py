"""Normalisation of each example by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import Declaration, LayerNormalization, Trace, Value, attribute_of, inner_axis, softmax_table
from hgq_keras._checks import averaging, integer
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_keras.config import QuantizerConfig

__all__ = ["QLayerNormalization", "QRMSNormalization"]


class _Normalisation(QLayer):
    """Abstract over whether the mean is taken away.

    Args:
        options: axis, epsilon, center, scale.
        learned: initializer, regularizer and constraint of beta and of gamma.
        confs: configurations of quantizers by argument, None for the defaults of the declaration.
        base: arguments of `QLayer`.
    """

    subtract_mean: bool
    weight_arguments: Mapping[str, str] = {"ln_beta": "beta", "ln_gamma": "gamma"}

    def __init__(
        self,
        options: tuple[Any, Any, bool, bool],
        learned: Mapping[str, Any],
        confs: Mapping[str, QuantizerConfig | None],
        base: Mapping[str, Any],
    ) -> None:
        super().__init__(**base)
        axis, epsilon, center, scale = options
        given = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
        self.axis = tuple(integer(n, f"layer {self.name!r}: axis") for n in given)
        _, self.epsilon = averaging(0.0, epsilon, self.name)
        self.center, self.scale = bool(center), bool(scale)
        for name in ("beta", "gamma"):
            setattr(self, f"{name}_initializer", keras.initializers.get(learned[f"{name}_initializer"]))
            setattr(self, f"{name}_regularizer", keras.regularizers.get(learned[f"{name}_regularizer"]))
            setattr(self, f"{name}_constraint", keras.constraints.get(learned[f"{name}_constraint"]))
        self._confs = dict(confs)
        for argument, slot, place, forced in (
            ("kq_conf", "kq", "weight", {}),
            ("bq_conf", "bq", "bias", {}),
            ("mq_conf", "mq", "datalane", {}),
            ("cq_conf", "cq", "datalane", {}),
            ("nq_conf", "nq", "datalane", {}),
            ("inv_iq_conf", "inv/iq", "datalane", {"heterogeneous_axis": ()}),
            ("inv_oq_conf", "inv/oq", "table", softmax_table(heterogeneous=False)),
        ):
            conf = confs.get(argument)
            if conf is not None:
                conf = configured(conf, place, argument).replaced(**forced)
                setattr(self, attribute_of(slot), self.make_quantizer(conf, attribute_of(slot)))

    def declaration(self) -> Declaration:
        return self._declared

    def _declared(self, t: Trace, x: Value) -> Value:
        axes = tuple(inner_axis(axis, len(t.shape(x)) + 1, "axis") for axis in self.axis)
        return LayerNormalization(axes, self.epsilon, self.subtract_mean, self.center, self.scale)(t, x)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "axes": self.axis,
            "epsilon": self.epsilon,
            **{name: None if conf is None else serialize(conf) for name, conf in self._confs.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Normalisation:
        config = dict(config)
        # Not under "axis", of which Keras, where it reads HDF5, keeps the first alone; the first versions wrote it so.
        config["axis"] = config.pop("axes", config.get("axis", -1))
        return super().from_config(config)

    def learned_config(self, name: str) -> dict[str, Any]:
        """How a learned weight begins and is held, for the configuration."""
        return {
            f"{name}_initializer": keras.initializers.serialize(getattr(self, f"{name}_initializer")),
            f"{name}_regularizer": keras.regularizers.serialize(getattr(self, f"{name}_regularizer")),
            f"{name}_constraint": keras.constraints.serialize(getattr(self, f"{name}_constraint")),
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QLayerNormalization(_Normalisation):
    """``y = nq(c r) kq(gamma) + bq(beta)`` of ``c = cq(iq(x) - mq(mean))``, ``r = 1 / sqrt(mean(c^2) + epsilon)``.

    Exact in hardware: ``r`` is a trained table of one number for each vector, with the quantizers ``inv_iq`` and
    ``inv_oq``. It costs a sum, a difference, a square, a sum, the table and two products for each element.

    Args:
        axis: over which it normalises, one or several; the batch axis is 0.
        epsilon: added to the mean square.
        center: learn an offset, which is ``ln_beta``.
        scale: learn a scale, which is ``ln_gamma``.
        beta_initializer: of the learned offset, as in Keras.
        gamma_initializer: of the learned scale.
        beta_regularizer: of the learned offset.
        gamma_regularizer: of the learned scale.
        beta_constraint: of the learned offset.
        gamma_constraint: of the learned scale.
        kq_conf: quantizer of the scale; None: the scope's weight quantizer.
        bq_conf: quantizer of the offset; None: the scope's bias quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        mq_conf: quantizer of the mean; None: the scope's datalane quantizer, as the next two.
        cq_conf: quantizer of what is centred.
        nq_conf: quantizer of what is normalised, before the scale.
        inv_iq_conf: input quantizer of the table, one width for the tensor.
        inv_oq_conf: its output quantizer, without a sign, saturating; None: the scope's table quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: the batch axis, an axis that the data do not have, an epsilon that is not positive.

    >>> QLayerNormalization()(keras.ops.ones((1, 4))).shape == (1, 4)
    True
    """

    subtract_mean = True

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        kq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        iq_conf: QuantizerConfig | None = None,
        mq_conf: QuantizerConfig | None = None,
        cq_conf: QuantizerConfig | None = None,
        nq_conf: QuantizerConfig | None = None,
        inv_iq_conf: QuantizerConfig | None = None,
        inv_oq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            (axis, epsilon, center, scale),
            {
                "beta_initializer": beta_initializer,
                "gamma_initializer": gamma_initializer,
                "beta_regularizer": beta_regularizer,
                "gamma_regularizer": gamma_regularizer,
                "beta_constraint": beta_constraint,
                "gamma_constraint": gamma_constraint,
            },
            {
                "kq_conf": kq_conf,
                "bq_conf": bq_conf,
                "mq_conf": mq_conf,
                "cq_conf": cq_conf,
                "nq_conf": nq_conf,
                "inv_iq_conf": inv_iq_conf,
                "inv_oq_conf": inv_oq_conf,
            },
            {
                "iq_conf": iq_conf,
                "oq_conf": oq_conf,
                "enable_iq": enable_iq,
                "enable_oq": enable_oq,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "ebops_factor": ebops_factor,
                **kwargs,
            },
        )

    def get_config(self) -> dict[str, Any]:
        options = {"center": self.center, "scale": self.scale}
        return super().get_config() | options | self.learned_config("beta") | self.learned_config("gamma")


@keras.saving.register_keras_serializable(package="hgq_keras")
class QRMSNormalization(_Normalisation):
    """``y = nq(x r) kq(gamma)`` of ``x = iq(x)``, ``r = 1 / sqrt(mean(x^2) + epsilon)``; see `QLayerNormalization`.

    Args:
        axis: over which it normalises, one or several; the batch axis is 0.
        epsilon: added to the mean square.
        gamma_initializer: of the learned scale, which is ``ln_gamma``.
        gamma_regularizer: of the learned scale.
        gamma_constraint: of the learned scale.
        kq_conf: quantizer of the scale; None: the scope's weight quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        nq_conf: quantizer of what is normalised, before the scale; None: the scope's datalane quantizer.
        inv_iq_conf: input quantizer of the table, one width for the tensor.
        inv_oq_conf: its output quantizer, without a sign, saturating; None: the scope's table quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: the batch axis, an axis that the data do not have, an epsilon that is not positive.

    >>> QRMSNormalization()(keras.ops.ones((1, 4))).shape == (1, 4)
    True
    """

    subtract_mean = False

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-6,
        *,
        gamma_initializer: Any = "ones",
        gamma_regularizer: Any = None,
        gamma_constraint: Any = None,
        kq_conf: QuantizerConfig | None = None,
        iq_conf: QuantizerConfig | None = None,
        nq_conf: QuantizerConfig | None = None,
        inv_iq_conf: QuantizerConfig | None = None,
        inv_oq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            (axis, epsilon, False, True),
            {
                "beta_initializer": "zeros",
                "gamma_initializer": gamma_initializer,
                "beta_regularizer": None,
                "gamma_regularizer": gamma_regularizer,
                "beta_constraint": None,
                "gamma_constraint": gamma_constraint,
            },
            {"kq_conf": kq_conf, "nq_conf": nq_conf, "inv_iq_conf": inv_iq_conf, "inv_oq_conf": inv_oq_conf},
            {
                "iq_conf": iq_conf,
                "oq_conf": oq_conf,
                "enable_iq": enable_iq,
                "enable_oq": enable_oq,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "ebops_factor": ebops_factor,
                **kwargs,
            },
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.learned_config("gamma")
