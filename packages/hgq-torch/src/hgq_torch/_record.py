"""How a forward pass is read: it runs, and every operation on what comes from its input is recorded.

Shapes, ranks, optional arguments and branches on them are those of the run, so that ordinary Python needs no care. What
a run cannot show is found by a second one, with other numbers and another batch size: see `hgq_torch.to_graph`.
"""

from __future__ import annotations

import inspect
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

# The documented way to see every operation: "Extending all torch API with Modes" in PyTorch's notes.
from torch.utils._python_dispatch import TorchDispatchMode

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.graph.real import acts_on_real
from hgq_torch import _arithmetic, _moves
from hgq_torch._calls import is_leaf
from hgq_torch._exported import emit_quantizer
from hgq_torch._inputs import input_names
from hgq_torch._known import OUT_OF_PLACE, KnownTensors, tensors_in
from hgq_torch._operations import SHAPE_ONLY, VALUES
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_torch._quantizer import Quantizer

__all__ = ["Recorder"]

_LIBRARIES = tuple(str(Path(file).parent) for file in (torch.__file__, __file__))
_TABLE = {**_moves.TABLE, **_arithmetic.TABLE}
_HINTS = {nn.Linear: "use hgq_torch.nn.QLinear instead"}


class Recorder(TorchDispatchMode, KnownTensors):
    """Adds a node to the builder for every operation of a forward pass; quantized layers add their own."""

    def __init__(self, root: nn.Module, batch: int) -> None:
        TorchDispatchMode.__init__(self)
        KnownTensors.__init__(self, root, batch)
        self._stack: list[tuple[str, nn.Module]] = []
        self._inside = 0
        self._source: list[str] | None = None
        self._numbers: Counter[str] = Counter()
        self._real: set[str] = set()

    # --- a run ------------------------------------------------------------------------------------------------------

    def run(self, inputs: Sequence[Tensor]) -> tuple[list[str], list[Tensor]]:
        """Run the forward pass; returns its outputs, as names of nodes and as tensors."""
        names = [name for name, _ in zip(self._parameter_names(), inputs, strict=False)]
        names += [f"input_{n}" for n in range(len(names), len(inputs))]
        for name, x in zip(names, inputs, strict=True):
            node = self.builder.add(op.Input(tuple(x.shape[1:])), name=name)
            self._real.add(node)
            self.know(x, node)
        with self._hooks(), self:
            result = self.root(*inputs)
        if isinstance(self.root, QModule):
            result = self.root.results_of(result)
        if not all(part is None or isinstance(part, Tensor) for part in _leaves(result)):
            kinds = ", ".join(sorted({type(part).__name__ for part in _leaves(result)}))
            message = f"the forward pass returns {kinds}; expected tensors, alone or in tuples, lists and dicts"
            raise UnsupportedError(message)
        outputs = list(tensors_in(result))
        return [self.name(x, "the output") for x in outputs], outputs

    def _parameter_names(self) -> Iterator[str]:
        if isinstance(self.root, QModule):
            yield from input_names(self.root.declaration())
            return
        for name, parameter in inspect.signature(self.root.forward).parameters.items():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                yield name

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        handles = []
        try:
            for path, module in self.root.named_modules():
                clean = ".".join(part for part in path.split(".") if part != "_orig_mod")
                # Hooks of the user surround these: what they do is recorded too.
                enter, leave = self._enter(clean), self._leave(clean)
                handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
                handles.append(module.register_forward_hook(leave, prepend=True))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if self._inside or is_leaf(module):
                self._inside += 1
            if self._inside == 1:
                self._source = self._operands(module, path, args, kwargs)
            elif not self._inside:
                self._stack.append((path, module))

        return hook

    def _leave(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, _args: tuple[Any, ...], result: Any) -> None:
            if not self._inside:
                self._stack.pop()
                return
            if self._inside == 1 and self._source is not None:
                self._record_leaf(module, path, self._source, result)
            self._inside -= 1

        return hook

    # --- quantized layers -----------------------------------------------------------------------------------------

    def _operands(
        self, module: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[str] | None:
        """The tensors that a layer is applied to, in its order; None for a quantizer that is applied to a constant."""
        title = f"{type(module).__name__} {path!r}" if path else type(module).__name__
        try:
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{title}: {error}") from error
        given = [part for part in bound.args if part is not None]
        if isinstance(module, QModule) and bound.kwargs:
            given = list(module.in_order(given, bound.kwargs))
        if isinstance(module, QModule):
            given = list(module.operands_of(given, title))
        given = [part for part in given if part is not None]
        if not given or not all(isinstance(part, Tensor) for part in given):
            kinds = ", ".join(type(part).__name__ for part in given) or "nothing"
            message = (
                f"{title} is applied to ({kinds}); a quantized layer is exported with tensors as its arguments, each "
                "given alone: call it as layer(x, y), not as layer([x, y])"
            )
            raise UnsupportedError(message)
        if isinstance(module, QModule):
            return [self.name(part, title) for part in given]
        return [self.name(given[0], title)] if self.knows(given[0]) else None

    def _record_leaf(self, module: nn.Module, path: str, inputs: list[str], result: Any) -> None:
        title = f"{type(module).__name__} {path!r}"
        if isinstance(module, QModule):
            expected = len(module.checked_program().inputs)
            if len(inputs) != expected:
                message = (
                    f"{title} is applied to {len(inputs)} tensors, its declaration takes {expected}; its forward pass "
                    "has to be that of its declaration: do not override `forward`"
                )
                raise UnsupportedError(message)
            names, results = module.emit(self.builder, path, inputs), module.results_of(result)
        else:
            names = (emit_quantizer(self.builder, cast("Quantizer", module), inputs[0], path, result),)
            results = (result,)
        if len(results) != len(names) or not all(isinstance(part, Tensor) for part in results):
            message = f"{title} returns a {type(result).__name__}, expected one tensor"
            raise UnsupportedError(message)
        for part, name in zip(results, names, strict=True):
            self.know(part, name, title)
        self.know_in_parts([part for part in tensors_in(result) if not self.knows(part)], title)

    # --- operations ---------------------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation of PyTorch and record it."""
        kwargs = kwargs or {}
        if self._inside:
            return func(*args, **kwargs)
        kind = func.overloadpacket.__name__
        writes = [kwargs["out"]] if "out" in kwargs else args[:1] if kind.endswith("_") else []
        operands = list(tensors_in((args, kwargs)))
        known = [x for x in operands if self.knows(x)]
        if kind in VALUES and known:
            message = (
                f"{self.place(kind)} reads the values of {self.name(known[0], kind)!r}, which a graph does not know "
                "when it is built; decide by shapes and options, or leave this part out of the exported module"
            )
            raise UnsupportedError(message)
        given = args
        if writes and known and not self.knows(writes[0]):
            given = (writes[0].clone(), *args[1:])  # as it is before it is written: a constant
        result = func(*args, **kwargs)
        if kind in SHAPE_ONLY:
            return result
        if not known:
            if any(self.is_weight(x) for x in operands):
                self.taint(result)
            return result
        base = kind.removesuffix("_") if writes else kind
        if "out" in kwargs or base not in _TABLE:
            raise UnsupportedError(self._without_node(kind, func, bool(writes)))
        numbered = self._numbers[base]
        self._numbers[base] += 1
        inner = self._stack[-1] if self._stack else ("", self.root)
        own = type(inner[1]).__module__.startswith("torch.nn.") and not list(inner[1].children()) and inner[0]
        self._label = inner[0] if own else f"{base}_{numbered}" if numbered else base
        try:
            bound = inspect.signature(_TABLE[base]).bind(self, result, *given, **kwargs)
        except TypeError as error:
            raise UnsupportedError(self._without_node(kind, func, bool(writes))) from error
        names = _TABLE[base](*bound.args, **bound.kwargs)
        if names is None:
            raise UnsupportedError(self._without_node(kind, func, bool(writes)))
        if writes:
            self.overwritten(result, kind)
        if isinstance(names, str):
            self.know(result[0] if isinstance(result, tuple) else result, names, self.place(kind))
        else:
            for part, name in zip(result, names, strict=True):
                self.know(part, name, self.place(kind))
        return result

    def _without_node(self, kind: str, func: Any, writes: bool) -> str:
        path, module = self._stack[-1] if self._stack else ("", self.root)
        if type(module).__module__.startswith("torch.nn.") and path:
            hint = next((text for kind, text in _HINTS.items() if isinstance(module, kind)), "")
            return (
                f"module {path!r} is a {type(module).__name__}, which is not quantized and has no Graph node; "
                f"{hint or 'replace it by a layer of hgq_torch.nn, or leave it out of the exported part'}"
            )
        place = self.place(kind)
        if writes:
            return f"{place} writes into a tensor in place; {OUT_OF_PLACE}"
        if kind == "native_dropout" or kind.startswith("bernoulli"):
            return f"{place} drops out at inference; pass training=self.training, or use nn.Dropout"
        return (
            f"{place}, as it is called here ({func}), has no Graph node; between quantized layers use relu, clamp, "
            "maximum, +, -, * with tensors or numbers, sums and maxima over features, concatenation, slices and other "
            "moves that keep the batch on axis 0, or a layer of hgq_torch.nn; a graph has no branches on values"
        )

    # --- nodes ------------------------------------------------------------------------------------------------------

    def add(self, operation: op.Operation, *names: str) -> str:
        """Add a node that costs nothing: what stands between layers is not counted by them either."""
        real = not self._real.isdisjoint(names)
        if real and not acts_on_real(operation):
            message = (
                f"{self.place(self._label)} computes with numbers that no quantizer has made fixed-point yet; before "
                "the first quantizer a graph only moves numbers or takes the larger of two: put a hgq_torch.Quantizer "
                "or a quantized layer before it"
            )
            raise UnsupportedError(message)
        name = self.builder.add(operation, *names, label=self._label, ebops_factor=0.0)
        if real:
            self._real.add(name)
        return name

    def place(self, kind: str) -> str:
        """Where this happens, in the user's words: the module's path or the operation, and the line."""
        path, module = self._stack[-1] if self._stack else ("", self.root)
        own = type(module).__module__.startswith("torch.nn.") and not list(module.children()) and path
        title = f"{path if own else kind!s}"
        for frame, line in traceback.walk_stack(None):
            code = frame.f_code
            if code is Recorder.run.__code__:
                break
            if not code.co_filename.startswith(_LIBRARIES):
                return f"{title!r} ({Path(code.co_filename).name}, line {line}, in {code.co_name})"
        return repr(title)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value
