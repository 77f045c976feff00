"""What a loop over a sequence is made of: the steps of one item, apart from the constants that all items share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.layers.steps import Drawn, Dropped, Feed, Masked, Nested, Observed, Scanned, Statistics, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.graph.ops import Shape

__all__ = ["apart", "check_cell"]


def check_cell(name: str, steps: Sequence[Step], results: Any, states: Sequence[Shape]) -> tuple[int, ...]:
    """What the cell of a loop returned: its output and as many states of the same shapes as it received.

    Raises:
        ConfigError: something else than these values, or a part that a loop cannot repeat.
        ShapeError: a state of another shape, which the next step could not take.
    """
    wanted = len(states) + 1
    if not isinstance(results, tuple) or len(results) != wanted or not all(isinstance(v, int) for v in results):
        message = f"the cell of {name!r} returned {results!r}, expected its output and {len(states)} next state(s)"
        raise ConfigError(message)
    for step in steps:
        if isinstance(step.kind, Nested | Observed | Statistics | Scanned):
            message = (
                f"the cell of {name!r} has a step {type(step.kind).__name__}, which a loop cannot repeat; expected "
                "operations, weights and quantizers of its own: declare what is inside, without statistics and loops"
            )
            raise ConfigError(message)
    if any(steps[v].constant for v in results):
        message = f"the cell of {name!r} returned a constant; expected its output and states to follow its inputs"
        raise ConfigError(message)
    given = [steps[v].shape for v in results[1:]]
    if given != list(states):
        message = f"the cell of {name!r} received states {list(states)} and returned {given}; expected equal shapes"
        raise ShapeError(message)
    return results


def apart(
    steps: Sequence[Step], results: Sequence[int], outside: Callable[[Step], int], sequence: int
) -> tuple[list[Step], tuple[int, ...], list[int]]:
    """The steps of a cell without what all steps share, its constants and factors of dropout: inputs of the loop.

    Args:
        steps: of the cell.
        results: numbers of those that are returned.
        outside: appends a step before the loop and gives its number there.
        sequence: number of the step before the loop that gives the sequence.

    Returns:
        the steps that the loop repeats, numbers of the results among them, numbers of what is shared before the loop.
    """
    constants = {n for n, step in enumerate(steps) if step.constant}
    read = {n for step in steps if not step.constant for n in step.args}
    before: dict[int, int] = {}
    inside: dict[int, int] = {}
    repeated: list[Step] = []
    shared: list[int] = []

    def enter(step: Step, number: int) -> int:
        """An input of the loop for this step before it."""
        shared.append(number)
        repeated.append(replace(step, kind=Feed(), args=()))
        return len(repeated) - 1

    for number, step in enumerate(steps):
        if number in constants:
            args = tuple(before[n] for n in step.args)
            before[number] = outside(replace(step, args=args, in_loop=True))
            if number in read:
                inside[number] = enter(step, before[number])
            continue
        kind, args = step.kind, tuple(inside[n] for n in step.args)
        if isinstance(kind, Dropped):
            factors = outside(replace(step, kind=Drawn(kind.rate), args=(sequence,), in_loop=True))
            kind, args = Masked(), (*args, enter(step, factors))
        inside[number] = len(repeated)
        repeated.append(replace(step, kind=kind, args=args))
    return repeated, tuple(inside[v] for v in results), shared
