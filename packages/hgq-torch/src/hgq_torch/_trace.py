"""How a forward pass is read: `torch.fx`, and what it would pass over in silence.

`torch.fx` records ``h += k`` as ``h + k``, as if no other name could mean the same tensor; here it is
recorded as it is.
"""

from __future__ import annotations

import operator
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import fx

from hgq_core.errors import UnsupportedError
from hgq_torch.nn._base import QModule
from hgq_torch.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["Tracer", "is_leaf", "place_of", "uncompiled"]

_STATEMENTS = (
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ifloordiv,
    operator.imod,
    operator.ipow,
    operator.imatmul,
    operator.iand,
    operator.ior,
    operator.ixor,
    operator.ilshift,
    operator.irshift,
)
_FRAME = re.compile(r'File "([^"]+)", (line \d+), in (\w+)')
_LIBRARIES = tuple(str(Path(file).parent) for file in (torch.__file__, __file__))


class _Value(fx.Proxy):
    """A value of the forward pass, on which a statement that works in place stays one."""

    def __setitem__(self, key: object, value: object) -> None:
        message = f"{self.node.name}[{key!r}] = ... writes into a tensor; build it out of place, with torch.cat"
        raise UnsupportedError(message)

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("tracer", "node"):
            return super().__setattr__(name, value)
        message = f"{self.node.name}.{name} = ... writes into a tensor; compute the new one out of place"
        raise UnsupportedError(message)


def _statement(function: Callable[[Any, Any], Any]) -> Callable[[_Value, Any], fx.Proxy]:
    def record(self: _Value, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return record


for _function in _STATEMENTS:
    setattr(_Value, f"__{_function.__name__}__", _statement(_function))


class Tracer(fx.Tracer):
    """Sees quantized layers as units, and through everything that holds them, compiled or not."""

    record_stack_traces = True  # an error names the line

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Value(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Quantized layers and PyTorch's own."""
        return is_leaf(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A compiled module is read as the one that it was made of."""
        inner = uncompiled(m)
        return super().call_module(inner, forward if inner is m else inner.forward, args, kwargs)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is a unit of the export."""
    return isinstance(module, QModule | Quantizer)


def uncompiled(module: nn.Module) -> nn.Module:
    """What `torch.compile` was given, or the module itself."""
    return cast("nn.Module", getattr(module, "_orig_mod", module))


def place_of(n: fx.Node) -> str:
    """Where a value comes from, in the user's words: the module's path or the operation, and the line."""
    target = getattr(n.target, "__name__", str(n.target))
    frames = [frame for frame in _FRAME.findall(n.stack_trace or "") if not frame[0].startswith(_LIBRARIES)]
    line = f" ({Path(frames[-1][0]).name}, {frames[-1][1]}, in {frames[-1][2]})" if frames else ""
    return f"{target!r}{line}"
