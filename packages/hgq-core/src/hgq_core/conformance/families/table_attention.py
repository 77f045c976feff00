"""Attention whose projections, and maps of positions, are of tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import LayerCase
from hgq_core.conformance.families.attention import attention, linformer
from hgq_core.conformance.families.table import Slots, edges_of, network
from hgq_core.layers import Declaration, MultiHeadAttention, SequenceProjection

__all__ = ["CASES", "KINDS"]


def _tables(
    rng: np.random.Generator, shape: tuple[int, ...] = (3, 2), positions: tuple[int, ...] = (), **options: Any
) -> LayerCase:
    """A case of attention with its projections by tables, each with a width of its own at each position."""
    own = [name for name in ("n_hl", "batch_norm", "table_idxs") if name in options]
    edge: dict[str, Any] = {"n_hl": 1, "d_hl": 2, **{name: options.pop(name) for name in own}}
    maps = {"maps": options.pop("maps")} if "maps" in options else {}
    case = linformer(rng, shape, positions, **options) if positions else attention(rng, shape, **options)
    (layer,), rank, features = case.layers, len(shape) - 1, shape[-1]
    heads, keys, values = (layer.options[name] for name in ("heads", "key_dim", "value_dim"))
    axes = layer.options.get("attention_axes", tuple(range(rank)))
    sizes = dict(zip(axes, positions, strict=True)) if positions else {}
    fewer = tuple(sizes.get(axis, n) for axis, n in enumerate(shape[:-1]))
    parts: dict[str, Slots] = {
        "query": edges_of(rng, (*shape[:-1], heads, keys, features), rank, edge, bias=(heads, keys)),
        "key": edges_of(rng, (*fewer, heads, keys, features), rank, edge),
        "value": edges_of(rng, (*fewer, heads, values, features), rank, edge, bias=(heads, values)),
        "output": edges_of(rng, (*shape[:-1], features, heads, values), rank, edge, bias=(features,)),
    }
    replaced = [*parts]
    if positions and not maps:
        shared, fused = layer.options["shared"], layer.options.get("fuse", "none") != "none"
        others = tuple(n for axis, n in enumerate(shape[:-1]) if axis not in axes)
        both = 2 * features if shared and not fused else features
        ends = (*positions, *(shape[axis] for axis in axes))
        for name in ("kv_proj",) if shared else ("value_proj", "key_proj"):
            parts[name] = edges_of(rng, (*others, both, *ends), len(others) + 1, edge)
        replaced += ["kv_proj", "value_proj", "key_proj"]
    drawn: list[dict[str, Any]] = [
        {slot: what for slot, what in given.items() if slot.partition("/")[0] not in replaced or slot.endswith("/oq")}
        for given in (layer.weights, layer.quantizers, layer.widths)
    ]
    for name, slots in parts.items():
        for kept, given in zip(drawn, slots, strict=True):
            kept.update({f"{name}/{slot}": what for slot, what in given.items()})
    weights, specs, widths = drawn
    given = {**layer.options, **edge, **maps}
    kind = "table_linformer" if positions else "table_attention"
    return LayerCase((Layer(kind, given, specs, weights, widths, inputs=layer.inputs),), shape, case.inputs)


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "table-attention": _tables,
    "table-attention-normalised": partial(_tables, shape=(2, 2), batch_norm=True, causal=True, count=1),
    "table-attention-one-of-two-axes": partial(_tables, shape=(2, 2, 2), key=1, value=1, attention_axes=(1,), count=2),
    "table-linformer": partial(_tables, positions=(2,)),
    "table-linformer-shared": partial(_tables, positions=(2,), shared=True, table_idxs=(5, 3), n_hl=2),
    "table-linformer-fused-shared": partial(_tables, positions=(2,), count=1, fuse="qkv", shared=True, batch_norm=True),
    "table-linformer-one-of-two-axes": partial(
        _tables, shape=(2, 3, 2), positions=(2,), key=1, value=1, attention_axes=(0,), count=2, fuse="kv"
    ),
    "table-linformer-kernel": partial(_tables, positions=(2,), maps="kernel", count=1, fuse="qkv", stable=False),
}


def _declared(layer: Layer) -> Declaration:
    options, of_tables = layer.options, layer.options.get("maps") != "kernel"
    project = SequenceProjection(options["positions"], options["shared"], of_tables) if "positions" in options else None
    return MultiHeadAttention(
        options["heads"],
        options["key_dim"],
        options["value_dim"],
        attention_axes=options.get("attention_axes"),
        fuse=options.get("fuse", "none"),
        stable=options.get("stable", True),
        causal=options.get("causal", False),
        project=project,
        network=network(layer),
        table_idxs=options.get("table_idxs", (6, 5)),
    )


KINDS: dict[str, Callable[[Layer], Declaration]] = {"table_attention": _declared, "table_linformer": _declared}
