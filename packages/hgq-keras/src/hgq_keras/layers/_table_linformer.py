"""Attention to few combinations of positions, of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import SequenceProjection
from hgq_keras.layers._attention_base import sizes_of
from hgq_keras.layers._linformer_base import LinformerLayer
from hgq_keras.layers._table_base import TableNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Fuse
    from hgq_keras.config import QuantizerConfig

__all__ = ["QLinformerAttentionT"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QLinformerAttentionT(LinformerLayer):
    """`QLinformerAttention` whose projections are of tables, and its maps of positions too.

    A map of tables has a table for each position before and each one behind, which serves all features, with an input
    width for each of them; quantizers of a map see ``(batch, *other positions, features, *lin_kv_proj_dim,
    *positions)``. Projections are those of `QMultiHeadAttentionT`.

    EBOPs: those of `QMultiHeadAttentionT`, and of the maps, each counted once.

    Args:
        num_heads: number of heads.
        lin_kv_proj_dim: positions of key and value afterwards; one number for each axis of ``attention_axes``.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; None: key_dim.
        dropout: rate at which weights of values are dropped in training.
        use_bias: whether queries, values and the output have a bias.
        output_shape: features of the output, a number or several axes; None: as many as the query has.
        attention_axes: positions that attend to each other, the batch axis being 0; None: all.
        kernel_initializer: of the kernels of maps in the mode ``"dense"``, and so for the next ones; else as it is by
            default.
        bias_initializer: of every bias.
        kernel_regularizer: of these kernels.
        bias_regularizer: of every bias.
        activity_regularizer: of the output.
        kernel_constraint: of these kernels.
        bias_constraint: of every bias.
        seed: of dropout.
        fuse: ``"kv"``: key is value, ``"qkv"``: query too, ``"none"``: each is a tensor of its own. Tables quantize
            what they look up; a map that has a kernel quantizes key and value once where they are one.
        qkvo_iq_conf: input quantizer of each projection and map of positions; None: the scope's datalane quantizer,
            shared along positions.
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
        share_kv_proj: whether key and value have one map; where they are one tensor, by ``fuse``, it is one circuit,
            else it reads their features side by side.
        lin_kv_proj_mode: ``"dense_t"``: maps of tables; ``"dense"``: maps with a kernel, as of `QLinformerAttention`.
        n_hl: hidden layers of the network of an edge, as in `QDenseT`, and so for the next ones.
        d_hl: units of each of them.
        subnn_activation: of the hidden layers, a function of one number.
        table_spec: ``table_idxs`` of `QDenseT`: bits of the inputs of the tables that EBOPs counts in.
        batch_norm: normalise the output of each edge.
        bn_center: with a learned offset.
        bn_scale: with a learned scale.
        bn_momentum: of the moving averages.
        bn_epsilon: added to the variance.
        quantizer_confs: configurations of single slots, ``{"query/iq": conf, "softmax/oq": conf}``; they win.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: only True: the projections quantize the inputs.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: as `QMultiHeadAttentionT`; another mode, or unknown fusing.
        ShapeError: query, value and key do not fit, or another number of sizes than of axes.

    >>> x = keras.ops.ones((1, 6, 4))
    >>> QLinformerAttentionT(num_heads=2, lin_kv_proj_dim=3, key_dim=2)(x, x).shape == (1, 6, 4)
    True
    """

    def __init__(
        self,
        num_heads: int,
        lin_kv_proj_dim: int | Sequence[int],
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
        share_kv_proj: bool = False,
        lin_kv_proj_mode: str = "dense_t",
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
        if lin_kv_proj_mode not in ("dense", "dense_t"):
            message = f"layer {title!r}: lin_kv_proj_mode: received {lin_kv_proj_mode!r}, expected 'dense_t' or 'dense'"
            raise ConfigError(message)
        positions = sizes_of(lin_kv_proj_dim, f"layer {title!r}: lin_kv_proj_dim", 1)
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
                "attention_mask": None,
                "use_causal_mask": False,
                "quantizer_confs": quantizer_confs,
                "tables": TableNetwork.of(network, title, "table_spec"),
                "project": SequenceProjection(positions, bool(share_kv_proj), lin_kv_proj_mode == "dense_t"),
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
