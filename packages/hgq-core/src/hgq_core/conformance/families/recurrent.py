"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import LayerCase, data_spec, data_widths, numbers, tensors, weight_spec, weight_widths
from hgq_core.graph.ops import Relu
from hgq_core.layers import Declaration, FrameworkFunction, GRUCell, LSTMCell, Recurrent, SimpleRNNCell
from hgq_core.layers.activation import Activation
from hgq_core.modes import Overflow, Round

__all__ = ["CASES", "KINDS"]

_GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}
_LIMITED = (Round.RND, Overflow.SAT)


def _recurrent(
    rng: np.random.Generator,
    kind: str,
    *,
    bias: bool = True,
    state: bool = True,
    overflow: Overflow = Overflow.WRAP,
    **options: Any,
) -> LayerCase:
    steps, features, units = 4, 2, 3
    gates = _GATES[kind]
    inside = kind == "gru" and not options.get("reset_after", True)
    weights = {"kernel": numbers(rng, features, gates * units), "recurrent_kernel": numbers(rng, units, gates * units)}
    specs: dict[str, Any] = {"iq": data_spec((Round.RND, overflow)), "kq": weight_spec(), "rkq": weight_spec()}
    widths: dict[str, Any] = {"iq": data_widths(rng, (features,)), "kq": weight_widths(rng, weights["kernel"])}
    cut = (2 if inside else gates) * units
    widths["rkq"] = weight_widths(rng, weights["recurrent_kernel"][:, :cut])
    if inside:
        specs["rckq"], widths["rckq"] = weight_spec(), weight_widths(rng, weights["recurrent_kernel"][:, cut:])
    biases = [("bias", "bq")] + ([("recurrent_bias", "rbq")] if kind == "gru" and not inside else [])
    for name, slot in biases if bias else ():
        weights[name] = numbers(rng, gates * units)
        specs[slot], widths[slot] = weight_spec(is_bias=True), weight_widths(rng, weights[name], is_bias=True)
    data = {"paq": units} | ({"sq": units} if state else {})
    data |= {"praq": 2 * units, "rhq": units} if kind == "gru" else {}
    data |= {"praq": 3 * units, "csq": units, "caq": units} if kind == "lstm" else {}
    for slot, size in data.items():
        specs[slot] = data_spec((Round.RND, overflow) if slot in ("sq", "rhq") else _LIMITED)
        widths[slot] = data_widths(rng, (size,))
    if options.get("activation") == "tanh":
        for slot in ("paq", "caq") if kind == "lstm" else ("paq",):
            widths[slot] |= {"k": np.ones((1, units), int), "f": rng.integers(1, 4, (1, units))}
            specs[f"{slot}_oq"] = data_spec((Round.RND, Overflow.SAT_SYM))
            widths[f"{slot}_oq"] = {"k": 1, "i": 0, "f": rng.integers(2, 5, (1, units))}
    layer = Layer(kind, {"units": units, **options}, specs, weights, widths)
    return LayerCase((layer,), (steps, features), tensors(rng, 1, (steps, features)))


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "rnn": partial(_recurrent, kind="simple_rnn", return_sequences=True),
    "rnn-last-relu-pf": partial(
        _recurrent, kind="simple_rnn", bias=False, activation="relu", parallelization_factor=2, overflow=Overflow.SAT
    ),
    "rnn-state-as-output": partial(_recurrent, kind="simple_rnn", state=False, go_backwards=True),
    "rnn-table": partial(_recurrent, kind="simple_rnn", activation="tanh", return_sequences=True, state=False),
    "gru": partial(_recurrent, kind="gru", return_sequences=True),
    "gru-reset-before": partial(_recurrent, kind="gru", reset_after=False, bias=False, overflow=Overflow.SAT),
    "gru-backwards-pf": partial(
        _recurrent, kind="gru", go_backwards=True, return_sequences=True, parallelization_factor=1
    ),
    "lstm": partial(_recurrent, kind="lstm", return_sequences=True),
    "lstm-last-table": partial(_recurrent, kind="lstm", activation="tanh", bias=False, overflow=Overflow.SAT),
}


def _declared(layer: Layer) -> Declaration:
    options = layer.options
    functions: dict[str, Activation] = {"relu": Relu(), "tanh": FrameworkFunction(np.tanh)}
    common: dict[str, Any] = {
        "units": options["units"],
        "use_bias": "bias" in layer.weights,
        "activation": functions.get(options.get("activation", "")),
        "enable_sq": "sq" in layer.quantizers,
    }
    cells: dict[str, Callable[..., Any]] = {"simple_rnn": SimpleRNNCell, "gru": GRUCell, "lstm": LSTMCell}
    if layer.kind == "gru":
        common["reset_after"] = options.get("reset_after", True)
    named = ("return_sequences", "go_backwards", "parallelization_factor")
    return Recurrent(cells[layer.kind](**common), **{name: options[name] for name in named if name in options})


KINDS: dict[str, Callable[[Layer], Declaration]] = dict.fromkeys(_GATES, _declared)
