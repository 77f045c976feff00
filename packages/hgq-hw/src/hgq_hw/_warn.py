"""What is said before a graph is lowered, because afterwards it is too late."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hgq_core.errors import LargeDesignWarning, UncalibratedWarning
from hgq_hw._size import REMEDY, size_problem

if TYPE_CHECKING:
    from hgq_core.graph import Graph

__all__ = ["CALIBRATE", "uncalibrated_problem", "warn_before_lowering"]

CALIBRATE = "calibrate with trace_minmax, hgq_torch.calibrate or `hgq calibrate`, and export again"

_NAMED = 6


def uncalibrated_problem(graph: Graph) -> str:
    """Which layers never were calibrated, and what that costs; empty if all were."""
    if not graph.uncalibrated:
        return ""
    names = ", ".join(graph.uncalibrated[:_NAMED])
    if (more := len(graph.uncalibrated) - _NAMED) > 0:
        names += f" and {more} more"
    return (
        f"never calibrated: {names}; their ranges are not those of the data, so that numbers may wrap, and signs and "
        "bits that no number needs cost up to 2.6 times the LUTs"
    )


def warn_before_lowering(graph: Graph, *, unrolled: bool, da4ml: bool) -> None:
    """Warn of ranges that never were calibrated, and of a design that is too large.

    Args:
        graph: what is to be lowered.
        unrolled: whether every operation gets hardware of its own.
        da4ml: whether da4ml finds the adders.
    """
    if problem := uncalibrated_problem(graph):
        warnings.warn(f"{problem}; {CALIBRATE}", UncalibratedWarning, stacklevel=3)
    if unrolled and (problem := size_problem(graph, da4ml=da4ml)):
        warnings.warn(f"{problem}; {REMEDY}", LargeDesignWarning, stacklevel=3)
