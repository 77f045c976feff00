"""Every layer inside a model once, also those that a layer of the user's holds in lists, tuples, sets or dicts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

__all__ = ["children", "walk"]


def walk(model: keras.Layer, inside: Callable[[keras.Layer], Sequence[keras.Layer]]) -> Iterator[keras.Layer]:
    """A layer and all that ``inside`` finds in it, depth first, each once."""
    stack: list[keras.Layer] = [model]
    seen: set[int] = set()
    while stack:
        layer = stack.pop()
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer
            stack.extend(reversed(inside(layer)))


def children(layer: keras.Layer) -> list[keras.Layer]:
    """The layers directly inside a model, or inside a layer that wraps others or holds them in a collection."""
    if isinstance(layer, keras.Model):
        return list(layer.layers)
    found = list(_layers_in(list(vars(layer).values()), set()))
    # On PyTorch a layer is a module, which keeps layers apart from its other attributes.
    modules = layer.children() if hasattr(layer, "children") else ()
    return found + [part for part in modules if isinstance(part, keras.Layer)]


def _layers_in(value: Any, seen: set[int]) -> Iterator[keras.Layer]:
    """The layers in nested collections; ``seen`` are those that have been entered, since one may hold itself."""
    if isinstance(value, keras.Layer):
        yield value
    elif isinstance(value, list | tuple | set | frozenset | Mapping) and id(value) not in seen:
        seen.add(id(value))
        parts: Collection[Any] = list(value.values()) if isinstance(value, Mapping) else list(value)
        for part in parts:
            yield from _layers_in(part, seen)
