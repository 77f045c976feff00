"""Attention whose projections are of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_torch.nn._attention_base import Attention
from hgq_torch.nn._table_base import checked_idxs, edge_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from hgq_core.layers import Fuse
    from hgq_torch._make import QuantizerLike

__all__ = ["QMultiheadAttentionT"]


class QMultiheadAttentionT(Attention):
    r"""`QMultiheadAttention` whose projections are of tables, as `QEinsumDenseT`: a table for each edge of one.

    Data, products, softmax and sums of values are those of `QMultiheadAttention`. The tables of query, key and value
    quantize their input themselves, each edge with a width of its own, seen as ``(batch, *positions, num_heads,
    head_dim, features)``, those of the output ``(batch, *positions, embed_dim, num_heads, v_head_dim)``; by default
    each width serves all positions. The parameters of the networks are ``query_kernel_0, query_bias_0``, and so on;
    the biases of the projections, and the weights of maps that have kernels, are those of `QMultiheadAttention`.

    EBOPs: those of the tables, the two contractions of data, and softmax.

    Args:
        embed_dim: features of query and output.
        num_heads: number of heads, a divisor of embed_dim.
        dropout: rate at which weights of values are dropped in training.
        bias: whether the projections have a bias.
        kdim: features of the key; None: embed_dim.
        vdim: features of the value; None: embed_dim.
        batch_first: True; hardware has no batch axis behind others.
        head_dim: size of each head's queries and keys; None: ``embed_dim / num_heads``, as in PyTorch.
        v_head_dim: size of each head's values; None: head_dim.
        key_bias: whether keys have a bias, if the others have; it adds the same number to all products of a query.
        attn_mask: bools that broadcast to ``(*positions of queries, *of keys)``, True where a key is *not* attended to,
            as in PyTorch. Hardware has one mask: it is an argument of the layer, not of its call.
        is_causal: whether a query attends to keys at its own position and before only.
        dims: positions that attend to each other, the batch axis being 0; None: all.
        proj_positions: positions of key and value after a map of theirs, one number for each axis of ``dims``, as in
            Linformer (arXiv:2006.04768), made when the length is known; None: no map.
        share_proj_positions: whether one map serves both; where key is value, by ``fuse``, it is one circuit, else it
            reads their features side by side.
        tables_of_positions: whether these maps are of tables, one for each position before and each one behind, which
            serves all features; False: they have kernels, as those of `QMultiheadAttention`.
        fuse: ``"kv"``: key is value, ``"qkv"``: query too, ``"none"``: each is a tensor of its own. Tables quantize
            what they look up; a map that has a kernel quantizes key and value once where they are one.
        stable_softmax: see `QSoftmax`.
        allow_heterogeneous_table: see `QSoftmax`.
        hidden_layers: of the network of an edge, as in `QLinearT`, and so for the next ones.
        hidden_units: of each hidden layer.
        function: of a hidden layer, element by element; None: linear.
        batch_norm: whether the output of each edge is normalised.
        eps: of that, added to the variance.
        momentum: how far its running averages go to those of each batch.
        table_idxs: bits of the inputs of the tables that EBOPs counts in.
        iq: what the input quantizer of each projection is made of, not a `hgq_torch.Quantizer`; so for the next ones.
        toq: of the outputs of the tables.
        kq: of the weights of maps of positions that have kernels.
        bq: of the bias of each projection.
        proj_oq: of queries, keys and values.
        softmax_iq: of the products of queries and keys.
        exp_iq: see `QSoftmax`, as the next three.
        exp_oq: output quantizer of the table of exponentials.
        inv_iq: input quantizer of the table of reciprocals.
        inv_oq: its output quantizer.
        softmax_oq: of the weights of values.
        oq: quantizer of the output; giving one enables it.
        enable_oq: whether the output is quantized; the scope's default if None, as are the next ones.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: positions of each projection, and queries of the products, that are built, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: as `QMultiheadAttention`, or a function that is not one of one number.
        ShapeError: query, key and value do not fit.

    >>> x = torch.ones(1, 3, 4)
    >>> QMultiheadAttentionT(4, 2)(x, x, x).shape
    torch.Size([1, 3, 4])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = True,
        *,
        head_dim: int | None = None,
        v_head_dim: int | None = None,
        key_bias: bool = True,
        attn_mask: Any = None,
        is_causal: bool = False,
        dims: Sequence[int] | None = None,
        proj_positions: int | Sequence[int] | None = None,
        share_proj_positions: bool = False,
        tables_of_positions: bool = True,
        fuse: Fuse = "none",
        stable_softmax: bool = True,
        allow_heterogeneous_table: bool = False,
        hidden_layers: int = 1,
        hidden_units: int = 8,
        function: Callable[[Tensor], Tensor] | None = torch.tanh,
        batch_norm: bool = False,
        eps: float = 1e-3,
        momentum: float | None = 0.01,
        table_idxs: tuple[int, int] = (6, 5),
        iq: QuantizerLike = None,
        toq: QuantizerLike = None,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
        proj_oq: QuantizerLike = None,
        softmax_iq: QuantizerLike = None,
        exp_iq: QuantizerLike = None,
        exp_oq: QuantizerLike = None,
        inv_iq: QuantizerLike = None,
        inv_oq: QuantizerLike = None,
        softmax_oq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        softmax = {
            "softmax/iq": softmax_iq, "softmax/exp/iq": exp_iq, "softmax/exp/oq": exp_oq, "softmax/inv/iq": inv_iq,
            "softmax/inv/oq": inv_oq, "softmax/oq": softmax_oq,
        }  # fmt: skip
        around = {
            "oq": oq, "enable_oq": enable_oq, "enable_ebops": enable_ebops, "beta0": beta0, "device": device,
            "dtype": dtype,
        }  # fmt: skip
        options = {
            "batch_first": batch_first, "fuse": fuse, "dropout": dropout, "bias": bias, "key_bias": key_bias,
            "attn_mask": attn_mask, "is_causal": is_causal, "dims": dims, "stable_softmax": stable_softmax,
            "allow_heterogeneous_table": allow_heterogeneous_table, "parallelization_factor": parallelization_factor,
            "proj_positions": proj_positions, "share_proj_positions": share_proj_positions,
        }  # fmt: skip
        super().__init__({"iq": iq, "toq": toq, "kq": kq, "bq": bq, "oq": proj_oq}, softmax, around)
        self.set_heads(embed_dim, num_heads, (kdim, vdim), (head_dim, v_head_dim))
        self.network = edge_network(hidden_layers, hidden_units, function, batch_norm=bool(batch_norm), eps=eps)
        self.momentum, self.table_idxs = momentum, checked_idxs(table_idxs)
        self.set_options(options, of_tables=bool(tables_of_positions))
        self.make(oq)
