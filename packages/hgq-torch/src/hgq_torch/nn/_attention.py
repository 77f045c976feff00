"""Attention of several heads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._attention_base import MAPS, PARTS, Attention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Fuse
    from hgq_torch._make import QuantizerLike

__all__ = ["QMultiheadAttention"]


class QMultiheadAttention(Attention):
    r"""``y = W_o softmax(q k / sqrt(head_dim)) v`` of ``q = W_q query``, ``k = W_k key``, ``v = W_v value``, in heads.

    Data are ``(batch, *positions, features)``: the batch comes first. Softmax is that of `QSoftmax`, of two trained
    tables. It returns the output alone, as `torch.nn.MultiheadAttention` with ``need_weights=False`` its first value.

    A set has no order: by default each width of data serves all positions, so that the output moves with the elements
    of the input: the quantizers of inputs have one for each feature, those of queries, keys and values for each head
    and feature, those of products for each head. A specification that is given, a dict or a scope that names axes, has
    the granularity that it says.

    EBOPs: those of the four projections, the two contractions of data, and softmax.

    The weights are ``q_proj_weight, k_proj_weight, v_proj_weight``, each ``(num_heads, head_dim, features)``, which is
    PyTorch's ``(embed_dim, features)`` in heads, and ``out_proj_weight`` ``(embed_dim, num_heads, head_dim)``; biases
    likewise.

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
        proj_positions: positions of key and value after a linear map of theirs, one number for each axis of ``dims``,
            as in Linformer (arXiv:2006.04768), whose weights ``key_positions_weight`` and ``value_positions_weight``
            are ``(*positions, *proj_positions)`` and made when the length is known; None: no map.
        share_proj_positions: whether one map serves both, ``kv_positions_weight``; where key is value, by ``fuse``, it
            is one circuit.
        fuse: ``"kv"``: key is value, and both are quantized once; ``"qkv"``: query too; ``"none"``: each by itself.
        stable_softmax: see `QSoftmax`.
        allow_heterogeneous_table: see `QSoftmax`.
        iq: what the input quantizer of each projection is made of, not a `hgq_torch.Quantizer`; so for the next ones.
        kq: of the weight of each projection.
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
        ConfigError: heads that do not divide embed_dim, batch_first=False, unknown fusing, a Quantizer for several
            places, low precision.
        ShapeError: query, key and value do not fit.

    >>> x = torch.ones(1, 3, 4)
    >>> QMultiheadAttention(4, 2)(x, x, x).shape
    torch.Size([1, 3, 4])
    """

    layouts: ClassVar[Mapping[str, Layout]] = {
        **Attention.layouts,
        **{f"{p}/kernel": Layout(f"{PARTS[p]}_weight", Turn.of((1, 2, 0))) for p in ("query", "key", "value")},
        "output/kernel": Layout("out_proj_weight", Turn.of((2, 0, 1))),
    }

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
        fuse: Fuse = "none",
        stable_softmax: bool = True,
        allow_heterogeneous_table: bool = False,
        iq: QuantizerLike = None,
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
        super().__init__({"iq": iq, "kq": kq, "bq": bq, "oq": proj_oq}, softmax, around)
        self.set_heads(embed_dim, num_heads, (kdim, vdim), (head_dim, v_head_dim))
        self.set_options(options)
        self.make(oq)

    def reset_parameters(self) -> None:
        """Initialise weights by Xavier's uniform rule, and biases by 0."""
        for name in PARTS.values():
            weight: Any = getattr(self, f"{name}_weight")
            nn.init.xavier_uniform_(weight.view(weight.shape[0] * (weight.shape[1] if name != "out_proj" else 1), -1))
            if self.use_bias and (self.key_bias or name != "k_proj"):
                nn.init.zeros_(getattr(self, f"{name}_bias"))
        for name in MAPS.values():
            weight = getattr(self, f"{name}_weight", None)
            if weight is not None and self.project is not None:
                nn.init.xavier_uniform_(weight.view(-1, math.prod(self.project.sizes)))
