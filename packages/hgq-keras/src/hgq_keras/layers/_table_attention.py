"""Attention whose projections are of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._attention_base import AttentionLayer
from hgq_keras.layers._table_base import TableNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_keras.config import QuantizerConfig

__all__ = ["QMultiHeadAttentionT"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMultiHeadAttentionT(AttentionLayer):
    """`QMultiHeadAttention` whose projections are of tables, as `QEinsumDenseT`: a table for each edge of a projection.

    It is called as `QMultiHeadAttention`, and products, softmax and sums of values are those. The tables of query, key
    and value quantize their input themselves, each edge with a width of its own, seen as ``(batch, *positions, heads,
    key_dim, features)``, those of the output ``(batch, *positions, *output_shape, heads, value_dim)``; by default each
    width serves all positions.

    EBOPs: those of the tables, the two contractions of data, and softmax.

    Args:
        num_heads: number of heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; None: key_dim.
        dropout: rate at which weights of values are dropped in training.
        use_bias: whether queries, values and the output have a bias.
        output_shape: features of the output, a number or several axes; None: as many as the query has.
        attention_axes: positions that attend to each other, the batch axis being 0; None: all.
        kernel_initializer: as it is by default: there are no kernels; and so for all that is said of one.
        bias_initializer: of every bias.
        kernel_regularizer: None.
        bias_regularizer: of every bias.
        activity_regularizer: of the output.
        kernel_constraint: None.
        bias_constraint: of every bias.
        seed: of dropout.
        qkvo_iq_conf: input quantizer of each projection; None: the scope's datalane quantizer, shared along positions.
        qkvo_toq_conf: quantizer of the outputs of the tables; None: the scope's table quantizer, a width for each edge.
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
        n_hl: hidden layers of the network of an edge, as in `QDenseT`, and so for the next ones.
        d_hl: units of each of them.
        subnn_activation: of the hidden layers, a function of one number.
        table_spec: ``table_idxs`` of `QDenseT`: bits of the inputs of the tables that EBOPs counts in.
        batch_norm: normalise the output of each edge.
        bn_center: with a learned offset.
        bn_scale: with a learned scale.
        bn_momentum: of the moving averages.
        bn_epsilon: added to the variance.
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
        ConfigError: sizes below 1, axes that are no positions, an argument of a kernel, or one of tables that does not
            fit.
        ShapeError: query, value and key do not fit.
        UnsupportedError: a mask in the call, or scores are asked for.

    >>> x = keras.ops.ones((1, 3, 4))
    >>> QMultiHeadAttentionT(num_heads=2, key_dim=2)(x, x).shape == (1, 3, 4)
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
        qkvo_iq_conf: QuantizerConfig | None = None,
        qkvo_toq_conf: QuantizerConfig | None = None,
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
        n_hl: int = 1,
        d_hl: int = 8,
        subnn_activation: Any = "tanh",
        table_spec: tuple[int, int] = (6, 5),
        batch_norm: bool = False,
        bn_center: bool = True,
        bn_scale: bool = True,
        bn_momentum: float = 0.99,
        bn_epsilon: float = 0.001,
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
        title = kwargs.get("name") or type(self).__name__
        network = {
            "n_hl": n_hl, "d_hl": d_hl, "subnn_activation": subnn_activation, "batch_norm": batch_norm,
            "bn_center": bn_center, "bn_scale": bn_scale, "bn_momentum": bn_momentum, "bn_epsilon": bn_epsilon,
            "table_spec": table_spec,
        }  # fmt: skip
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
                "fuse": "none",
                "qkvo_iq_conf": qkvo_iq_conf,
                "qkvo_toq_conf": qkvo_toq_conf,
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
                "tables": TableNetwork.of(network, title, "table_spec"),
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

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["fuse"]
        return config
