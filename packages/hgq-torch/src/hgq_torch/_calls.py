"""How often a model applies each of its quantized layers: each call is a circuit, and costs as one.

The number belongs to the model that is asked, an encoder that a larger model applies twice applies its own layers
once; so it is kept at each module that holds quantized layers, learnt from a forward pass (`counted`) or, before
there is one, from its trace.
"""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from hgq_core.errors import HGQWarning
from hgq_torch._build import nested_counts
from hgq_torch._quantizer import Quantizer
from hgq_torch._wrappers import uncompiled, unwrapped
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["calls_of", "counted", "is_leaf"]

_NAME = "quantized_calls"
"""Attribute of a module: its modules, and calls of its quantized layers in the order of `torch.nn.Module.modules`."""


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is a unit of the export."""
    return isinstance(module, QModule | Quantizer)


def layers_of(module: nn.Module) -> list[QModule]:
    """The quantized layers of a module, itself included."""
    return [m for m in module.modules() if isinstance(m, QModule)]


def calls_of(model: nn.Module, layers: Sequence[QModule]) -> tuple[int, ...]:
    """Calls of each of the model's layers in one forward pass.

    Without a forward pass that was `counted` they are read from the trace of `torch.fx`; where there is none, each
    layer counts once, and one warning says so.
    """
    known = _known(model)
    if known is not None and len(known) == len(layers):
        return known
    root = unwrapped(model)
    known = _known(root)
    return known if known is not None and len(known) == len(layers) else _learnt(root)


def _known(module: nn.Module) -> tuple[int, ...] | None:
    """The calls that were learnt, if the module still holds the same modules at the same places."""
    places, calls = getattr(module, _NAME, (None, None))
    # Compilers trace a model that stays as it is.
    return calls if torch.compiler.is_compiling() or places == _places(module) else None


def _keep(module: nn.Module, calls: tuple[int, ...]) -> None:
    setattr(module, _NAME, (_places(module), calls))


def _places(module: nn.Module) -> tuple[int, ...]:
    """Which module stands where inside, by number: one that stands in two places has one number."""
    numbers = {id(module): 0}
    found, places = [module], []
    for parent in found:
        for child in () if isinstance(parent, Quantizer) else parent._modules.values():
            if child is None:
                continue
            if id(child) not in numbers:
                numbers[id(child)] = len(numbers)
                found.append(child)
            places.append(numbers[id(child)])
        places.append(-1)
    return tuple(places)


@torch.compiler.assume_constant_result  # a compiler runs it while it traces
def _learnt(root: nn.Module) -> tuple[int, ...]:
    known = _traced(root, layers_of(root))
    _keep(root, known)
    return known


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inner = uncompiled(m)
        return super().call_module(inner, forward if inner is m else inner.forward, args, kwargs)


def _traced(root: nn.Module, layers: Sequence[QModule]) -> tuple[int, ...]:
    """The calls that `torch.fx` sees."""
    if not layers or isinstance(root, QModule):
        counts = _applied(root)
        return tuple(counts[layer] for layer in layers)
    training = {module: module.training for module in root.modules()}
    root.eval()  # as in the graph: a forward pass may branch on `training`
    try:
        nodes = _Tracer().trace(root).nodes
    except Exception as error:  # noqa: BLE001  # the forward pass is the user's, and may do anything with a proxy
        message = (
            f"{type(root).__name__}: torch.fx cannot read how often it applies each layer "
            f"({type(error).__name__}: {str(error).partition(chr(10))[0]}), so EBOPs count each layer once; call "
            "calibrate(model, data) or to_graph(model, example) first, which see it"
        )
        warnings.warn(message, HGQWarning, stacklevel=5)
        return (1,) * len(layers)
    finally:
        for module, was in training.items():
            module.training = was
    counts = Counter()
    for node in nodes:
        if node.op == "call_module":
            counts.update(_applied(root.get_submodule(str(node.target))))
    return tuple(counts[layer] for layer in layers)


def _applied(module: nn.Module) -> Counter[nn.Module]:
    """Calls of quantized layers in one call of a unit of the export: its own, and those of its declaration."""
    if not isinstance(module, QModule):
        return Counter(layers_of(module))
    counts: Counter[nn.Module] = Counter([module])
    if module.built_for is None:
        counts.update(layer for layer in layers_of(module) if layer is not module)
    for path, number in nested_counts(module).items():
        for layer, times in _applied(unwrapped(module.get_submodule(path))).items():
            counts[layer] += times * number
    return counts


@contextmanager
def counted(model: nn.Module, *, more: bool = False) -> Iterator[None]:
    """Learn the calls from the forward pass inside, for the model and every module in it; the first call is read.

    With ``more`` it is another pass beside those before: what it calls more often counts more often.
    """
    open_calls: list[tuple[nn.Module, Counter[nn.Module]]] = []
    done: dict[nn.Module, Counter[nn.Module]] = {}

    def enter(module: nn.Module, _inputs: Any) -> None:
        open_calls.append((module, Counter()))
        if isinstance(module, QModule):
            for _, counts in open_calls:
                counts[module] += 1

    def leave(_module: nn.Module, _inputs: Any, _result: Any) -> None:
        module, counts = open_calls.pop()
        done.setdefault(module, counts)

    handles = []
    root = unwrapped(model)
    try:
        for module in root.modules():
            if layers_of(module):
                handles.append(module.register_forward_pre_hook(enter))
                handles.append(module.register_forward_hook(leave, always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()
    for module, counts in done.items():
        layers = layers_of(module)
        known = _known(module) if more else None
        calls = tuple(counts[layer] for layer in layers)
        _keep(module, calls if known is None else tuple(map(max, calls, known)))
