"""Activations without a table: at the end of a layer, and plain ones behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import (
    LayerCase,
    data_spec,
    data_widths,
    numbers,
    tensors,
    weight_spec,
    weight_widths,
)
from hgq_core.layers import NAMED, Activation, Declaration, rectifier
from hgq_core.layers.activation import activated
from hgq_core.modes import Overflow, Round

__all__ = ["CASES", "KINDS", "activation_of"]

Form = str | Mapping[str, float]
"""A name of `hgq_core.layers.NAMED`, or the numbers of a `hgq_core.layers.Rectifier`."""


def activation_of(form: Form | None) -> Activation:
    """The activation of a case, as a declaration has it."""
    if form is None or isinstance(form, str):
        return NAMED[form or "linear"]
    return rectifier(**form)


def _layer(rng: np.random.Generator, shape: tuple[int, ...], form: Form | None, oq: bool) -> Layer:
    """A dense layer of a vector, or a convolution of an image."""
    window = (2,) * (len(shape) - 1)
    units = 3
    given = {"kernel": numbers(rng, *window, shape[-1], units), "bias": numbers(rng, units)}
    specs = {"iq": data_spec((Round.RND, Overflow.SAT)), "kq": weight_spec(), "bq": weight_spec(is_bias=True)}
    widths: dict[str, Any] = {
        "iq": data_widths(rng, shape),
        "kq": weight_widths(rng, given["kernel"]),
        "bq": weight_widths(rng, given["bias"], is_bias=True),
    }
    if oq:
        specs["oq"], widths["oq"] = data_spec((Round.RND, Overflow.SAT), shared=True), {"k": 1, "i": 2, "f": 3}
    options: dict[str, Any] = {"filters": units, "kernel_size": window} if window else {"units": units}
    if form is not None:
        options["activation"] = form
    return Layer(f"conv{len(window)}d" if window else "dense", options, specs, given, widths)


def _inside(rng: np.random.Generator, form: Form, shape: tuple[int, ...] = (5,), oq: bool = False) -> LayerCase:
    return LayerCase((_layer(rng, shape, form, oq),), shape, tensors(rng, 1, shape))


def _behind(rng: np.random.Generator, form: Form, shape: tuple[int, ...] = (5,)) -> LayerCase:
    layers = (_layer(rng, shape, None, False), Layer("activation", {"function": form}))
    return LayerCase(layers, shape, tensors(rng, 1, shape))


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "dense-relu6": partial(_inside, form="relu6"),
    "conv2d-hard-tanh": partial(_inside, form="hard_tanh", shape=(3, 3, 2)),
    "dense-leaky": partial(_inside, form={"slope": 0.25}),
    "dense-leaky-limited-output": partial(_inside, form={"slope": 0.375, "limit": 1.5}, oq=True),
    "dense-steep": partial(_inside, form={"slope": 2.0}),
    "conv1d-limited": partial(_inside, form={"limit": 1.5}, shape=(4, 2)),
    "dense-threshold": partial(_inside, form={"threshold": 0.5}),
    "dense-threshold-leaky-limited": partial(_inside, form={"slope": 0.5, "limit": 2.0, "threshold": 0.75}),
    "activation-linear": partial(_behind, form="linear"),
    "activation-relu6": partial(_behind, form="relu6"),
    "activation-hard-tanh": partial(_behind, form="hard_tanh"),
    "activation-leaky": partial(_behind, form={"slope": 0.25}),
    "activation-leaky-image": partial(_behind, form={"slope": 0.3125}, shape=(3, 3, 1)),
    "activation-limited": partial(_behind, form={"limit": 1.5}),
    "activation-threshold": partial(_behind, form={"threshold": 0.5}),
}


def _plain(layer: Layer) -> Declaration:
    return lambda t, x: activated(t, x, activation_of(layer.options["function"]))


KINDS: dict[str, Callable[[Layer], Declaration]] = {"activation": _plain}
