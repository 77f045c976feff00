"""`to_graph`: a trained module becomes a Graph, the hand-over to everything after training."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from hgq_core.errors import ShapeError, UnsupportedError
from hgq_core.graph import Graph, GraphBuilder
from hgq_core.graph import ops as op
from hgq_torch import _nodes
from hgq_torch._dead import warn_if_dead
from hgq_torch._trace import Tracer, is_leaf, place_of, uncompiled
from hgq_torch.nn._base import QModule
from hgq_torch.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["to_graph"]

_PASS = (nn.Identity, nn.Dropout, nn.AlphaDropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_HINTS = {nn.Linear: "hgq_torch.nn.QLinear"}
_BINARY: dict[Any, type[Any]] = {
    operator.add: op.Add,
    operator.iadd: op.Add,
    torch.add: op.Add,
    "add": op.Add,
    "add_": op.Add,
    operator.sub: op.Subtract,
    operator.isub: op.Subtract,
    torch.sub: op.Subtract,
    "sub": op.Subtract,
    "sub_": op.Subtract,
    operator.mul: op.Multiply,
    operator.imul: op.Multiply,
    torch.mul: op.Multiply,
    "mul": op.Multiply,
    "mul_": op.Multiply,
    torch.maximum: op.Maximum,
    torch.minimum: op.Minimum,
    "maximum": op.Maximum,
    "minimum": op.Minimum,
}
_RELU: set[Any] = {torch.relu, torch.relu_, nn.functional.relu, "relu", "relu_"}
_RESHAPE: set[Any] = {torch.flatten, torch.reshape, "flatten", "reshape", "view", "unflatten", "unsqueeze", "squeeze"}
_CONCATENATE: set[Any] = {torch.cat, torch.concat, torch.concatenate}
# What PyTorch calls its operands.
_X, _OTHER, _PARTS, _AXIS = ("input", "x", "a", "x1"), ("other", "x2"), ("tensors",), ("dim", "axis")


def to_graph(model: nn.Module, example: Tensor | Sequence[Tensor]) -> Graph:
    """The model at inference as a Graph: ``run(to_graph(model, x), x) == model.eval()(x)``.

    Bit for bit wherever `hgq_core.graph.prove` says that float32 is exact. Between quantized layers, ReLU, flatten,
    reshape, concatenation and sums of two tensors are taken; dropout is left out. An operation in place is taken where
    what it overwrites is not read again, as in ``Sequential(QLinear(4, 4), ReLU(inplace=True))``.

    Args:
        model: a module of quantized layers; its forward pass must be traceable by `torch.fx`.
        example: one input ``(batch, ...)``, or several, for their shapes.

    Raises:
        UnsupportedError: a layer or an operation that is not quantized, or that no Graph node describes; a tensor that
            is read after it was overwritten.
        DataError: NaN or infinity in the weights.
        ShapeError: the model cannot take the example.

    >>> from hgq_torch.nn import QLinear
    >>> graph = to_graph(nn.Sequential(QLinear(4, 2), nn.ReLU()), torch.zeros(1, 4))
    >>> graph[graph.outputs[0]].shape
    (2,)
    """
    model = uncompiled(model)
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    if not all(isinstance(x, Tensor) for x in examples):
        kinds = ", ".join(type(x).__name__ for x in examples)
        message = f"example: received {kinds}, expected a tensor (batch, ...) for each input"
        raise ShapeError(message)
    root = nn.Sequential(model) if is_leaf(model) else model
    training = {module: module.training for module in root.modules()}
    root.eval()  # before it is read: a forward pass may branch on `training`
    try:
        walk = _Walk(fx.GraphModule(root, Tracer().trace(root)), "0" if root is not model else None)
        # Tensors made in inference mode do not tell that they were overwritten.
        with torch.inference_mode(False), torch.no_grad():
            walk.run(*(x.clone(memory_format=torch.contiguous_format) for x in examples))
    finally:
        for module, was in training.items():
            module.training = was
    warn_if_dead(model)
    return walk.builder.build(walk.results)


class _Walk(fx.Interpreter):
    """Runs the example and adds a node for every operation that it meets; ``names`` maps fx nodes to Graph nodes."""

    def __init__(self, module: fx.GraphModule, root: str | None) -> None:
        super().__init__(module)
        self.builder = GraphBuilder()
        self.names: dict[fx.Node, str] = {}
        self.results: list[str] = []
        self._root = root
        self.extra_traceback = False  # our messages say it themselves
        self._overwritten: dict[fx.Node, fx.Node] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The example's value; the Graph grows by the way.

        PyTorch counts the writes to a tensor, for all of its views together. A value whose count this node changes has
        been overwritten: it is not what its node of the Graph gives any more.
        """
        values = {m: value for m, value in self.env.items() if m in self.names}
        writes = {m: value._version for m, value in values.items()}
        try:
            value = super().run_node(n)
        except RuntimeError as error:
            message = f"the model does not take the example at {n.format_node()}: {error}"
            raise ShapeError(message) from error
        handler: Callable[[fx.Node, Any], str | None] = getattr(self, f"_{n.op}")
        name = handler(n, value)
        if name is not None:
            self.names[n] = name
        self._overwritten |= {m: n for m, value in values.items() if value._version != writes[m]}
        return value

    def _placeholder(self, n: fx.Node, value: Any) -> str:
        if not isinstance(value, Tensor):
            message = f"input {n.name!r}: received {type(value).__name__}, expected a tensor"
            raise UnsupportedError(message)
        return self.builder.add(op.Input(tuple(value.shape[1:])), name=n.name)

    def _output(self, n: fx.Node, _value: Any) -> None:
        outputs = n.args[0] if isinstance(n.args[0], tuple | list) else [n.args[0]]
        self.results = [self._name(out, n) for out in outputs]

    def _get_attr(self, _n: fx.Node, _value: Any) -> None:
        """A tensor of the module: an operation that uses it says whether it can."""

    def _call_module(self, n: fx.Node, value: Any) -> str:
        path = str(n.target)
        module = self.module.get_submodule(path)
        label = "" if path == self._root else path
        source = next(iter((*n.args, *n.kwargs.values())), None)
        x = self._name(source, n)
        if isinstance(module, QModule):
            return module.to_nodes(self.builder, x, label)
        if isinstance(module, Quantizer):
            return _nodes.quantize(self.builder, module, x, label, "quantizer")
        if isinstance(module, nn.ReLU):
            return self.builder.add(op.Relu(), x, label=label)
        if isinstance(module, nn.Flatten | nn.Unflatten):
            return self._reshaped(source, x, value, label)
        if isinstance(module, _PASS):
            return x
        hint = next((f"use {name} instead" for kind, name in _HINTS.items() if isinstance(module, kind)), None)
        message = (
            f"module {path!r} is a {type(module).__name__}, which is not quantized and has no Graph node; "
            f"{hint or 'replace it by a layer of hgq_torch.nn, or leave it out of the exported part'}"
        )
        raise UnsupportedError(message)

    def _call_function(self, n: fx.Node, value: Any) -> str | None:
        target: Any = n.target
        if not isinstance(value, Tensor):
            return None
        if target in _RELU:
            (x, *_), _ = _operands(n, _X)
            return self.builder.add(op.Relu(), self._name(x, n), label=n.name)
        if target in _RESHAPE:
            (x, *_), _ = _operands(n, _X)
            return self._reshaped(x, self._name(x, n), value, n.name)
        if target in _BINARY:
            pair, rest = _operands(n, _X, _OTHER)
            if len(pair) == 2 and not rest:
                names = [self._name(x, n) for x in pair]
                return self.builder.add(_BINARY[target](), *names, label=n.name, ebops_factor=0.0)
        if target in _CONCATENATE:
            (parts, *given), _ = _operands(n, _PARTS, _AXIS)
            axis = int(given[0] if given else 0) % value.ndim
            if axis and isinstance(parts, tuple | list):
                return self.builder.add(op.Concatenate(axis - 1), *(self._name(x, n) for x in parts), label=n.name)
        message = (
            f"{n.op} {getattr(target, '__name__', target)!r} ({n.format_node()}) has no Graph node; between quantized "
            "layers use relu, flatten, reshape, cat along a feature axis, +, -, * and maximum of two tensors"
        )
        raise UnsupportedError(message)

    _call_method = _call_function

    def _reshaped(self, x: Any, name: str, value: Tensor, label: str) -> str:
        source = self.env[x]
        if value.shape[0] != source.shape[0]:
            message = f"{label!r} moves the batch axis: {tuple(source.shape)} to {tuple(value.shape)}; keep axis 0"
            raise UnsupportedError(message)
        return self.builder.add(op.Reshape(tuple(value.shape[1:])), name, label=label)

    def _name(self, argument: Any, n: fx.Node) -> str:
        if argument in self._overwritten:
            message = (
                f"{place_of(self._overwritten[argument])} works in place and overwrites {argument.name!r}, which "
                f"{place_of(n)} reads afterwards; a graph has values and no memory: write it out of place (nn.ReLU(), "
                "torch.relu(h), h + k), or read the result of the operation instead"
            )
            raise UnsupportedError(message)
        if isinstance(argument, fx.Node) and argument in self.names:
            return self.names[argument]
        message = (
            f"{n.format_node()} uses {argument!r}, which is not a quantized tensor; a constant or an unquantized "
            "parameter has no format: put it into a quantized layer"
        )
        raise UnsupportedError(message)


def _operands(n: fx.Node, *spellings: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    """The operands of a call, by position or by any spelling of their keyword, and the keywords that are left."""
    found, rest = list(n.args), dict(n.kwargs)
    for names in spellings[len(found) :]:
        found += [rest.pop(name) for name in names if name in rest]
    return found, rest
