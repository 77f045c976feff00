"""One case for each kind of layer, for groups whose tests take too long for every case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.cases_layers import NAMES, case

__all__ = ["representatives"]


def representatives(wanted: Callable[[Layer], bool] = lambda layer: True) -> list[Any]:
    """The first case of each kind, by the kind, marked with the kinds of layers that it needs; each case once.

    Args:
        wanted: whether a layer is one that the test is about.
    """
    first: dict[str, str] = {}
    for name in NAMES:
        for layer in case(name).layers:
            if wanted(layer):
                first.setdefault(layer.kind, name)
    names = dict.fromkeys(first.values())
    return [
        pytest.param(name, marks=pytest.mark.kinds(*(layer.kind for layer in case(name).layers)), id=name)
        for name in names
    ]
