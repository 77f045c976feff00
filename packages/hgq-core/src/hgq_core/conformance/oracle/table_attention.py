"""Attention whose projections are sums of tables, by its definition: data brought to edges, then as attention."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle import attention, table
from hgq_core.conformance.oracle.tensors import Array, quantized

__all__ = ["ebops", "values"]


def _part(layer: Layer, name: str) -> Layer:
    """A projection as a layer of its own."""
    own = f"{name}/"

    def inside(given: Mapping[str, Any]) -> dict[str, Any]:
        return {slot.removeprefix(own): what for slot, what in given.items() if slot.startswith(own)}

    quantizers, weights, widths = inside(layer.quantizers), inside(layer.weights), inside(layer.widths)
    return Layer("table_edges", layer.options, quantizers, weights, widths)


def _heads(layer: Layer, name: str) -> tuple[int, int]:
    return layer.options["heads"], layer.options["value_dim" if name in ("value", "output") else "key_dim"]


def _repeated(x: Array, rows: int, sizes: tuple[int, ...]) -> Array:
    """Data with new axes of these sizes behind so many others."""
    wider = x.reshape(*x.shape[:rows], *(1,) * len(sizes), *x.shape[rows:])
    return np.asarray(np.broadcast_to(wider, (*x.shape[:rows], *sizes, *x.shape[rows:])))


def _axes(layer: Layer, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions that attend, and the others."""
    attended = tuple(layer.options.get("attention_axes", range(rank)))
    return attended, tuple(axis for axis in range(rank) if axis not in attended)


def _to_map(layer: Layer, x: Array) -> tuple[Array, int]:
    """Data at the edges of a map: other positions, features, positions behind, positions before."""
    attended, others = _axes(layer, x.ndim - 2)
    moved = x.transpose(0, *(axis + 1 for axis in others), x.ndim - 1, *(axis + 1 for axis in attended))
    return _repeated(moved, 2 + len(others), tuple(layer.options["positions"])), len(attended)


def _from_map(layer: Layer, y: Array) -> Array:
    """The sums of a map with positions in order, features at the end."""
    rank = y.ndim - 2
    attended, others = _axes(layer, rank)
    place = {axis: 1 + n for n, axis in enumerate(others)} | {a: 2 + len(others) + n for n, a in enumerate(attended)}
    return y.transpose(0, *(place[axis] for axis in range(rank)), 1 + len(others))


def _fewer(layer: Layer, value: Array, key: Array) -> tuple[Array, Array]:
    """Value and key at fewer positions."""

    def mapped(name: str, x: Array) -> Array:
        data, summed = _to_map(layer, x)
        return _from_map(layer, table.sums(_part(layer, name), data, summed))

    if not layer.options["shared"]:
        return mapped("value_proj", value), mapped("key_proj", key)
    if layer.options.get("fuse", "none") != "none":
        both = mapped("kv_proj", value)
        return both, both
    both = mapped("kv_proj", np.concatenate([value, key], axis=-1))
    return both[..., : value.shape[-1]], both[..., value.shape[-1] :]


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Projections, products, weights, sums, and their projection."""
    given, rank = attention.inputs_of(inputs), inputs[0].ndim - 2
    if layer.options.get("maps") == "kernel":
        given |= attention.fewer(layer, given, rank)
    elif "positions" in layer.options:
        given["value"], given["key"] = _fewer(layer, given["value"], given["key"])
    parts = {}
    for name in ("query", "key", "value"):
        y = table.sums(_part(layer, name), _repeated(given[name], rank + 1, _heads(layer, name)), 1)
        parts[name] = quantized(layer, f"{name}/oq", y)
    heads = attention.attended(layer, parts)
    return table.sums(_part(layer, "output"), _repeated(heads, rank + 1, inputs[0].shape[-1:]), 2)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output; query, key and value have the same shape."""
    *positions, features = shape
    attended, others = _axes(layer, len(positions))
    total, options = Fraction(0), layer.options
    fewer = tuple(positions)
    if "positions" in options:
        sizes = dict(zip(attended, options["positions"], strict=True))
        fewer = tuple(sizes.get(axis, n) for axis, n in enumerate(positions))
        ends: Any = (*options["positions"], *(positions[axis] for axis in attended))
        rows = tuple(positions[axis] for axis in others)
        if options.get("maps") == "kernel":
            total += attention.cost_of_maps(layer, shape)
        elif not options["shared"]:
            full = (*rows, features, *ends)
            total += sum(table.cost(_part(layer, f"{n}_proj"), full, len(attended)) for n in ("value", "key"))
        else:
            both = features if options.get("fuse", "none") != "none" else 2 * features
            total += table.cost(_part(layer, "kv_proj"), (*rows, both, *ends), len(attended))
    for name in ("query", "key", "value"):
        own = tuple(positions) if name == "query" else fewer
        total += table.cost(_part(layer, name), (*own, *_heads(layer, name), features), 1)
    total += attention.cost_of_attending(layer, (*positions, *_heads(layer, "query")), fewer)
    total += table.cost(_part(layer, "output"), (*positions, features, *_heads(layer, "output")), 2)
    return total, (*positions, features)
