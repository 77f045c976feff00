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

__all__ = ["Call", "Key", "Tensor", "Wiring", "wiring"]

Key = tuple[str, int, int]
"""A tensor: the layer that makes it, which call of that layer, and which of the call's results."""


@dataclass(frozen=True)
class Tensor:
    """Where a tensor stood among the arguments of a call."""

    key: Key
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of an operation on tensors, in a model.

    Attributes:
        layer: the layer or operation.
        number: which of its calls.
        operands: the tensors and arrays that it reads, in order.
        training: whether it is called with ``training=True``.
        masked: whether a mask is handed over.
        args, kwargs: of an operation, all that it is called with; a `Tensor` for each tensor.
    """

    layer: Any
    number: int
    operands: tuple[Key | NDArray[Any], ...]
    training: bool
    masked: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

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
        _call(operations[entry["name"]], number, call)
        for entry in config["layers"]
        for number, call in enumerate(entry["inbound_nodes"])
    ]
    outputs = [_output(operations[name], number, index) for name, number, index in _keys(config["output_layers"])]
    return Wiring(_keys(config["input_layers"]), outputs, calls)


def _call(layer: Any, number: int, call: dict[str, Any]) -> Call:
    given: dict[str, Any] = call["kwargs"]
    args, kwargs = ((), {}) if isinstance(layer, keras.Layer) else (_argument(call["args"]), _argument(given))
    training, masked = bool(given.get("training")), given.get("mask") is not None
    return Call(layer, number, _operands(layer, call), training, masked, tuple(args), kwargs)


def _argument(item: Any) -> Any:
    """An argument of an operation as the user wrote it."""
    if isinstance(item, list | tuple):
        return type(item)(_argument(part) for part in item)
    if not isinstance(item, dict):
        return item
    kind, config = item.get("class_name"), item.get("config", {})
    if kind is None:
        return {name: _argument(part) for name, part in item.items()}
    if kind == "__keras_tensor__":
        return Tensor(_keys(config["keras_history"])[0], tuple(config["shape"]), config["dtype"])
    if kind in ("__tensor__", "__numpy__"):
        return np.asarray(config["value"], dtype=config["dtype"])
    return keras.saving.deserialize_keras_object(item)


def _is_functional(layer: Any) -> bool:
    return isinstance(layer, keras.Model) and hasattr(layer, "operations")


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
