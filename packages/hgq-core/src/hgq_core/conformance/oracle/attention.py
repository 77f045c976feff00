"""Attention by its definition: sums of products, one by one, and softmax row by row."""

from __future__ import annotations

from fractions import Fraction
from math import prod, sqrt
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle import softmax
from hgq_core.conformance.oracle.merge import contracted
from hgq_core.conformance.oracle.tensors import Array, bits_of, quantized

__all__ = ["attended", "cost_of_attending", "cost_of_maps", "ebops", "fewer", "inputs_of", "values"]


class _Terms:
    """Letters of the equations: c the batch, positions of queries and of keys, h heads, k and v what heads hold."""

    def __init__(self, layer: Layer, rank: int) -> None:
        attended = layer.options.get("attention_axes", tuple(range(rank)))
        self.query = "ij"[:rank]
        self.key = "".join("mn"[axis] if axis in attended else "ij"[axis] for axis in range(rank))
        others = "".join(self.query[axis] for axis in range(rank) if axis not in attended)
        ends = [terms[axis] for terms in (self.query, self.key) for axis in attended]
        self.scores = f"{others}h{''.join(ends)}"
        self.number = len(attended)
        self.map = "".join([self.query[axis] for axis in attended] + [self.key[axis] for axis in attended])


def _softmax(layer: Layer, scores: tuple[int, ...], number: int) -> tuple[Layer, tuple[int, ...]]:
    """The softmax inside as a layer of its own, over one flat axis of keys, and the shape that it sees."""
    flat = (*scores[:-number], prod(scores[-number:]))
    mask = np.ones(scores, bool)
    if layer.options.get("causal"):
        mask = np.array([[[s <= t for s in range(scores[2])] for t in range(scores[1])]] * scores[0])
    if "mask" in layer.options:
        mask = mask & np.broadcast_to(layer.options["mask"], scores)
    own = [name for name in layer.quantizers if name.startswith("softmax/")]
    widths: dict[str, Any] = {}
    for name in own:
        stored = layer.widths[name]
        widths[name.removeprefix("softmax/")] = {
            w: np.broadcast_to(v, (1, *scores)).reshape(1, *flat) if name == "softmax/iq" else v
            for w, v in stored.items()
        }
    options = {"input_scaler": 1 / sqrt(layer.options["key_dim"]), "stable": layer.options.get("stable", True)}
    quantizers = {name.removeprefix("softmax/"): layer.quantizers[name] for name in own}
    return Layer("softmax", {**options, "mask": mask.reshape(flat)}, quantizers, {}, widths), flat


def _source(layer: Layer, name: str) -> str:
    """The part whose input quantizer this one reads through."""
    if f"{name}/iq" in layer.quantizers:
        return name
    fused = {"none": (), "kv": ("key",), "qkv": ("key", "query")}[layer.options.get("fuse", "none")]
    return "value" if name in fused else name


def inputs_of(inputs: list[Any]) -> dict[str, Any]:
    """Query, value and key; what is not given is the one before."""
    names = ("query", "value", "key")
    return {name: inputs[min(n, len(inputs) - 1)] for n, name in enumerate(names)}


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Projections, products, weights, sums, and their projection."""
    given, rank = inputs_of(inputs), inputs[0].ndim - 2
    terms = _Terms(layer, rank)
    if "positions" in layer.options:
        given |= fewer(layer, given, rank)
    parts = {}
    for name, last in (("query", "k"), ("key", "k"), ("value", "v")):
        mapped = "positions" in layer.options and name == "query"
        x = quantized(layer, _map_input(layer, name) if mapped else f"{_source(layer, name)}/iq", given[name])
        kernel = quantized(layer, f"{name}/kq", _exact(layer.weights[f"{name}/kernel"]))
        y = contracted(f"c{terms.query}x,xh{last}->c{terms.query}h{last}", x, kernel)
        if f"{name}/bias" in layer.weights:
            y = y + quantized(layer, f"{name}/bq", _exact(layer.weights[f"{name}/bias"]))
        parts[name] = quantized(layer, f"{name}/oq", y)
    heads = attended(layer, parts)
    kernel = quantized(layer, "output/kq", _exact(layer.weights["output/kernel"]))
    y = contracted(f"c{terms.query}hv,hvo->c{terms.query}o", quantized(layer, "output/iq", heads), kernel)
    return np.asarray(y + quantized(layer, "output/bq", _exact(layer.weights["output/bias"])))


def attended(layer: Layer, parts: dict[str, Any]) -> Array:
    """The sums of values, in heads: products of queries and keys, softmax, products with the values."""
    terms = _Terms(layer, parts["query"].ndim - 3)
    scores = contracted(f"c{terms.query}hk,c{terms.key}hk->c{terms.scores}", parts["query"], parts["key"])
    inner, flat = _softmax(layer, scores.shape[1:], terms.number)
    scores = quantized(layer, "softmax/iq", scores)
    weights = softmax.values(inner, [scores.reshape(len(scores), *flat)]).reshape(scores.shape)
    weights = quantized(layer, "softmax/oq", weights)
    return contracted(f"c{terms.scores},c{terms.key}hv->c{terms.query}hv", weights, parts["value"])


def _map(layer: Layer, name: str) -> str:
    """The map of positions of key or value."""
    return "kv_proj" if layer.options["shared"] else f"{name}_proj"


def _map_input(layer: Layer, name: str) -> str:
    """The quantizer that a map, or a fused query, reads through."""
    if name == "query":
        return "value_proj/iq" if layer.options.get("fuse") == "qkv" else "query/iq"
    return f"{name}_proj/iq" if f"{name}_proj/iq" in layer.quantizers else "value_proj/iq"


def fewer(layer: Layer, given: dict[str, Any], rank: int) -> dict[str, Any]:
    """Key and value at fewer positions: those of keys, in the letters of `_Terms`."""
    terms, result = _Terms(layer, rank), {}
    for name in ("key", "value"):
        kernel = quantized(layer, f"{_map(layer, name)}/kq", _exact(layer.weights[f"{_map(layer, name)}/kernel"]))
        x = quantized(layer, _map_input(layer, name), given[name])
        result[name] = contracted(f"c{terms.query}x,{terms.map}->c{terms.key}x", x, kernel)
    return result


def _exact(weight: Array) -> Array:
    return np.asarray(np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(weight))


def _product(equation: str, a: Array, b: Array) -> tuple[Fraction, tuple[int, ...]]:
    """The sum of the products of widths, and the shape of what they belong to."""
    whole = [np.vectorize(Fraction, otypes=[object])(x) for x in (a, b)]
    result = contracted(equation, *whole)
    return Fraction(result.sum()), result.shape


def cost_of_maps(layer: Layer, shape: tuple[int, ...]) -> Fraction:
    """EBOPs of the maps of positions."""
    terms, total = _Terms(layer, len(shape) - 1), Fraction(0)
    once = layer.options["shared"] and layer.options.get("fuse", "none") != "none"
    for name in ("value",) if once else ("value", "key"):
        own = _map(layer, name)
        mapping = bits_of(layer, f"{own}/kq", layer.weights[f"{own}/kernel"].shape)
        data = bits_of(layer, _map_input(layer, name), shape)
        total += _product(f"{terms.query}x,{terms.map}->{terms.key}x", data, mapping)[0]
    return total


def cost_of_attending(layer: Layer, queries: tuple[int, ...], keys: tuple[int, ...]) -> Fraction:
    """EBOPs of the products of data and of softmax, for queries of this shape and keys at these positions."""
    rank, heads = len(queries) - 2, queries[-2]
    terms = _Terms(layer, rank)
    shapes = {"query": queries, "key": (*keys, *queries[-2:]), "value": (*keys, heads, layer.options["value_dim"])}
    bits = {name: bits_of(layer, f"{name}/oq", shape) for name, shape in shapes.items()}
    total, scores = _product(f"{terms.query}hk,{terms.key}hk->{terms.scores}", bits["query"], bits["key"])
    inner, flat = _softmax(layer, scores, terms.number)
    weights = bits_of(layer, "softmax/oq", scores)
    sums, _ = _product(f"{terms.scores},{terms.key}hv->{terms.query}hv", weights, bits["value"])
    return total + softmax.ebops(inner, flat)[0] + sums


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output; query, key and value have the same shape."""
    *positions, features = shape
    terms, total, fewer_positions = _Terms(layer, len(positions)), Fraction(0), tuple(positions)
    sources = {name: f"{_source(layer, name)}/iq" for name in ("query", "key", "value")}
    if "positions" in layer.options:
        sources["query"] = _map_input(layer, "query")
        axes = layer.options.get("attention_axes", tuple(range(len(positions))))
        sizes = dict(zip(axes, layer.options["positions"], strict=True))
        fewer_positions = tuple(sizes.get(axis, n) for axis, n in enumerate(positions))
        total += cost_of_maps(layer, shape)
    queries: tuple[int, ...] = ()
    for name, last in (("query", "k"), ("key", "k"), ("value", "v")):
        own = tuple(positions) if name == "query" else fewer_positions
        kernel = layer.weights[f"{name}/kernel"].shape
        data = bits_of(layer, sources[name], (*own, features))
        equation = f"{terms.query}x,xh{last}->{terms.query}h{last}"
        cost, out = _product(equation, data, bits_of(layer, f"{name}/kq", kernel))
        if f"{name}/bias" in layer.weights:
            cost += int(bits_of(layer, f"{name}/bq", kernel[1:]).sum()) * prod(own)
        total += cost
        queries = queries or out
    total += cost_of_attending(layer, queries, fewer_positions)
    kernel = layer.weights["output/kernel"].shape
    data = bits_of(layer, "output/iq", (*positions, *kernel[:2]))
    cost, out = _product(f"{terms.query}hv,hvo->{terms.query}o", data, bits_of(layer, "output/kq", kernel))
    total += cost + int(bits_of(layer, "output/bq", kernel[2:]).sum()) * prod(positions)
    return total, out
