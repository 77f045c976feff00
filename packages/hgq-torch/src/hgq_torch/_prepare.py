"""A traced program as a module runs it: its constants are buffers, which move with the module to other devices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from hgq_core.graph.ops import Constant
from hgq_core.layers.steps import Stored
from hgq_torch._slots import Layout
from hgq_torch.kernels.fuse import fused

if TYPE_CHECKING:
    from hgq_core.layers import Program
    from hgq_torch.nn._base import QModule

__all__ = ["prepared"]


def prepared(program: Program, module: QModule, constants: str = "constant") -> Program:
    """The program to run, with its constants as buffers that are not saved, and fused where a pattern is known.

    Args:
        program: as it was traced.
        module: that runs it.
        constants: what the buffers are called, with a number, unlike those of another program of the module.
    """
    steps = list(program.steps)
    options: dict[str, Any] = {"device": module.beta.device, "dtype": module.beta.dtype}
    for number, step in enumerate(steps):
        if isinstance(step.kind, Constant):
            name = f"{constants}_{number}"
            module.register_buffer(name, torch.tensor(step.kind.values, **options), persistent=False)
            module.made.storage[name] = Layout(name)
            steps[number] = replace(step, kind=Stored(name))
    return fused(replace(program, steps=tuple(steps)), module)
