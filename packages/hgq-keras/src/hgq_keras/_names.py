"""The quantized layers of a model under the names that the Graph gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers._base import QLayer
from hgq_keras.layers._walk import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

__all__ = ["named_layers"]


def named_layers(model: keras.Layer) -> list[tuple[str, QLayer | Quantizer]]:
    """Every quantized layer, and every quantizer that is a layer of its own, by name; one inside is ``outer/inner``.

    A layer that two others hold is named by each.
    """
    inside = list(_named(model, "", frozenset()))
    if isinstance(model, QLayer | Quantizer):
        return [(model.name, model), *((f"{model.name}/{name}", layer) for name, layer in inside)]
    return inside


def _named(outer: keras.Layer, prefix: str, entered: frozenset[int]) -> Iterator[tuple[str, QLayer | Quantizer]]:
    """The layers inside, with the names of those around them; a layer may hold itself."""
    for layer in children(outer):
        name = f"{prefix}{layer.name}"
        if isinstance(layer, QLayer) or (isinstance(layer, Quantizer) and not isinstance(outer, QLayer)):
            yield name, layer
        if not isinstance(layer, Quantizer) and id(layer) not in entered:
            yield from _named(layer, f"{name}/", entered | {id(layer)})
