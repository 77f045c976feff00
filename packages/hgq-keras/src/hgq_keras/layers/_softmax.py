"""Softmax of two trained tables."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import ConfigError
from hgq_core.layers import Declaration, Softmax, Trace, Value, check_factor, softmax_table
from hgq_core.numbers import checked
from hgq_keras._checks import integer
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_keras.config import QuantizerConfig

__all__ = ["QSoftmax"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QSoftmax(QLayer):
    """``y = e * r``, ``e = exp_oq(exp(-input_scaler * exp_iq(max(x) - x)))``, ``r = inv_oq(1 / inv_iq(sum(e)))``.

    Both functions are tables in hardware, the trained ones. Without ``stable``, ``e`` is the table of
    ``exp(input_scaler * x)``.

    Args:
        axis: over which it normalises, or several of them; the batch axis is 0. None: the last.
        iq_conf: input quantizer; giving one enables it.
        stable: subtract from the maximum first, so that no exponential overflows.
        enable_iq: quantize the input; None: if ``iq_conf`` is given. EBOPs of the subtraction are counted only then,
            since the widths of its operands are not known otherwise.
        exp_iq_conf: input quantizer of the table of exponentials; None: the scope's datalane quantizer.
        exp_oq_conf: its output quantizer, without a sign, saturating, RND_CONV; None: the scope's table quantizer.
        inv_iq_conf: input quantizer of the table of reciprocals, as above.
        inv_oq_conf: its output quantizer, likewise.
        allow_heterogeneous_table: whether elements may have tables of their own; False: one for the whole tensor.
        input_scaler: factor of the input.
        parallelization_factor: vectors that are normalised in parallel, -1 for all; EBOPs are scaled by ``pf / n``.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        mask: bools that broadcast to the data without batch axis, True where an element takes part; the others are 0
            and cost nothing. Hardware has one mask: it is an argument of the layer, not of its call.
        oq_conf: output quantizer; giving one enables it.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an axis that the input does not have, the batch axis, or a factor that is not finite.

    >>> import numpy as np
    >>> layer = QSoftmax()
    >>> y = keras.ops.convert_to_numpy(layer(np.zeros((1, 4), "float32"), training=True))
    >>> bool(np.allclose(y, 0.25, atol=0.01))
    True
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = None,
        iq_conf: QuantizerConfig | None = None,
        stable: bool = True,
        enable_iq: bool | None = None,
        exp_iq_conf: QuantizerConfig | None = None,
        exp_oq_conf: QuantizerConfig | None = None,
        inv_iq_conf: QuantizerConfig | None = None,
        inv_oq_conf: QuantizerConfig | None = None,
        allow_heterogeneous_table: bool = False,
        input_scaler: float = 1.0,
        parallelization_factor: int = -1,
        enable_ebops: bool | None = None,
        *,
        mask: Any = None,
        oq_conf: QuantizerConfig | None = None,
        enable_oq: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            iq_conf=iq_conf,
            oq_conf=oq_conf,
            enable_iq=iq_conf is not None if enable_iq is None else enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        given = (-1,) if axis is None else axis if isinstance(axis, list | tuple) else (axis,)
        self.axis = tuple(integer(n, f"layer {self.name!r}: axis") for n in given)
        self.stable = bool(stable)
        self.input_scaler = checked(input_scaler, f"layer {self.name!r}: input_scaler", "a finite number")
        if not isfinite(self.input_scaler):
            message = f"layer {self.name!r}: input_scaler: received {input_scaler!r}, expected a finite number"
            raise ConfigError(message)
        check_factor(parallelization_factor)
        self.parallelization_factor = int(parallelization_factor)
        self.allow_heterogeneous_table = bool(allow_heterogeneous_table)
        self.mask = None if mask is None else np.asarray(mask, bool)
        self._exp_iq_conf = self._of_input(exp_iq_conf, "exp_iq_conf")
        self._exp_oq_conf = self._of_table(exp_oq_conf, "exp_oq_conf")
        self._inv_iq_conf = self._of_input(inv_iq_conf, "inv_iq_conf")
        self._inv_oq_conf = self._of_table(inv_oq_conf, "inv_oq_conf")
        self.exp_iq = self.make_quantizer(self._exp_iq_conf, "exp_iq")
        self.exp_oq = self.make_quantizer(self._exp_oq_conf, "exp_oq")
        self.inv_iq = self.make_quantizer(self._inv_iq_conf, "inv_iq")
        self.inv_oq = self.make_quantizer(self._inv_oq_conf, "inv_oq")

    def _of_input(self, conf: QuantizerConfig | None, argument: str) -> QuantizerConfig:
        conf = configured(conf, "datalane", argument)
        return conf if self.allow_heterogeneous_table else conf.replaced(heterogeneous_axis=())

    def _of_table(self, conf: QuantizerConfig | None, argument: str) -> QuantizerConfig:
        conf = configured(conf, "table", argument)
        return conf.replaced(**softmax_table(heterogeneous=self.allow_heterogeneous_table))

    def declaration(self) -> Declaration:
        return self._declared

    def _declared(self, t: Trace, x: Value) -> Value:
        rank = len(t.shape(x)) + 1
        if any(not -rank <= axis < rank or axis % rank == 0 for axis in self.axis):
            message = f"axis: received {self.axis}, expected axes of data with {rank} axes, and not the batch axis"
            raise ConfigError(message)
        return Softmax(
            tuple(axis % rank - 1 for axis in self.axis),
            self.stable,
            self.input_scaler,
            self.allow_heterogeneous_table,
            self.parallelization_factor,
            self.mask,
        )(t, x)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "axes": self.axis,
            "stable": self.stable,
            "exp_iq_conf": serialize(self._exp_iq_conf),
            "exp_oq_conf": serialize(self._exp_oq_conf),
            "inv_iq_conf": serialize(self._inv_iq_conf),
            "inv_oq_conf": serialize(self._inv_oq_conf),
            "allow_heterogeneous_table": self.allow_heterogeneous_table,
            "input_scaler": self.input_scaler,
            "parallelization_factor": self.parallelization_factor,
            "mask": None if self.mask is None else self.mask.tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QSoftmax:
        config = dict(config)
        # Not under "axis", of which Keras, where it reads HDF5, keeps the first alone; the first versions wrote it so.
        config["axis"] = config.pop("axes", config.get("axis", -1))
        return super().from_config(config)
