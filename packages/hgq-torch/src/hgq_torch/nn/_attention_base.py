"""What layers of attention have in common: their sizes, their quantizers, and how they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hgq_core.errors import ConfigError
from hgq_core.layers import EdgeNetwork, Fuse, MultiHeadAttention, SequenceProjection, check_fused, fused_inputs
from hgq_torch._make import make_quantizer
from hgq_torch._quantizer import Quantizer
from hgq_torch._slots import Layout
from hgq_torch.nn._arguments import check_factor, positive
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Declaration, Trace, Value
    from hgq_torch._make import QuantizerLike

__all__ = ["MAPS", "PARTS", "Attention"]

PARTS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}
"""Projections, and what PyTorch calls them."""
MAPS = {"key_proj": "key_positions", "value_proj": "value_positions", "kv_proj": "kv_positions"}
"""Maps of positions, and what their weights are called."""


class Attention(QModule):
    """Abstract over the constructor: attention whose projections have kernels or are of tables.

    Args:
        shared: by slot, what the quantizers of each projection and map are made of.
        softmax: those of softmax.
        around: other arguments of `QModule`.
    """

    fewest_axes: ClassVar[int] = 2
    layouts: ClassVar[Mapping[str, Layout]] = {
        **{f"{part}/bias": Layout(f"{name}_bias") for part, name in PARTS.items()},
        **{f"{part}/kernel": Layout(f"{name}_weight") for part, name in MAPS.items()},
    }
    network: EdgeNetwork | None = None
    table_idxs: tuple[int, int] = (6, 5)

    def __init__(
        self, shared: Mapping[str, QuantizerLike], softmax: Mapping[str, QuantizerLike], around: Mapping[str, Any]
    ) -> None:
        for name, given in shared.items():
            if isinstance(given, Quantizer):
                message = f"{name}: received a Quantizer, expected a specification or a dict: several places have one"
                raise ConfigError(message)
        slots = {f"{part}/{slot}": like for part in (*PARTS, *MAPS) for slot, like in shared.items()}
        super().__init__(enable_iq=False, quantizers={**slots, **softmax}, **around)

    def set_heads(
        self, embed_dim: int, num_heads: int, features: Sequence[int | None], sizes: Sequence[int | None]
    ) -> None:
        """Take the sizes; ``features`` are kdim and vdim, ``sizes`` head_dim and v_head_dim."""
        self.embed_dim, self.num_heads = positive(embed_dim, "embed_dim"), positive(num_heads, "num_heads")
        self.kdim = self.embed_dim if features[0] is None else positive(features[0], "kdim")
        self.vdim = self.embed_dim if features[1] is None else positive(features[1], "vdim")
        if sizes[0] is None and embed_dim % num_heads:
            message = f"num_heads: received {num_heads}, expected a divisor of embed_dim, {embed_dim}, or head_dim"
            raise ConfigError(message)
        self.head_dim = embed_dim // num_heads if sizes[0] is None else positive(sizes[0], "head_dim")
        self.v_head_dim = self.head_dim if sizes[1] is None else positive(sizes[1], "v_head_dim")

    def set_options(self, options: Mapping[str, Any], *, of_tables: bool = False) -> None:
        """Take the other arguments, by name; ``of_tables``: whether a map of positions is."""
        if not options["batch_first"]:
            message = "batch_first: received False, expected True: transpose the data before the layer"
            raise ConfigError(message)
        fused_inputs(options["fuse"])
        self.fuse: Fuse = options["fuse"]
        if not 0 <= options["dropout"] < 1:
            message = f"dropout: received {options['dropout']}, expected a rate from 0 to below 1"
            raise ConfigError(message)
        self.dropout = float(options["dropout"])
        self.use_bias, self.key_bias = bool(options["bias"]), bool(options["key_bias"])
        mask, dims = options["attn_mask"], options["dims"]
        self.attn_mask = None if mask is None else np.asarray(torch.as_tensor(mask).cpu().numpy(), bool)
        self.is_causal = bool(options["is_causal"])
        self.dims = None if dims is None else tuple(dims)
        self.stable_softmax = bool(options["stable_softmax"])
        self.allow_heterogeneous_table = bool(options["allow_heterogeneous_table"])
        self.parallelization_factor = check_factor(options["parallelization_factor"])
        given = options["proj_positions"]
        sizes = (given,) if isinstance(given, int) else given
        after = None if sizes is None else tuple(positive(n, "proj_positions") for n in sizes)
        share = bool(options["share_proj_positions"])
        self.project = None if after is None else SequenceProjection(after, share, of_tables)

    def make(self, oq: QuantizerLike) -> None:
        """Make what does not depend on the data; ``oq`` is what was given for the output."""
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
            network=self.network,
            table_idxs=self.table_idxs,
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.embed_dim}, {self.num_heads})"

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
