"""How a functional model is wired, read from its configuration: Keras' public description of a topology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Call", "Key", "Wiring", "wiring"]

Key = tuple[str, int, int]
"""A tensor: the layer that makes it, which call of that layer, and which of the call's results."""


@dataclass(frozen=True)
class Call:
    """One call of a layer in a model."""

    layer: Any
    number: int
    operands: tuple[Key | NDArray[Any], ...]
    training: bool

    @property
    def reads(self) -> list[Key]:
        """The tensors among the operands."""
        return [operand for operand in self.operands if isinstance(operand, tuple)]


@dataclass(frozen=True)
class Wiring:
    """A model's tensors, in the order of ``model.inputs`` and ``model.outputs``, and its calls."""

    inputs: list[Key]
    outputs: list[Key]
    calls: list[Call]


def wiring(model: keras.Model) -> Wiring | None:
    """The wiring of a functional model; None for a model without a topology."""
    config = model.get_config() if _is_functional(model) else {}
    if "input_layers" not in config:
        return None
    operations = {operation.name: operation for operation in model.operations}
    calls = [
        Call(operations[entry["name"]], number, _operands(operations[entry["name"]], call), _trains(call))
        for entry in config["layers"]
        for number, call in enumerate(entry["inbound_nodes"])
    ]
    outputs = [_output(operations[name], number, index) for name, number, index in _keys(config["output_layers"])]
    return Wiring(_keys(config["input_layers"]), outputs, calls)


def _is_functional(layer: Any) -> bool:
    return isinstance(layer, keras.Model) and hasattr(layer, "operations")


def _trains(call: dict[str, Any]) -> bool:
    return bool(call["kwargs"].get("training"))


def _output(layer: Any, number: int, index: int) -> Key:
    """Among the outputs, and only there, Keras counts the calls of a nested functional model from 1."""
    return layer.name, number - 1 if _is_functional(layer) else number, index


def _keys(structure: Any) -> list[Key]:
    """All ``[layer, call, result]`` triples of a nested structure in Keras' own order, in which dicts are sorted."""
    flat = keras.tree.flatten(structure)
    return [(flat[n], int(flat[n + 1]), int(flat[n + 2])) for n in range(0, len(flat), 3)]


def _operands(layer: Any, call: dict[str, Any]) -> tuple[Key | NDArray[Any], ...]:
    """What a call reads, in order; masks are left out, since no exported layer reads them."""
    named = [value for name, value in call["kwargs"].items() if name not in ("mask", "training")]
    return tuple(operand for item in (*call["args"], *named) for operand in _flat(item, layer))


def _flat(item: Any, layer: Any) -> Iterator[Key | NDArray[Any]]:
    if isinstance(item, list | tuple):
        for part in item:
            yield from _flat(part, layer)
    elif isinstance(item, dict):
        kind = item.get("class_name")
        if kind == "__keras_tensor__":
            yield from _keys(item["config"]["keras_history"])
        elif kind in ("__tensor__", "__numpy__"):
            yield np.asarray(item["config"]["value"], dtype=item["config"]["dtype"])
        elif kind is None:
            for name in _names(layer, item):
                yield from _flat(item[name], layer)


def _names(layer: Any, given: dict[str, Any]) -> list[str]:
    """The names of a dict in the order of the inputs of the nested model that is called with it."""
    if not _is_functional(layer):
        return sorted(given)
    declared = layer.get_config().get("input_layers")
    names = sorted(declared) if isinstance(declared, dict) else [tensor.name for tensor in layer.inputs]
    if not set(names) <= set(given):
        message = (
            f"model {layer.name!r}: it is called with a dict of {sorted(given)}, expected {names}, the names of its "
            "inputs; call it with those, or with a list"
        )
        raise UnsupportedError(message)
    return names
