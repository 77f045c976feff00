"""Layers of several tensors by their definition."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import ADD, Array, bits_of

__all__ = ["contracted", "ebops", "power_of_two", "values"]


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Element by element, or along axes."""
    return np.stack([_row(layer, [x[n] for x in inputs]) for n in range(len(inputs[0]))])


def _row(layer: Layer, parts: list[Array]) -> Array:
    options, kind = layer.options, layer.kind
    if kind == "concatenate":
        return np.concatenate(parts, axis=options["axis"])
    if kind in ("dot", "einsum"):
        return contracted(_equation(layer, parts[0].ndim), *parts)
    first, *others = parts
    result = first.copy()
    for other in others:
        for at in np.ndindex(first.shape):
            a, b = result[at], other[at]
            result[at] = {
                "add": a + b, "average_pow2": a + b, "subtract": a - b, "multiply": a * b,
                "maximum": max(a, b), "minimum": min(a, b),
            }[kind]  # fmt: skip
    return np.asarray(result * power_of_two(len(parts)) if kind == "average_pow2" else result)


def power_of_two(number: int) -> Fraction:
    """The power of two that is next to ``1 / number`` in its logarithm."""
    exponent = 0
    while number**2 > 2 ** (2 * exponent + 1):
        exponent += 1
    return Fraction(1, 2**exponent)


def _equation(layer: Layer, rank: int) -> str:
    """The equation without the batch axis."""
    if layer.kind == "einsum":
        named = layer.options["equation"].partition(",")[0].replace("...", "").strip()
        equation = layer.options["equation"].replace("...", "XYZ"[: rank + 1 - len(named)])
        return "".join(c for c in equation if c not in " b")
    first, second = "ij"[:rank], "kl"[:rank]
    i, k = layer.options["axes"]
    second = second[:k] + first[i] + second[k + 1 :]
    kept = first[:i] + first[i + 1 :] + second[:k] + second[k + 1 :]
    return f"{first},{second}->{kept}"


def contracted(equation: str, a: Array, b: Array) -> Array:
    """The sum of products, one by one; a number has shape (1,), as the dot product of two vectors in Keras."""
    inputs, output = equation.split("->")
    terms = inputs.split(",")
    sizes = {c: n for term, x in zip(terms, (a, b), strict=True) for c, n in zip(term, x.shape, strict=True)}
    result = np.full([sizes[c] for c in output], Fraction(0), dtype=object)
    for numbers in product(*(range(n) for n in sizes.values())):
        at = dict(zip(sizes, numbers, strict=True))
        one, other = (x[tuple(at[c] for c in term)] for x, term in zip((a, b), terms, strict=True))
        result[tuple(at[c] for c in output)] += one * other
    return result if result.ndim else result.reshape(1)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output; all operands have the same widths, so that each is a smallest one."""
    bits = bits_of(layer, "iq", shape)
    others = len(layer.inputs or (0, 0)) - 1
    if layer.kind == "concatenate":
        return Fraction(0), np.concatenate([bits] * (others + 1), axis=layer.options["axis"]).shape
    if layer.kind in ("dot", "einsum"):
        whole = np.vectorize(Fraction, otypes=[object])(bits)
        products = contracted(_equation(layer, len(shape)), whole, whole)
        return Fraction(products.sum()), products.shape
    if layer.kind == "multiply":
        return Fraction(int((bits.astype(object) ** (others + 1)).sum())), shape
    price = Fraction(1) if layer.kind in ("maximum", "minimum") else ADD
    return price * others * int(bits.sum()), shape
