"""The gated recurrent unit and its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._gates import Gru
from hgq_keras.layers._sequence import CellLayer, SequenceLayer

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QGRU", "QGRUCell"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGRU(Gru, SequenceLayer):
    r"""A gated recurrent unit whose data, state, gates and weights have trained widths; `keras.layers.GRU`.

    .. math::
        z_t &= \sigma(Q_{pra}(x W_z + h U_z + b_z)), \quad r_t = \sigma(Q_{pra}(x W_r + h U_r + b_r)) \\
        c_t &= \operatorname{act}(Q_{pa}(x W_c + b_c + r_t Q_{rh}(h U_c + b'_c))) \\
        h_t &= z_t h + (1 - z_t) c_t, \quad x = Q_i(x_t), \; h = Q_s(h_{t-1})

    Without ``reset_after`` the candidate takes :math:`Q_{rh}(r_t h) U_c`. The bias of the products with the state is
    ``recurrent_bias``, in Keras a row of ``bias``.

    Args:
        units: size of the state.
        activation: of the candidate: linear, whose limits are the activation, relu, or a function, as a table.
        recurrent_activation: of the gates, likewise.
        use_bias: add biases.
        kernel_initializer: of the kernel, as in Keras.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the biases.
        kernel_regularizer: of the kernel.
        recurrent_regularizer: of the recurrent kernel.
        bias_regularizer: of the biases.
        activity_regularizer: of the output.
        kernel_constraint: of the kernel.
        recurrent_constraint: of the recurrent kernel.
        bias_constraint: of the biases.
        dropout: rate of dropout of the input, the same features in all steps.
        recurrent_dropout: rate of dropout of the state, the same elements in all steps.
        seed: of dropout.
        return_sequences: the outputs of all steps, else that of the last.
        return_state: the states after the last step are results too.
        go_backwards: read the sequence from its last step; outputs are in that order.
        stateful: begin each batch with the states that the last one left; trained, not exported.
        unroll: write the steps out in place of a loop.
        reset_after: the reset gate acts behind the product with the recurrent kernel.
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        paq_conf: quantizer before ``activation``; None: a hard tanh if that is linear, else the scope's.
        praq_conf: quantizer before ``recurrent_activation``; None: a hard sigmoid if that is linear, else the scope's.
        sq_conf: quantizer of the state where a step reads it; None: the scope's datalane quantizer.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        rkq_conf: recurrent kernel quantizer; likewise.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        oq_conf: output quantizer; giving one enables it.
        rhq_conf: quantizer of what the reset gate acts on; None: the scope's datalane quantizer.
        rckq_conf: of the candidate's part of the recurrent kernel, where ``reset_after=False``; None: as ``rkq_conf``.
        rbq_conf: quantizer of the recurrent bias, where ``reset_after=True``; None: as ``bq_conf``.
        paq_oq_conf: output quantizer of the table of ``activation``, where that is one.
        praq_oq_conf: output quantizer of the table of ``recurrent_activation``, where that is one.
        parallelization_factor: steps that are built in hardware, -1 for all; EBOPs are those of a step times it.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_iq: quantize the input; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a size, a rate, a factor or a configuration that does not fit.
        ShapeError: data that are no sequences, or of unknown length, or states of other sizes.

    >>> y, *states = QGRU(5, return_sequences=True, return_state=True)(keras.ops.ones((2, 4, 3)))
    >>> tuple(y.shape), len(states)
    ((2, 4, 5), 1)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        recurrent_activation: Any = "linear",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool | None = None,
        reset_after: bool = True,
        iq_conf: QuantizerConfig | None = None,
        paq_conf: QuantizerConfig | None = None,
        praq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        kq_conf: QuantizerConfig | None = None,
        rkq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        rhq_conf: QuantizerConfig | None = None,
        rckq_conf: QuantizerConfig | None = None,
        rbq_conf: QuantizerConfig | None = None,
        paq_oq_conf: QuantizerConfig | None = None,
        praq_oq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = 1,
        enable_oq: bool | None = None,
        enable_iq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
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
                "activity_regularizer": activity_regularizer,
                **kwargs,
            },
        )
        self.reset_after = bool(reset_after)
        self.read_gates(
            {
                "units": units,
                "activation": activation,
                "recurrent_activation": recurrent_activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "kernel_regularizer": kernel_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_initializer": recurrent_initializer,
                "recurrent_regularizer": recurrent_regularizer,
                "recurrent_constraint": recurrent_constraint,
                "bias_initializer": bias_initializer,
                "bias_regularizer": bias_regularizer,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "seed": seed,
            },
            {
                "paq_conf": paq_conf,
                "praq_conf": praq_conf,
                "sq_conf": sq_conf,
                "kq_conf": kq_conf,
                "rkq_conf": rkq_conf,
                "bq_conf": bq_conf,
                "rhq_conf": rhq_conf,
                "rckq_conf": rckq_conf,
                "rbq_conf": rbq_conf,
                "paq_oq_conf": paq_oq_conf,
                "praq_oq_conf": praq_oq_conf,
            },
        )


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGRUCell(Gru, CellLayer):
    """One step of `QGRU`, called as ``y, states = cell(x, states)``.

    Args:
        units: size of the state.
        activation: of the candidate: linear, whose limits are the activation, relu, or a function, as a table.
        recurrent_activation: of the gates, likewise.
        use_bias: add biases.
        kernel_initializer: of the kernel, as in Keras.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the biases.
        kernel_regularizer: of the kernel.
        recurrent_regularizer: of the recurrent kernel.
        bias_regularizer: of the biases.
        kernel_constraint: of the kernel.
        recurrent_constraint: of the recurrent kernel.
        bias_constraint: of the biases.
        dropout: rate of dropout of the input, the same features in all steps.
        recurrent_dropout: rate of dropout of the state, the same elements in all steps.
        reset_after: the reset gate acts behind the product with the recurrent kernel.
        seed: of dropout.
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        paq_conf: quantizer before ``activation``; None: a hard tanh if that is linear, else the scope's.
        praq_conf: quantizer before ``recurrent_activation``; None: a hard sigmoid if that is linear, else the scope's.
        sq_conf: quantizer of the state where a step reads it; None: the scope's datalane quantizer.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        rkq_conf: recurrent kernel quantizer; likewise.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        oq_conf: output quantizer; giving one enables it.
        rhq_conf: quantizer of what the reset gate acts on; None: the scope's datalane quantizer.
        rckq_conf: of the candidate's part of the recurrent kernel, where ``reset_after=False``; None: as ``rkq_conf``.
        rbq_conf: quantizer of the recurrent bias, where ``reset_after=True``; None: as ``bq_conf``.
        paq_oq_conf: output quantizer of the table of ``activation``, where that is one.
        praq_oq_conf: output quantizer of the table of ``recurrent_activation``, where that is one.
        standalone: as in the peer, of no effect: a cell is the same inside of a layer.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_iq: quantize the input; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a size, a rate, a factor or a configuration that does not fit.
        ShapeError: data that are no vectors, or states of other sizes.

    >>> y, states = QGRUCell(5)(keras.ops.ones((2, 3)), [keras.ops.zeros((2, 5))])
    >>> tuple(y.shape), len(states)
    ((2, 5), 1)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        recurrent_activation: Any = "linear",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        iq_conf: QuantizerConfig | None = None,
        paq_conf: QuantizerConfig | None = None,
        praq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        kq_conf: QuantizerConfig | None = None,
        rkq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        rhq_conf: QuantizerConfig | None = None,
        rckq_conf: QuantizerConfig | None = None,
        rbq_conf: QuantizerConfig | None = None,
        paq_oq_conf: QuantizerConfig | None = None,
        praq_oq_conf: QuantizerConfig | None = None,
        standalone: bool = True,
        enable_oq: bool | None = None,
        enable_iq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
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
        self.reset_after = bool(reset_after)
        self.read_gates(
            {
                "units": units,
                "activation": activation,
                "recurrent_activation": recurrent_activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "kernel_regularizer": kernel_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_initializer": recurrent_initializer,
                "recurrent_regularizer": recurrent_regularizer,
                "recurrent_constraint": recurrent_constraint,
                "bias_initializer": bias_initializer,
                "bias_regularizer": bias_regularizer,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "seed": seed,
            },
            {
                "paq_conf": paq_conf,
                "praq_conf": praq_conf,
                "sq_conf": sq_conf,
                "kq_conf": kq_conf,
                "rkq_conf": rkq_conf,
                "bq_conf": bq_conf,
                "rhq_conf": rhq_conf,
                "rckq_conf": rckq_conf,
                "rbq_conf": rbq_conf,
                "paq_oq_conf": paq_oq_conf,
                "praq_oq_conf": praq_oq_conf,
            },
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"standalone": self.standalone}
