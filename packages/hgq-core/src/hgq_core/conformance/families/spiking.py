"""Spiking layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import LayerCase, data_spec, tensors, weight_spec
from hgq_core.layers import Declaration, Recurrent, SpikingCell
from hgq_core.modes import Overflow, Round

__all__ = ["CASES", "KINDS"]

_NUMBERS = {"leak": 0.7, "level": 1.3, "grade": 1.6}
_SLOTS = {"leak": "lkq", "level": "thq", "grade": "grq"}


def _spiking(rng: np.random.Generator, *, overflow: Overflow = Overflow.SAT, **options: Any) -> LayerCase:
    steps, units = 6, 4
    kind = "lif" if options.pop("leaks", True) else "snn"
    names = ["leak", "level"] if kind == "lif" else ["level"]
    names += ["grade"] if options.get("grades") else []
    weights = {name: np.array([_NUMBERS[name]], np.float32) for name in names}
    specs: dict[str, Any] = {"iq": data_spec((Round.RND, overflow)), "sq": data_spec((Round.RND, overflow))}
    widths: dict[str, Any] = {
        # Wide enough that membranes pass the threshold at some steps and not at others; one of them has no bits.
        "iq": {"k": [[1, 1, 0, 0]], "i": [[1, 2, 1, 0]], "f": [[2, 1, 3, 0]]},
        "sq": {"k": [[1, 1, 1, 0]], "i": rng.integers(1, 3, (1, units)), "f": rng.integers(1, 4, (1, units))},
    }
    for name in names:
        specs[_SLOTS[name]] = weight_spec()
        widths[_SLOTS[name]] = {"b": [int(rng.integers(2, 5))], "k": 1, "i": [1]}
    widths = {slot: {word: np.array(value) for word, value in held.items()} for slot, held in widths.items()}
    return LayerCase(
        (Layer(kind, {"units": units, **options}, specs, weights, widths),),
        (steps, units),
        tensors(rng, 1, (steps, units)),
    )


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "snn": partial(_spiking, leaks=False, return_sequences=True),
    "snn-zero-wrap": partial(
        _spiking, leaks=False, reset_mechanism="zero", return_sequences=True, overflow=Overflow.WRAP
    ),
    "lif": partial(_spiking, return_sequences=True),
    "lif-graded-pf": partial(_spiking, grades=True, return_sequences=True, parallelization_factor=1),
    "lif-inhibition": partial(_spiking, inhibition=True, return_sequences=True),
    "lif-last-none": partial(_spiking, reset_mechanism="none"),
    "lif-gradient-through-reset": partial(_spiking, detach_reset=False, return_sequences=True, go_backwards=True),
    "lif-zero-gradient-through-reset": partial(
        _spiking, detach_reset=False, reset_mechanism="zero", return_sequences=True
    ),
}


def _declared(layer: Layer) -> Declaration:
    options = layer.options
    named = ("inhibition", "reset_mechanism", "detach_reset", "grades")
    cell = SpikingCell(
        units=options["units"], leaks=layer.kind == "lif", **{name: options[name] for name in named if name in options}
    )
    of_layer = ("return_sequences", "go_backwards", "parallelization_factor")
    return Recurrent(cell, **{name: options[name] for name in of_layer if name in options})


KINDS: dict[str, Callable[[Layer], Declaration]] = dict.fromkeys(("snn", "lif"), _declared)
