"""Attention of several heads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hgq_core.errors import ConfigError
from hgq_core.layers import Fuse, MultiHeadAttention, SequenceProjection, check_fused, fused_inputs
from hgq_torch._make import make_quantizer
from hgq_torch._quantizer import Quantizer
from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._arguments import check_factor, positive
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Declaration, Trace, Value
    from hgq_torch._make import QuantizerLike

__all__ = ["QMultiheadAttention"]

_PARTS = ("query", "key", "value", "output")
_MAPS = {"key_proj": "key_positions", "value_proj": "value_positions", "kv_proj": "kv_positions"}
_NAMES = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}


class QMultiheadAttention(QModule):
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

    fewest_axes: ClassVar[int] = 2
    layouts: ClassVar[Mapping[str, Layout]] = {
        **{f"{p}/kernel": Layout(f"{_NAMES[p]}_weight", Turn.of((1, 2, 0))) for p in _PARTS[:3]},
        "output/kernel": Layout("out_proj_weight", Turn.of((2, 0, 1))),
        **{f"{p}/bias": Layout(f"{_NAMES[p]}_bias") for p in _PARTS},
        **{f"{p}/kernel": Layout(f"{name}_weight") for p, name in _MAPS.items()},
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
        shared = {"iq": iq, "kq": kq, "bq": bq, "oq": proj_oq}
        for name, given in shared.items():
            if isinstance(given, Quantizer):
                message = f"{name}: received a Quantizer, expected a specification or a dict: several places have one"
                raise ConfigError(message)
        super().__init__(
            enable_iq=False,
            oq=oq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            quantizers={
                **{f"{part}/{slot}": like for part in (*_PARTS, *_MAPS) for slot, like in shared.items()},
                "softmax/iq": softmax_iq,
                "softmax/exp/iq": exp_iq,
                "softmax/exp/oq": exp_oq,
                "softmax/inv/iq": inv_iq,
                "softmax/inv/oq": inv_oq,
                "softmax/oq": softmax_oq,
            },
            device=device,
            dtype=dtype,
        )
        self.embed_dim, self.num_heads = positive(embed_dim, "embed_dim"), positive(num_heads, "num_heads")
        self.kdim = self.embed_dim if kdim is None else positive(kdim, "kdim")
        self.vdim = self.embed_dim if vdim is None else positive(vdim, "vdim")
        if head_dim is None and embed_dim % num_heads:
            message = f"num_heads: received {num_heads}, expected a divisor of embed_dim, {embed_dim}, or head_dim"
            raise ConfigError(message)
        if not batch_first:
            message = "batch_first: received False, expected True: transpose the data before the layer"
            raise ConfigError(message)
        fused_inputs(fuse)
        self.head_dim = embed_dim // num_heads if head_dim is None else positive(head_dim, "head_dim")
        self.v_head_dim = self.head_dim if v_head_dim is None else positive(v_head_dim, "v_head_dim")
        self.key_bias = bool(key_bias)
        self.fuse: Fuse = fuse
        if not 0 <= dropout < 1:
            message = f"dropout: received {dropout}, expected a rate from 0 to below 1"
            raise ConfigError(message)
        self.dropout = float(dropout)
        self.use_bias = bool(bias)
        self.attn_mask = None if attn_mask is None else np.asarray(torch.as_tensor(attn_mask).cpu().numpy(), bool)
        self.is_causal = bool(is_causal)
        self.dims = None if dims is None else tuple(dims)
        self.stable_softmax = bool(stable_softmax)
        self.allow_heterogeneous_table = bool(allow_heterogeneous_table)
        self.parallelization_factor = check_factor(parallelization_factor)
        given = (proj_positions,) if isinstance(proj_positions, int) else proj_positions
        sizes_after = None if given is None else tuple(positive(n, "proj_positions") for n in given)
        self.project = None if sizes_after is None else SequenceProjection(sizes_after, bool(share_proj_positions))
        shared = self._attention().shared_output()
        if self.enable_oq and (oq is None or (isinstance(oq, dict) and not any(n.endswith("_axis") for n in oq))):
            self.made.given["oq"] = shared | (oq or {})
        if self.project is None:
            self._begin()
        else:
            self._begin_quantizers()

    def _begin_quantizers(self) -> None:
        """Make quantizers in the scope in which the layer is written; weights wait for the length of the sequence."""
        for slot, what in self._attention().smallest().quantizers.items():
            self.made.given[slot] = make_quantizer(
                self.made.given.get(slot),
                what.place,
                None,
                what.overrides,
                device=self.beta.device,
                dtype=self.beta.dtype,
            )

    def _begin(self) -> None:
        rank = 1 if self.dims is None else max(1, *self.dims, *(-n - 1 for n in self.dims))
        others = (1,) * (rank - 1)
        queries, keys = (1, 1) if self.attn_mask is None else self.attn_mask.shape[-2:]
        self.begin((*others, queries, self.embed_dim), (*others, keys, self.kdim), (*others, keys, self.vdim))

    def declaration(self) -> Declaration:
        """Four projections, two contractions of data, softmax."""
        return self._declared

    def _declared(self, t: Trace, query: Value, key: Value | None = None, value: Value | None = None) -> Value:
        key = query if key is None else key
        return self._attention()(t, query, key if value is None else value, key)

    def _attention(self) -> MultiHeadAttention:
        return MultiHeadAttention(
            self.num_heads,
            self.head_dim,
            self.v_head_dim,
            (self.embed_dim,),
            None if self.dims is None else tuple(n if n < 0 else n - 1 for n in self.dims),
            self.use_bias,
            key_bias=self.key_bias,
            fuse=self.fuse,
            stable=self.stable_softmax,
            heterogeneous_tables=self.allow_heterogeneous_table,
            mask=None if self.attn_mask is None else ~self.attn_mask,
            causal=self.is_causal,
            dropout=self.dropout,
            parallelization_factor=self.parallelization_factor,
            project=self.project,
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"QMultiheadAttention({self.embed_dim}, {self.num_heads})"

    def reset_parameters(self) -> None:
        """Initialise weights by Xavier's uniform rule, and biases by 0."""
        for name in _NAMES.values():
            weight: Any = getattr(self, f"{name}_weight")
            nn.init.xavier_uniform_(weight.view(weight.shape[0] * (weight.shape[1] if name != "out_proj" else 1), -1))
            if self.use_bias and (self.key_bias or name != "k_proj"):
                nn.init.zeros_(getattr(self, f"{name}_bias"))
        for name in _MAPS.values():
            weight = getattr(self, f"{name}_weight", None)
            if weight is not None and self.project is not None:
                nn.init.xavier_uniform_(weight.view(-1, math.prod(self.project.sizes)))

    def forward(self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """The output ``(batch, *positions, embed_dim)``; key is query, and value is key, where they are not given.

        Raises:
            ConfigError: different tensors, where fusing needs one.
        """
        given = tuple(x for x in (query, key, value) if x is not None)
        last = given[-1]
        check_fused(
            self.fuse, query, value if value is not None else last, key if key is not None else last, self.title
        )
        return super().forward(*given)

    def extra_repr(self) -> str:
        """Sizes and options."""
        return (
            f"{self.embed_dim}, {self.num_heads}, bias={self.use_bias}, is_causal={self.is_causal}, fuse={self.fuse!r}"
        )
