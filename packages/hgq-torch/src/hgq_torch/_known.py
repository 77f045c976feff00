"""Which tensors of a forward pass are which nodes of the Graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import UninitializedParameter

from hgq_core.errors import UnsupportedError
from hgq_core.graph import GraphBuilder
from hgq_core.graph import ops as op
from hgq_torch._operations import Recording

if TYPE_CHECKING:
    from torch import nn

__all__ = ["OUT_OF_PLACE", "KnownTensors", "tensors_in"]

OUT_OF_PLACE = "write it out of place (nn.ReLU(), torch.relu(h), h + k, torch.cat), or read the result instead"

Key = tuple[int, torch.dtype, tuple[int, ...], tuple[int, ...]]


def _key(x: Tensor) -> Key:
    """What memory the tensor shows, and how: two tensors with the same key have the same elements."""
    return (x.data_ptr(), x.dtype, tuple(x.shape), tuple(x.stride()))


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested sequences and mappings, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from tensors_in(part)


class KnownTensors(Recording):
    """Abstract: a tensor is known by the memory that it shows, so that views and statements in place are no matter.

    After ``h += k`` the memory of ``h`` holds the sum, whatever it is called. Other views of memory that was written
    are stale. Memory is kept while it is known, so that nothing else takes its place.
    """

    def __init__(self, root: nn.Module, batch: int) -> None:
        self.builder, self.batch, self.root = GraphBuilder(), batch, root
        self.places: dict[str, str] = {}
        self._label = ""
        self._names: dict[Key, str] = {}
        self._stale: dict[Key, str] = {}
        self._in_parts: dict[Key, str] = {}
        self._alive: list[Tensor] = []
        self._storages: dict[int, set[Key]] = {}
        # What still waits for its shape is not reached by this forward pass, and has no memory.
        made = (p for p in root.parameters() if not isinstance(p, UninitializedParameter))
        self._weights = {p.untyped_storage().data_ptr() for p in made}

    def knows(self, x: Tensor) -> bool:
        """Whether the tensor comes from the input."""
        return _key(x) in self._names or _key(x) in self._stale

    def know(self, x: Tensor, name: str, place: str = "") -> None:
        """The tensor is what this node gives; raises UnsupportedError where the batch is not on axis 0."""
        if not x.shape or x.shape[0] != self.batch or tuple(x.shape[1:]) != self.builder.shape(name):
            message = (
                f"{place} gives shape {tuple(x.shape)} for a batch of {self.batch}; expected the batch on axis 0, "
                f"{(self.batch, *self.builder.shape(name))}: a graph has one batch axis, which nothing moves or sums"
            )
            raise UnsupportedError(message)
        key = _key(x)
        self._names[key] = name
        self._stale.pop(key, None)
        self._alive.append(x)
        self._storages.setdefault(x.untyped_storage().data_ptr(), set()).add(key)
        self.places.setdefault(name, place)

    def know_in_parts(self, tensors: Sequence[Tensor], place: str) -> None:
        """Of these tensors each part along axis 0 is known, and not the whole, whose batch is on axis 1."""
        for x in tensors:
            self._alive.append(x)
            self._in_parts[_key(x)] = (
                f"reads states of {place} as one tensor of shape {tuple(x.shape)}, whose batch is on axis 1; take one "
                "of them, states[0] or states[-1]"
            )

    def overwritten(self, x: Tensor, kind: str) -> None:
        """Everything that shows the memory of x is stale."""
        for key in self._storages.pop(x.untyped_storage().data_ptr(), ()):
            name = self._names.pop(key, "")
            if name:
                self._stale[key] = f"{self.place(kind)} works in place and overwrites {name!r}"

    def name(self, x: Any, reader: str = "") -> str:
        """The node of a tensor; raises UnsupportedError where there is none."""
        key = _key(x)
        if key in self._names:
            return self._names[key]
        reader = reader or self.place(self._label)
        if key in self._stale:
            message = (
                f"{self._stale[key]}, which {reader} reads afterwards through another view; a graph has values and no "
                f"memory: {OUT_OF_PLACE}"
            )
            raise UnsupportedError(message)
        if key in self._in_parts:
            raise UnsupportedError(f"{reader} {self._in_parts[key]}")
        message = (
            f"{reader} reads a tensor of shape {tuple(x.shape)} that does not come from the input; "
            "constants can be added, subtracted, multiplied and compared only"
        )
        raise UnsupportedError(message)

    def operand(self, x: Any, like: Tensor) -> str:
        """The node of an operand that may be a number or a constant tensor, in the type of the result."""
        if isinstance(x, Tensor) and self.knows(x):
            return self.name(x)
        if isinstance(x, Tensor) and self.is_weight(x):
            message = (
                f"{self.place(self._label)} uses a parameter that no quantizer has given a format; put it into a "
                "quantized layer, or pass it through a hgq_torch.Quantizer"
            )
            raise UnsupportedError(message)
        values = torch.as_tensor(x, dtype=like.dtype if like.is_floating_point() else torch.float64)
        if values.ndim == like.ndim:
            values = self._one_row(values)
        elif not values.ndim:
            values = values.view((1,) * min(1, like.ndim - 1))
        array = values.detach().double().cpu().numpy()
        if not np.isfinite(array).all():
            message = f"{self.place(self._label)} uses a constant that contains NaN or infinity; expected numbers"
            raise UnsupportedError(message)
        return self.builder.add(op.Constant.of(array), label=self._label)

    def _one_row(self, values: Tensor) -> Tensor:
        if not bool((values == values[:1]).all()):
            message = f"{self.place(self._label)} uses a constant that differs along the batch; expected the same"
            raise UnsupportedError(message)
        return values[0]

    def is_weight(self, x: Tensor) -> bool:
        """Whether the tensor is a parameter, or computed from parameters alone."""
        return x.untyped_storage().data_ptr() in self._weights

    def taint(self, result: Any) -> None:
        """The result was computed from parameters."""
        for x in tensors_in(result):
            self._alive.append(x)
            self._weights.add(x.untyped_storage().data_ptr())
