"""Attention to few combinations of positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import SequenceProjection
from hgq_keras.layers._attention_base import sizes_of
from hgq_keras.layers._linformer_base import LinformerLayer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Fuse
    from hgq_keras.config import QuantizerConfig

__all__ = ["QLinformerAttention"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QLinformerAttention(LinformerLayer):
    """Attention to few combinations of the positions of key and value: ``key' = E key``, ``value' = F value``.

    As `QMultiHeadAttention`, after a linear map of the positions (Linformer, arXiv:2006.04768), which its kernels
    ``key_proj_kernel`` and ``value_proj_kernel`` are, without a bias. The cost of the products is then linear in the
    length of the sequence. It has no masks, because the positions are no longer those of the data, and its output does
    depend on the order of key and value.

    EBOPs: those of `QMultiHeadAttention`, and of the maps, each counted once.

    Args:
        num_heads: number of heads.
        lin_kv_proj_dim: positions of key and value afterwards; one number for each axis of ``attention_axes``.
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
        qkvo_iq_conf: input quantizer of each projection and map of positions; None: the scope's datalane quantizer,
            shared along positions.
        qkvo_kq_conf: kernel quantizer of each of them; None: the scope's weight quantizer.
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
        share_kv_proj: whether key and value are mapped by one kernel; where they are one tensor, by ``fuse``, it is one
            circuit.
        lin_kv_proj_mode: ``"dense"``.
        quantizer_confs: configurations of single slots, ``{"query/iq": conf, "softmax/oq": conf}``; they win.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: only True: the projections quantize the inputs.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: as `QMultiHeadAttention`; another mode, or a mask.
        ShapeError: query, value and key do not fit, or another number of sizes than of axes.

    >>> x = keras.ops.ones((1, 6, 4))
    >>> QLinformerAttention(num_heads=2, lin_kv_proj_dim=3, key_dim=2)(x, x).shape == (1, 6, 4)
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
        share_kv_proj: bool = False,
        lin_kv_proj_mode: str = "dense",
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
        title = f"layer {kwargs.get('name') or type(self).__name__!r}"
        if lin_kv_proj_mode != "dense":
            message = (
                f"{title}: lin_kv_proj_mode: received {lin_kv_proj_mode!r}, expected 'dense'; QLinformerAttentionT has "
                "maps of tables"
            )
            raise ConfigError(message)
        positions = sizes_of(lin_kv_proj_dim, f"{title}: lin_kv_proj_dim", 1)
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
                "attention_mask": None,
                "use_causal_mask": False,
                "quantizer_confs": quantizer_confs,
                "project": SequenceProjection(positions, bool(share_kv_proj)),
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
