"""Backends whose models are wrong in one place each: their layers, graphs, costs, files or scopes."""

from __future__ import annotations

from contextvars import Context
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer, Mode, Model
from hgq_core.conformance.numpy_backend import NumpyBackend, NumpyModel
from hgq_core.cost import ebops
from hgq_core.formats import Formats
from hgq_core.graph import Graph, Node, run
from hgq_core.graph import ops as op

__all__ = [
    "ForgottenScope",
    "KeptTooLong",
    "WrongBiasCost",
    "WrongFormat",
    "WrongPadding",
    "WrongRelu",
    "WrongSavedSign",
    "WrongSavedTable",
]

Array = np.ndarray


class _ChangedModel(NumpyModel):
    """A model whose graph is changed node by node."""

    def to_graph(self) -> Graph:
        graph = super().to_graph()
        return Graph(tuple(self.changed(node) for node in graph), graph.outputs, graph.uncalibrated)

    def changed(self, node: Node) -> Node:
        return node

    def forward(self, *inputs: Any, mode: Mode = Mode.INFER) -> Any:
        return run(self.to_graph(), *inputs)

    def ebops(self) -> float:
        return ebops(self.to_graph())


class _UnscaledBias(_ChangedModel):
    """The bias is not scaled by the parallelization factor."""

    def changed(self, node: Node) -> Node:
        factor = 1.0 if isinstance(node.op, op.Add) else node.ebops_factor
        return Node(node.name, node.op, node.inputs, node.shape, node.label, node.composite, factor)


class _DroppedRelu(_ChangedModel):
    """A clip to negative values in place of every relu."""

    def changed(self, node: Node) -> Node:
        operation = op.Clip(-1000.0, 1000.0) if isinstance(node.op, op.Relu) else node.op
        return Node(node.name, operation, node.inputs, node.shape, node.label, node.composite, node.ebops_factor)


class _CoarserInput(_ChangedModel):
    """Every data quantizer has one fraction bit less than the layer."""

    def changed(self, node: Node) -> Node:
        operation: Any = node.op
        if isinstance(operation, op.Quantize):
            formats = Formats.of(operation.formats.k, operation.formats.i, operation.formats.f - 1)
            operation = op.Quantize(formats, operation.round, operation.overflow)
        return Node(node.name, operation, node.inputs, node.shape, node.label, node.composite, node.ebops_factor)


class _ForgetfulOfSigns(NumpyModel):
    """Its file lacks the sign bits."""

    def saved(self) -> dict[str, Array]:
        return {name: value * 0 if name.endswith(":k") else value for name, value in super().saved().items()}


class _ForgetfulOfTables(NumpyModel):
    """Its file lacks the widths of what is inside of a layer."""

    def saved(self) -> dict[str, Array]:
        return {name: np.ones_like(value) if "/" in name else value for name, value in super().saved().items()}


class _ModelBackend(NumpyBackend):
    model_class: type[NumpyModel] = NumpyModel

    def model(self, layers: Any, input_shape: tuple[int, ...]) -> Model:
        return self.model_class(layers, input_shape, self.quantizer_class)


class WrongBiasCost(_ModelBackend):
    model_class = _UnscaledBias


class WrongRelu(_ModelBackend):
    model_class = _DroppedRelu


class WrongSavedSign(_ModelBackend):
    model_class = _ForgetfulOfSigns


class WrongSavedTable(_ModelBackend):
    model_class = _ForgetfulOfTables


class WrongFormat(_ModelBackend):
    model_class = _CoarserInput


class _Remembering(NumpyModel):
    """Gives what it gave the first time."""

    first: Any = None

    def forward(self, *inputs: Any, mode: Mode = Mode.INFER) -> Any:
        if self.first is None:
            self.first = super().forward(*inputs, mode=mode)
        return self.first


class KeptTooLong(_ModelBackend):
    model_class = _Remembering


class ForgottenScope(NumpyBackend):
    """Takes defaults as they are outside of every scope."""

    def model(self, layers: Any, input_shape: tuple[int, ...]) -> Model:
        return Context().run(super().model, layers, input_shape)


class WrongPadding(NumpyBackend):
    """Takes ``same`` for ``valid``."""

    def model(self, layers: Any, input_shape: tuple[int, ...]) -> Model:
        changed = [Layer(x.kind, {**x.options, "padding": "valid"}, x.quantizers, x.weights, x.widths) for x in layers]
        return super().model(changed, input_shape)
