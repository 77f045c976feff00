"""Each model of the table built once, for all cases that only look at it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hgq_core.conformance import oracle
from hgq_core.conformance.backend import Backend, Model
from hgq_core.conformance.cases_layers import LayerCase, case
from hgq_core.graph import Graph

__all__ = ["Built", "Shelf"]


@dataclass
class Built:
    """A model in the state in which it was built, its inference changes nothing.

    Attributes:
        case: what it was built from.
        model: the implementation's model.
        first_ebops: its EBOPs before it was called.
    """

    case: LayerCase
    model: Model
    first_ebops: float

    @cached_property
    def output(self) -> NDArray[np.float64]:
        """The model's output at inference."""
        return np.asarray(self.model.forward(*self.case.inputs))

    @cached_property
    def graph(self) -> Graph:
        """The exported graph."""
        return self.model.to_graph()

    @cached_property
    def expected(self) -> NDArray[np.object_]:
        """The output by definition."""
        return oracle.forward(self.case.layers, self.case.inputs)


class Shelf:
    """The models of one backend, each built when it is first asked for."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[str, Built] = {}

    def __getitem__(self, name: str) -> Built:
        if name not in self._known:
            chosen = case(name)
            model = self._backend.model(chosen.layers, chosen.input_shape)
            self._known[name] = Built(chosen, model, model.ebops())
        return self._known[name]
