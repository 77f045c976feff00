"""Leaky spiking layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._sequence import CellLayer, SequenceLayer
from hgq_keras.layers._spikes import Spiking

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QLIF", "QLIFCell"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QLIF(Spiking, SequenceLayer):
    r"""Leaky membranes that integrate their inputs and fire.

    .. math::
        u_t &= Q_s(\beta u_{t-1} + Q_i(x_t) - \theta [u_{t-1} > \theta]) \\
        y_t &= g [u_t > \theta]

    A membrane that fired is reset at the next step; `hgq_core.layers.SpikingCell` has the other resets, inhibition, and
    what it costs.

    Args:
        units: membranes, as many as features.
        beta: what a membrane keeps from step to step; the weight is ``leak``.
        threshold: above which a membrane fires; the weight is ``level``.
        spike_grad: function of the distance from the threshold whose derivative is that of a spike; None:
            ``ATan(2.0)``.
        surrogate_disable: let no gradient through a spike.
        inhibition: only the highest membranes of a step fire.
        learn_beta: train the leak.
        learn_threshold: train the threshold.
        reset_mechanism: ``"subtract"`` the threshold from a membrane that fired, set it to ``"zero"``, or ``"none"``.
        detach_reset: let no gradient through the reset.
        graded_spikes_factor: number of a spike; the weight is ``grade``.
        learn_graded_spikes_factor: train it.
        return_sequences: the spikes of all steps, else those of the last.
        return_state: the membranes after the last step are a result too.
        go_backwards: read the sequence from its last step; outputs are in that order.
        stateful: begin each batch with the membranes that the last one left; trained, not exported.
        unroll: write the steps out in place of a loop.
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        sq_conf: quantizer of the membrane; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        beta_q_conf: quantizer of the leak; None: the scope's weight quantizer, as the next ones.
        graded_spikes_factor_q_conf: quantizer of the number of a spike.
        parallelization_factor: steps that are built in hardware, -1 for all; EBOPs are those of a step times it.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_iq: quantize the input; likewise.
        enable_sq: quantize the membrane, as the Graph needs it; None: as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        threshold_q_conf: quantizer of the threshold.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a number, a reset or a configuration that does not fit.
        ShapeError: data that are no sequences, or of unknown length, or another number of features.

    >>> QLIF(3, return_sequences=True)(keras.ops.ones((2, 4, 3))).shape == (2, 4, 3)
    True
    """

    def __init__(
        self,
        units: int,
        beta: float = 0.5,
        threshold: float = 1.0,
        spike_grad: Any = None,
        surrogate_disable: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        detach_reset: bool = True,
        graded_spikes_factor: float = 1.0,
        learn_graded_spikes_factor: bool = False,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        iq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        beta_q_conf: QuantizerConfig | None = None,
        graded_spikes_factor_q_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        enable_oq: bool | None = None,
        enable_iq: bool | None = None,
        enable_sq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        threshold_q_conf: QuantizerConfig | None = None,
        **kwargs: Any,
    ) -> None:
        SequenceLayer.__init__(
            self,
            {
                "return_sequences": return_sequences,
                "return_state": return_state,
                "go_backwards": go_backwards,
                "stateful": stateful,
                "unroll": unroll,
                "parallelization_factor": parallelization_factor,
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
        self.read_spikes(
            {
                "units": units,
                "leak": beta,
                "threshold": threshold,
                "spike_grad": spike_grad,
                "surrogate_disable": surrogate_disable,
                "inhibition": inhibition,
                "learn_beta": learn_beta,
                "learn_threshold": learn_threshold,
                "reset_mechanism": reset_mechanism,
                "detach_reset": detach_reset,
                "graded_spikes_factor": graded_spikes_factor,
                "learn_graded_spikes_factor": learn_graded_spikes_factor,
                "enable_sq": enable_sq,
            },
            {
                "sq_conf": sq_conf,
                "beta_q_conf": beta_q_conf,
                "threshold_q_conf": threshold_q_conf,
                "graded_spikes_factor_q_conf": graded_spikes_factor_q_conf,
            },
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"beta": self.leak_factor, "learn_beta": self.learn_beta}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QLIFCell(Spiking, CellLayer):
    """One step of `QLIF`, called as ``y, states = cell(x, states)``.

    Args:
        units: membranes, as many as features.
        beta: what a membrane keeps from step to step; the weight is ``leak``.
        threshold: above which a membrane fires; the weight is ``level``.
        spike_grad: function of the distance from the threshold whose derivative is that of a spike; None:
            ``ATan(2.0)``.
        surrogate_disable: let no gradient through a spike.
        inhibition: only the highest membranes of a step fire.
        learn_beta: train the leak.
        learn_threshold: train the threshold.
        reset_mechanism: ``"subtract"`` the threshold from a membrane that fired, set it to ``"zero"``, or ``"none"``.
        detach_reset: let no gradient through the reset.
        graded_spikes_factor: number of a spike; the weight is ``grade``.
        learn_graded_spikes_factor: train it.
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        sq_conf: quantizer of the membrane; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        beta_q_conf: quantizer of the leak; None: the scope's weight quantizer, as the next ones.
        graded_spikes_factor_q_conf: quantizer of the number of a spike.
        standalone: as in the peer, of no effect: a cell is the same inside of a layer.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        enable_iq: quantize the input; likewise.
        enable_sq: quantize the membrane, as the Graph needs it; None: as the scope says.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        threshold_q_conf: quantizer of the threshold.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a number, a reset or a configuration that does not fit.
        ShapeError: data that are no vectors, or another number of features.

    >>> y, states = QLIFCell(3)(keras.ops.ones((2, 3)), [keras.ops.zeros((2, 3))])
    >>> tuple(y.shape), len(states)
    ((2, 3), 1)
    """

    def __init__(
        self,
        units: int,
        beta: float = 0.5,
        threshold: float = 1.0,
        spike_grad: Any = None,
        surrogate_disable: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        detach_reset: bool = True,
        graded_spikes_factor: float = 1.0,
        learn_graded_spikes_factor: bool = False,
        iq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        beta_q_conf: QuantizerConfig | None = None,
        graded_spikes_factor_q_conf: QuantizerConfig | None = None,
        standalone: bool = True,
        enable_ebops: bool | None = None,
        enable_iq: bool | None = None,
        enable_sq: bool | None = None,
        enable_oq: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        threshold_q_conf: QuantizerConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            iq_conf=iq_conf,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        self.standalone = bool(standalone)
        self.read_spikes(
            {
                "units": units,
                "leak": beta,
                "threshold": threshold,
                "spike_grad": spike_grad,
                "surrogate_disable": surrogate_disable,
                "inhibition": inhibition,
                "learn_beta": learn_beta,
                "learn_threshold": learn_threshold,
                "reset_mechanism": reset_mechanism,
                "detach_reset": detach_reset,
                "graded_spikes_factor": graded_spikes_factor,
                "learn_graded_spikes_factor": learn_graded_spikes_factor,
                "enable_sq": enable_sq,
            },
            {
                "sq_conf": sq_conf,
                "beta_q_conf": beta_q_conf,
                "threshold_q_conf": threshold_q_conf,
                "graded_spikes_factor_q_conf": graded_spikes_factor_q_conf,
            },
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "beta": self.leak_factor,
            "learn_beta": self.learn_beta,
            "standalone": self.standalone,
        }
