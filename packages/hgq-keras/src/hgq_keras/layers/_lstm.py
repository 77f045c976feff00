"""The long short-term memory and its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._gates import Lstm
from hgq_keras.layers._sequence import CellLayer, SequenceLayer

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QLSTM", "QLSTMCell"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QLSTM(Lstm, SequenceLayer):
    r"""A long short-term memory whose data, states, gates and weights have trained widths; `keras.layers.LSTM`.

    .. math::
        i, f, o &= \sigma(Q_{pra}(x W + h U + b)), \quad g = \operatorname{act}(Q_{pa}(x W_g + h U_g + b_g)) \\
        c_t &= f Q_{cs}(c_{t-1}) + i g, \quad h_t = o \operatorname{act}(Q_{ca}(c_t)), \quad
        x = Q_i(x_t), \; h = Q_s(h_{t-1})

    The gates stand in the weights in the order of Keras: input, forget, candidate, output.

    Args:
        units: size of the state.
        activation: of candidate and state: linear, whose limits are the activation, relu, or a function.
        recurrent_activation: of the gates, likewise.
        use_bias: add biases.
        kernel_initializer: of the kernel, as in Keras.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the biases.
        unit_forget_bias: begin with ones as the bias of the forget gate.
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
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        paq_conf: quantizer before ``activation``; None: a hard tanh if that is linear, else the scope's.
        praq_conf: quantizer before ``recurrent_activation``; None: a hard sigmoid if that is linear, else the scope's.
        caq_conf: quantizer of the new cell state before ``activation``, as ``paq_conf``.
        sq_conf: quantizer of the state where a step reads it; None: the scope's datalane quantizer.
        csq_conf: quantizer of the cell state where a step reads it; likewise.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        rkq_conf: recurrent kernel quantizer; likewise.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        oq_conf: output quantizer; giving one enables it.
        paq_oq_conf: output quantizer of the table of ``activation``, where that is one.
        praq_oq_conf: output quantizer of the table of ``recurrent_activation``, where that is one.
        caq_oq_conf: output quantizer of the table behind ``caq``.
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

    >>> y, *states = QLSTM(5, return_sequences=True, return_state=True)(keras.ops.ones((2, 4, 3)))
    >>> tuple(y.shape), len(states)
    ((2, 4, 5), 2)
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
        unit_forget_bias: bool = True,
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
        iq_conf: QuantizerConfig | None = None,
        paq_conf: QuantizerConfig | None = None,
        praq_conf: QuantizerConfig | None = None,
        caq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        csq_conf: QuantizerConfig | None = None,
        kq_conf: QuantizerConfig | None = None,
        rkq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        paq_oq_conf: QuantizerConfig | None = None,
        praq_oq_conf: QuantizerConfig | None = None,
        caq_oq_conf: QuantizerConfig | None = None,
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
                "caq_conf": caq_conf,
                "sq_conf": sq_conf,
                "csq_conf": csq_conf,
                "kq_conf": kq_conf,
                "rkq_conf": rkq_conf,
                "bq_conf": bq_conf,
                "paq_oq_conf": paq_oq_conf,
                "praq_oq_conf": praq_oq_conf,
                "caq_oq_conf": caq_oq_conf,
            },
        )
        self.read_forget_gate(unit_forget_bias)


@keras.saving.register_keras_serializable(package="hgq_keras")
class QLSTMCell(Lstm, CellLayer):
    """One step of `QLSTM`, called as ``y, states = cell(x, states)``.

    Args:
        units: size of the state.
        activation: of candidate and state: linear, whose limits are the activation, relu, or a function.
        recurrent_activation: of the gates, likewise.
        use_bias: add biases.
        kernel_initializer: of the kernel, as in Keras.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the biases.
        unit_forget_bias: begin with ones as the bias of the forget gate.
        kernel_regularizer: of the kernel.
        recurrent_regularizer: of the recurrent kernel.
        bias_regularizer: of the biases.
        kernel_constraint: of the kernel.
        recurrent_constraint: of the recurrent kernel.
        bias_constraint: of the biases.
        dropout: rate of dropout of the input, the same features in all steps.
        recurrent_dropout: rate of dropout of the state, the same elements in all steps.
        seed: of dropout.
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        paq_conf: quantizer before ``activation``; None: a hard tanh if that is linear, else the scope's.
        praq_conf: quantizer before ``recurrent_activation``; None: a hard sigmoid if that is linear, else the scope's.
        caq_conf: quantizer of the new cell state before ``activation``, as ``paq_conf``.
        sq_conf: quantizer of the state where a step reads it; None: the scope's datalane quantizer.
        csq_conf: quantizer of the cell state where a step reads it; likewise.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        rkq_conf: recurrent kernel quantizer; likewise.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        oq_conf: output quantizer; giving one enables it.
        paq_oq_conf: output quantizer of the table of ``activation``, where that is one.
        praq_oq_conf: output quantizer of the table of ``recurrent_activation``, where that is one.
        caq_oq_conf: output quantizer of the table behind ``caq``.
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

    >>> y, states = QLSTMCell(5)(keras.ops.ones((2, 3)), [keras.ops.zeros((2, 5)), keras.ops.zeros((2, 5))])
    >>> tuple(y.shape), len(states)
    ((2, 5), 2)
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
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        iq_conf: QuantizerConfig | None = None,
        paq_conf: QuantizerConfig | None = None,
        praq_conf: QuantizerConfig | None = None,
        caq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        csq_conf: QuantizerConfig | None = None,
        kq_conf: QuantizerConfig | None = None,
        rkq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        paq_oq_conf: QuantizerConfig | None = None,
        praq_oq_conf: QuantizerConfig | None = None,
        caq_oq_conf: QuantizerConfig | None = None,
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
                "caq_conf": caq_conf,
                "sq_conf": sq_conf,
                "csq_conf": csq_conf,
                "kq_conf": kq_conf,
                "rkq_conf": rkq_conf,
                "bq_conf": bq_conf,
                "paq_oq_conf": paq_oq_conf,
                "praq_oq_conf": praq_oq_conf,
                "caq_oq_conf": caq_oq_conf,
            },
        )
        self.read_forget_gate(unit_forget_bias)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"standalone": self.standalone}
