"""How many identical instances of an operation are built in hardware."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.linear import Contract, Convolve

if TYPE_CHECKING:
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.program import Program

__all__ = ["check_factor", "instances_in", "instances_of", "parallel_share"]


def instances_of(operation: Contract | Convolve, data: Shape, kernel: Shape) -> int:
    """How often hardware that computes with the whole kernel once would be built, if it were built for all data.

    Args:
        operation: of data and a kernel.
        data: shape of the data, without the batch axis.
        kernel: shape of the kernel.

    >>> instances_of(Contract("bti,io->bto"), (5, 3), (3, 2))
    5
    """
    if isinstance(operation, Convolve):
        return prod(int(n or 1) for n in operation.shape((None, *data), kernel)[1:-1])
    entering, weights, leaving = operation.terms
    sizes = dict(zip(entering[1:], data, strict=False))
    return prod(size for letter, size in sizes.items() if letter in leaving and letter not in weights)


def instances_in(program: Program) -> int:
    """`instances_of` the first product of data and a weight in a layer; 1 without one."""
    for step in program.steps:
        if isinstance(step.kind, Contract | Convolve) and program.steps[step.args[1]].constant:
            data, kernel = (program.steps[number].shape for number in step.args)
            return instances_of(step.kind, data, kernel)
    return 1


def parallel_share(factor: int, instances: int) -> float:
    """``pf / n``, the part of n identical instances that is built; -1 builds all.

    Raises:
        ConfigError: a factor that is neither -1 nor 1 to n.

    >>> parallel_share(-1, 36), parallel_share(6, 36)
    (1.0, 0.16666666666666666)
    """
    check_factor(factor)
    if factor == -1:
        return 1.0
    if not 1 <= factor <= max(instances, 1):
        message = f"parallelization_factor: received {factor}, expected -1 or 1 to {instances}, the number of instances"
        raise ConfigError(message)
    return factor / max(instances, 1)


def check_factor(factor: Any) -> None:
    """Raise ConfigError for a parallelization factor that no number of instances could have."""
    if isinstance(factor, bool) or not isinstance(factor, Integral) or (factor < 1 and factor != -1):
        message = f"parallelization_factor: received {factor!r}, expected -1 for all instances, or how many, from 1"
        raise ConfigError(message)
