"""Attention of several heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._attention_base import AttentionLayer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Fuse
    from hgq_keras.config import QuantizerConfig

__all__ = ["QMultiHeadAttention"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMultiHeadAttention(AttentionLayer):
    """``y = W_o softmax(q k / sqrt(key_dim)) v`` of ``q = W_q query``, ``k = W_k key``, ``v = W_v value``, in heads.

    It is called as that of Keras: ``layer(query, value, key=None)``, for data ``(batch, *positions, features)``; key is
    value, and value is query, where they are not given. Softmax is that of `QSoftmax`, of two trained tables.

    A set has no order: by default each width of data serves all positions, so that the output moves with the elements
    of the input: the quantizers of inputs have one for each feature, those of queries, keys and values for each head
    and feature, those of products for each head. A configuration that is given, or a scope that names axes, has the
    granularity that it says; that of a bare `QuantizerConfig` is a width for each position.

    EBOPs: those of the four projections, the two contractions of data, and softmax. Keys have no bias, which would add
    the same number to all products of a query.

    Args:
        num_heads: number of heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; None: key_dim.
        dropout: rate at which weights of values are dropped in training.
        use_bias: whether queries, values and the output have a bias.
        output_shape: features of the output, a number or several axes; None: as many as the query has.
        attention_axes: positions that attend to each other, the batch axis being 0; None: all.
        kernel_initializer: of every kernel, as in Keras, and so for the next ones.
        bias_initializer: of every bias.
        kernel_regularizer: of every kernel.
        bias_regularizer: of every bias.
        activity_regularizer: of the output.
        kernel_constraint: of every kernel.
        bias_constraint: of every bias.
        seed: of dropout.
        fuse: ``"kv"``: key is value, and both are quantized once; ``"qkv"``: query too; ``"none"``: each by itself.
        qkvo_iq_conf: input quantizer of each projection; None: the scope's datalane quantizer, shared along positions.
        qkvo_kq_conf: kernel quantizer of each projection; None: the scope's weight quantizer.
        qkvo_bq_conf: bias quantizer of each projection; None: the scope's bias quantizer.
        qkvo_oq_conf: quantizer of queries, keys and values; None: the scope's, shared along positions.
        softmax_iq_conf: quantizer of the products of queries and keys; None: likewise.
        softmax_exp_iq_conf: see `QSoftmax`, as the next three; None: the scope's, saturating.
        softmax_exp_oq_conf: output quantizer of the table of exponentials.
        softmax_inv_iq_conf: input quantizer of the table of reciprocals.
        softmax_inv_oq_conf: its output quantizer.
        softmax_oq_conf: quantizer of the weights of values; None: the scope's, shared along positions.
        stable_softmax: see `QSoftmax`.
        softmax_allow_heterogeneous_table: see `QSoftmax`.
        parallelization_factor: positions of each projection, and queries of the products, that are built, -1 for all.
        attention_mask: bools that broadcast to ``(*positions of queries, *positions of keys)``, True where a key is
            attended to. Hardware has one mask: it is an argument of the layer, not of its call.
        use_causal_mask: whether a query attends to keys at its own position and before only.
        quantizer_confs: configurations of single slots, ``{"query/iq": conf, "softmax/oq": conf}``; they win.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: only True: the projections quantize the inputs.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, unknown fusing, axes that are no positions, tensors that fusing does not allow.
        ShapeError: query, value and key do not fit.
        UnsupportedError: a mask in the call, or scores are asked for.

    >>> x = keras.ops.ones((1, 3, 4))
    >>> QMultiHeadAttention(num_heads=2, key_dim=2)(x, x).shape == (1, 3, 4)
    True
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        seed: int | None = None,
        fuse: Fuse = "none",
        qkvo_iq_conf: QuantizerConfig | None = None,
        qkvo_kq_conf: QuantizerConfig | None = None,
        qkvo_bq_conf: QuantizerConfig | None = None,
        qkvo_oq_conf: QuantizerConfig | None = None,
        softmax_iq_conf: QuantizerConfig | None = None,
        softmax_exp_iq_conf: QuantizerConfig | None = None,
        softmax_exp_oq_conf: QuantizerConfig | None = None,
        softmax_inv_iq_conf: QuantizerConfig | None = None,
        softmax_inv_oq_conf: QuantizerConfig | None = None,
        softmax_oq_conf: QuantizerConfig | None = None,
        stable_softmax: bool = True,
        softmax_allow_heterogeneous_table: bool = False,
        parallelization_factor: int = -1,
        *,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
        quantizer_confs: Mapping[str, QuantizerConfig] | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            {
                "num_heads": num_heads,
                "key_dim": key_dim,
                "value_dim": value_dim,
                "dropout": dropout,
                "use_bias": use_bias,
                "output_shape": output_shape,
                "attention_axes": attention_axes,
                "kernel_initializer": kernel_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "bias_constraint": bias_constraint,
                "seed": seed,
                "fuse": fuse,
                "qkvo_iq_conf": qkvo_iq_conf,
                "qkvo_kq_conf": qkvo_kq_conf,
                "qkvo_bq_conf": qkvo_bq_conf,
                "qkvo_oq_conf": qkvo_oq_conf,
                "softmax_iq_conf": softmax_iq_conf,
                "softmax_exp_iq_conf": softmax_exp_iq_conf,
                "softmax_exp_oq_conf": softmax_exp_oq_conf,
                "softmax_inv_iq_conf": softmax_inv_iq_conf,
                "softmax_inv_oq_conf": softmax_inv_oq_conf,
                "softmax_oq_conf": softmax_oq_conf,
                "stable_softmax": stable_softmax,
                "softmax_allow_heterogeneous_table": softmax_allow_heterogeneous_table,
                "parallelization_factor": parallelization_factor,
                "attention_mask": attention_mask,
                "use_causal_mask": use_causal_mask,
                "quantizer_confs": quantizer_confs,
            },
            {
                "activity_regularizer": activity_regularizer,
                "oq_conf": oq_conf,
                "enable_iq": enable_iq,
                "enable_oq": enable_oq,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "ebops_factor": ebops_factor,
                **kwargs,
            },
        )
