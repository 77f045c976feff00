"""How a module comes by what its slots need: parameters, buffers and quantizers, from its traced declaration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from hgq_core.errors import ConfigError
from hgq_core.layers import attribute_of, weight_of
from hgq_core.layers.steps import Computed, Nested, Quantized, Stored
from hgq_torch._make import make_quantizer
from hgq_torch._ops import TORCH
from hgq_torch._prepare import prepared
from hgq_torch._slots import Layout, ModuleSlots, Turn
from hgq_torch._wrappers import unwrapped
from hgq_torch.kernels.fuse import sole_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hgq_core.graph.ops import Shape
    from hgq_core.layers import Program, QuantizerSlot, WeightSlot
    from hgq_torch._quantizer import Quantizer
    from hgq_torch.nn._base import QModule

__all__ = ["make", "nested_counts", "reset", "started", "weight_name"]


def make(module: QModule, program: Program, shapes: tuple[Shape, ...] | None) -> None:
    """Make what the slots of a program need and the module does not have yet.

    Args:
        module: that the program was traced from.
        program: its declaration, traced.
        shapes: of the inputs; None if they are not known yet, so that quantizers of data have no shape either.

    Raises:
        ConfigError: a module inside that PyTorch does not know of, slots of one name, or nothing that EBOPs count.
    """
    _find_inner(module, program)
    # What a first call under inference_mode makes can be trained afterwards all the same.
    with torch.inference_mode(mode=False):
        fresh = _make_weights(module, program)
        if fresh:
            module.reset_parameters()
        with module.made.written_in.entered():
            _make_quantizers(module, program, shapes)
    _check_counted(module, program)
    for name in ("iq", "oq"):
        if not hasattr(module, name):
            module.register_module(name, None)
    if shapes is not None:
        module.made.program, module.made.built_for = program, shapes
        with torch.inference_mode(mode=False):
            module.made.running = prepared(program, module)
        module.made.pattern = sole_pattern(program, module.made.running)
    if fresh:
        module.made.start.judge(started(module), module.title, made=True)


def _find_inner(module: QModule, program: Program) -> None:
    """The path of every module that the declaration calls."""
    paths = {id(unwrapped(inner)): path for path, inner in module.named_modules(remove_duplicate=False)}
    for name, layer in program.nested.items():
        if id(layer) not in paths or layer is module:
            message = (
                f"{module.title}: the declaration calls {name!r}, a {type(layer).__name__} that PyTorch does not know "
                "of, so that nothing of it would be trained or saved; keep it as an attribute of the module, and "
                "several of them in a torch.nn.ModuleList or torch.nn.ModuleDict, not in a list or dict"
            )
            raise ConfigError(message)
        module.made.paths[name] = paths[id(layer)]


def _make_weights(module: QModule, program: Program) -> bool:
    """Parameters and buffers, without numbers; whether any was made."""
    made = False
    options: dict[str, Any] = {"device": module.beta.device, "dtype": module.beta.dtype}
    for slot, weight in program.weights.items():
        if slot in module.made.storage:
            continue
        layout = module.layouts.get(slot, Layout(attribute_of(slot)))
        module.made.storage[slot] = layout
        _check_free(module, layout.name, slot)
        shape = weight.shape if layout.turn is None else layout.turn.stored_shape(weight.shape)
        if weight.trainable:
            module.register_parameter(layout.name, nn.Parameter(torch.empty(shape, **options)))
        else:
            module.register_buffer(layout.name, torch.empty(shape, **options))
        module.made.weights[slot] = weight
        made = True
    return made


def _check_free(module: QModule, name: str, slot: str) -> None:
    if hasattr(module, name):
        message = f"{module.title}: slot {slot!r} needs the attribute {name!r}, which the module has for something else"
        raise ConfigError(message)


def _make_quantizers(module: QModule, program: Program, shapes: tuple[Shape, ...] | None) -> None:
    """Quantizers, those of weights first, then those of data, the output's last, as files and optimizers have them."""
    order = sorted(program.quantizers.items(), key=lambda item: (not item[1].constant, item[0] == "oq"))
    module.made.weight_quantizers = tuple(name for name, slot in order if slot.constant)
    for slot, what in order:
        turn = _turn(module, program, slot)
        if turn is not None:
            module.made.turns[slot] = turn
        shape = _shape(what, turn)
        if slot in module.made.quantizers:
            quantizer = getattr(module, attribute_of(slot))
            if shapes is not None and not quantizer.built:
                quantizer.build(shape)
            continue
        _check_free(module, attribute_of(slot), slot)
        known = what.constant or shapes is not None
        setattr(module, attribute_of(slot), _quantizer(module, slot, what, shape if known else None))
        module.made.quantizers.add(slot)


def _quantizer(module: QModule, slot: str, what: QuantizerSlot, shape: tuple[int | None, ...] | None) -> Quantizer:
    several = slot.startswith("iq_") and slot[3:].isdigit()
    given = module.made.given.get("iq" if several and slot not in module.made.given else slot)
    if several and hasattr(given, "sharing"):
        message = (
            f"{module.title}: received one Quantizer for several inputs, whose widths it cannot hold; give a "
            "specification or a dict, of which each input gets its own"
        )
        raise ConfigError(message)
    quantizer = make_quantizer(
        given, what.place, shape, what.overrides, device=module.beta.device, dtype=module.beta.dtype
    )
    return quantizer.train(module.training)


def _turn(module: QModule, program: Program, slot: str) -> Turn | None:
    """A quantizer sees a weight as it is stored; what is computed has no storage."""
    for step in program.steps:
        if isinstance(step.kind, Quantized) and step.kind.slot == slot and step.constant:
            source = program.steps[step.args[0]].kind
            return module.made.storage[source.slot].turn if isinstance(source, Stored) else None
    return None


def _shape(what: QuantizerSlot, turn: Turn | None) -> tuple[int | None, ...]:
    if not what.constant:
        return (None, *what.shape)
    return tuple(what.shape) if turn is None else turn.stored_shape(what.shape)


def _check_counted(module: QModule, program: Program) -> None:
    """EBOPs need the widths of data that something in the layer quantizes."""
    if not module.made.counts:
        module.enable_ebops = module.enable_ebops and program.gives_data_widths(_program_of)
        return
    try:
        program.check_data_widths(_program_of)
    except ConfigError as error:
        raise ConfigError(f"{type(module).__name__}: {error}") from error


def _program_of(module: QModule) -> Program | None:
    return cast("QModule", unwrapped(module)).made.traced


def reset(module: QModule) -> None:
    """Initial values of every weight."""
    with torch.no_grad():
        for slot, weight in module.made.weights.items():
            tensor: Tensor = getattr(module, module.made.storage[slot].name)
            _start(tensor, weight)


def _start(tensor: Tensor, weight: WeightSlot) -> None:
    if weight.start == "kernel":
        bound = 1 / math.sqrt(max(math.prod(weight.shape[:-1]), 1))
        tensor.uniform_(-bound, bound)
    elif weight.start == "edge":
        bound = math.sqrt(3 / weight.shape[-2])
        tensor.uniform_(-bound, bound)
    else:
        tensor.fill_(1.0 if weight.start == "ones" else 0.0)


def started(module: QModule) -> Iterator[tuple[str, Quantizer, Tensor]]:
    """The kernels whose widths are to be judged: name, quantizer, and the weight as its quantizer sees it."""
    program = module.made.traced
    for step in program.steps if program is not None else ():
        if program is None or not isinstance(step.kind, Quantized) or not step.constant:
            continue
        kinds = [program.steps[number].kind for number in program.constants_before(step.args)]
        slots = [kind.slot for kind in kinds if isinstance(kind, Stored)]
        moved = all(isinstance(kind, Stored | Computed) for kind in kinds)
        if len(slots) != 1 or not moved or module.made.weights[slots[0]].start != "kernel":
            continue
        name = module.made.storage[slots[0]].name
        weight: Tensor = getattr(module, name)
        if len(kinds) > 1:  # the same numbers in another order
            weight = weight_of(TORCH, ModuleSlots(module), program, step.kind.slot)
        yield name, getattr(module, attribute_of(step.kind.slot)), weight


def weight_name(module: QModule, slot: str) -> str:
    """The name of what a weight quantizer quantizes: the parameter, or what is computed."""
    program = module.made.traced
    for step in program.steps if program is not None else ():
        if isinstance(step.kind, Quantized) and step.kind.slot == slot:
            source = program.steps[step.args[0]].kind if program is not None else None
            return module.made.storage[source.slot].name if isinstance(source, Stored) else step.kind.name
    return slot


def nested_counts(module: QModule) -> dict[str, int]:
    """How often the declaration calls each module inside, by path."""
    counts: dict[str, int] = {}
    for step in module.program.steps if module.program is not None else ():
        if isinstance(step.kind, Nested):
            path = module.made.paths[step.kind.name]
            counts[path] = counts.get(path, 0) + 1
    return counts
