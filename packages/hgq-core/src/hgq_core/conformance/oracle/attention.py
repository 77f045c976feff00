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

__all__ = ["ebops", "values"]


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


def _inputs(inputs: list[Any]) -> dict[str, Any]:
    """Query, value and key; what is not given is the one before."""
    names = ("query", "value", "key")
    return {name: inputs[min(n, len(inputs) - 1)] for n, name in enumerate(names)}


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Projections, products, weights, sums, and their projection."""
    given, rank = _inputs(inputs), inputs[0].ndim - 2
    terms = _Terms(layer, rank)
    if "positions" in layer.options:
        given = _fewer(layer, given, terms)
    parts = {}
    for name, last in (("query", "k"), ("key", "k"), ("value", "v")):
        x = given[name]
        if "positions" not in layer.options or name != "query":
            x = quantized(layer, f"{_source(layer, name)}/iq", x)
        kernel = quantized(layer, f"{name}/kq", _exact(layer.weights[f"{name}/kernel"]))
        y = contracted(f"c{terms.query}x,xh{last}->c{terms.query}h{last}", x, kernel)
        if f"{name}/bias" in layer.weights:
            y = y + quantized(layer, f"{name}/bq", _exact(layer.weights[f"{name}/bias"]))
        parts[name] = quantized(layer, f"{name}/oq", y)
    scores = contracted(f"c{terms.query}hk,c{terms.key}hk->c{terms.scores}", parts["query"], parts["key"])
    inner, flat = _softmax(layer, scores.shape[1:], terms.number)
    scores = quantized(layer, "softmax/iq", scores)
    weights = softmax.values(inner, [scores.reshape(len(scores), *flat)]).reshape(scores.shape)
    weights = quantized(layer, "softmax/oq", weights)
    heads = contracted(f"c{terms.scores},c{terms.key}hv->c{terms.query}hv", weights, parts["value"])
    kernel = quantized(layer, "output/kq", _exact(layer.weights["output/kernel"]))
    y = contracted(f"c{terms.query}hv,hvo->c{terms.query}o", quantized(layer, "output/iq", heads), kernel)
    return np.asarray(y + quantized(layer, "output/bq", _exact(layer.weights["output/bias"])))


def _map(layer: Layer, name: str) -> str:
    """The map of positions of key or value."""
    return "kv_proj" if layer.options["shared"] else f"{name}_proj"


def _map_input(layer: Layer, name: str) -> str:
    """The quantizer that a map, or a fused query, reads through."""
    if name == "query":
        return "value_proj/iq" if layer.options.get("fuse") == "qkv" else "query/iq"
    return f"{name}_proj/iq" if f"{name}_proj/iq" in layer.quantizers else "value_proj/iq"


def _fewer(layer: Layer, given: dict[str, Any], terms: _Terms) -> dict[str, Any]:
    """The query, quantized, and key and value at fewer positions: those of keys, in the letters of `_Terms`."""
    result = {"query": quantized(layer, _map_input(layer, "query"), given["query"])}
    for name in ("key", "value"):
        kernel = quantized(layer, f"{_map(layer, name)}/kq", _exact(layer.weights[f"{_map(layer, name)}/kernel"]))
        x = quantized(layer, _map_input(layer, name), given[name])
        result[name] = contracted(f"c{terms.query}x,{terms.map}->c{terms.key}x", x, kernel)
    return result


def _exact(weight: Array) -> Array:
    return np.asarray(np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(weight))


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output; query, key and value have the same shape."""
    *positions, _ = shape
    rank, total = len(positions), Fraction(0)
    terms = _Terms(layer, rank)

    def product(equation: str, a: Array, b: Array) -> tuple[Fraction, tuple[int, ...]]:
        whole = [np.vectorize(Fraction, otypes=[object])(x) for x in (a, b)]
        result = contracted(equation, *whole)
        return Fraction(result.sum()), result.shape

    bits, sources = {}, {name: f"{_source(layer, name)}/iq" for name in ("query", "key", "value")}
    shapes = dict.fromkeys(sources, shape)
    if "positions" in layer.options:
        sources["query"] = _map_input(layer, "query")
        once = layer.options["shared"] and layer.options.get("fuse", "none") != "none"
        for name in ("key", "value"):
            own = _map(layer, name)
            mapping = bits_of(layer, f"{own}/kq", layer.weights[f"{own}/kernel"].shape)
            data = bits_of(layer, _map_input(layer, name), shape)
            cost, shapes[name] = product(f"{terms.query}x,{terms.map}->{terms.key}x", data, mapping)
            total += Fraction(0) if once and name == "key" else cost
    for name, last in (("query", "k"), ("key", "k"), ("value", "v")):
        kernel = layer.weights[f"{name}/kernel"].shape
        data = bits_of(layer, sources[name], shapes[name])
        equation = f"{terms.query}x,xh{last}->{terms.query}h{last}"
        cost, out = product(equation, data, bits_of(layer, f"{name}/kq", kernel))
        if f"{name}/bias" in layer.weights:
            cost += int(bits_of(layer, f"{name}/bq", kernel[1:]).sum()) * prod(shapes[name][:-1])
        total += cost
        bits[name] = bits_of(layer, f"{name}/oq", out)
    cost, scores = product(f"{terms.query}hk,{terms.key}hk->{terms.scores}", bits["query"], bits["key"])
    inner, flat = _softmax(layer, scores, terms.number)
    total += cost + softmax.ebops(inner, flat)[0]
    weights = bits_of(layer, "softmax/oq", scores)
    cost, heads = product(f"{terms.scores},{terms.key}hv->{terms.query}hv", weights, bits["value"])
    total += cost
    kernel = layer.weights["output/kernel"].shape
    data = bits_of(layer, "output/iq", heads)
    cost, out = product(f"{terms.query}hv,hvo->{terms.query}o", data, bits_of(layer, "output/kq", kernel))
    total += cost + int(bits_of(layer, "output/bq", kernel[2:]).sum()) * prod(positions)
    return total, out
