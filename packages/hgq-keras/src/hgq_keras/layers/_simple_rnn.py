"""The simple recurrent layer and its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._gates import SimpleRnn
from hgq_keras.layers._sequence import CellLayer, SequenceLayer

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QSimpleRNN", "QSimpleRNNCell"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QSimpleRNN(SimpleRnn, SequenceLayer):
    r"""A recurrent layer whose data, state and weights have trained widths; `keras.layers.SimpleRNN`.

    .. math::
        h_t = \operatorname{act}(Q_{pa}(Q_i(x_t) Q_k(W) + Q_s(h_{t-1}) Q_{rk}(U) + Q_b(b)))

    Args:
        units: size of the state.
        activation: behind ``paq``: linear, whose limits are the activation, relu, or a function, as a table.
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
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        sq_conf: quantizer of the state where a step reads it; None: the scope's datalane quantizer.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        rkq_conf: recurrent kernel quantizer; likewise.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        oq_conf: output quantizer; giving one enables it.
        paq_conf: quantizer before ``activation``; None: a hard tanh if that is linear, else the scope's.
        paq_oq_conf: output quantizer of the table of ``activation``, where that is one.
        parallelization_factor: steps that are built in hardware, -1 for all; EBOPs are those of a step times it.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_iq: quantize the input; likewise.
        enable_sq: a quantizer of its own for the state, which else has the output's; None: as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a size, a rate, a factor or a configuration that does not fit.
        ShapeError: data that are no sequences, or of unknown length, or states of other sizes.

    >>> y, *states = QSimpleRNN(5, return_sequences=True, return_state=True)(keras.ops.ones((2, 4, 3)))
    >>> tuple(y.shape), len(states)
    ((2, 4, 5), 1)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
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
        iq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        kq_conf: QuantizerConfig | None = None,
        rkq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        paq_conf: QuantizerConfig | None = None,
        paq_oq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        enable_oq: bool | None = None,
        enable_iq: bool | None = None,
        enable_sq: bool | None = False,
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
                "sq_conf": sq_conf,
                "kq_conf": kq_conf,
                "rkq_conf": rkq_conf,
                "bq_conf": bq_conf,
                "paq_conf": paq_conf,
                "paq_oq_conf": paq_oq_conf,
            },
        )
        self.read_state(enable_sq)


@keras.saving.register_keras_serializable(package="hgq_keras")
class QSimpleRNNCell(SimpleRnn, CellLayer):
    """One step of `QSimpleRNN`, called as ``y, states = cell(x, states)``.

    Args:
        units: size of the state.
        activation: behind ``paq``: linear, whose limits are the activation, relu, or a function, as a table.
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
        seed: of dropout.
        enable_sq: a quantizer of its own for the state; None: as the scope says.
        iq_conf: input quantizer, one width for each feature, shared along the steps; None: the scope's datalane
            quantizer.
        sq_conf: quantizer of the state where a step reads it; None: the scope's datalane quantizer.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        rkq_conf: recurrent kernel quantizer; likewise.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        oq_conf: output quantizer; giving one enables it.
        paq_conf: quantizer before ``activation``; None: a hard tanh if that is linear, else the scope's.
        paq_oq_conf: output quantizer of the table of ``activation``, where that is one.
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

    >>> y, states = QSimpleRNNCell(5)(keras.ops.ones((2, 3)), [keras.ops.zeros((2, 5))])
    >>> tuple(y.shape), len(states)
    ((2, 5), 1)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
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
        seed: int | None = None,
        enable_sq: bool | None = None,
        iq_conf: QuantizerConfig | None = None,
        sq_conf: QuantizerConfig | None = None,
        kq_conf: QuantizerConfig | None = None,
        rkq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        paq_conf: QuantizerConfig | None = None,
        paq_oq_conf: QuantizerConfig | None = None,
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
                "sq_conf": sq_conf,
                "kq_conf": kq_conf,
                "rkq_conf": rkq_conf,
                "bq_conf": bq_conf,
                "paq_conf": paq_conf,
                "paq_oq_conf": paq_oq_conf,
            },
        )
        self.read_state(enable_sq)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"standalone": self.standalone}
