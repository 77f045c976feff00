"""Every comparison helper passes what is equal and fails on a planted error, naming place, values and call."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare
from hgq_core.conformance.compare import MismatchError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round


def test_every_helper_is_tested_here() -> None:
    tested = {"equal", "close", "between", "no_gradient", "differs", "decreasing", "same_graph", "MismatchError"}
    assert set(compare.__all__) == tested


ONE_WRONG: list[tuple[Any, Any]] = [
    ([1.0, 2.0], [1.0, 2.5]),
    ([1.0, np.nan], [1.0, np.nan]),
    ([1.0, np.inf], [1.0, 2.0]),
    ([1.0, 1.0 + 2**-52], [1.0, 1.0]),
    ([[1.0, 2.0]], [1.0, 2.0]),
    (1.0, [1.0]),
    (None, [1.0]),
    (["1.0"], [1.0]),
    ([], []),
    ([0.5], [Fraction(1, 3)]),
]


def test_equal_passes_what_is_equal() -> None:
    compare.equal([0.5, -0.0, 3], [Fraction(1, 2), 0.0, 3], "f(x)")
    compare.equal(np.float32(2), 2, "f(x)")
    compare.equal([True, False], [1, 0], "f(x)")


@pytest.mark.parametrize(("got", "expected"), ONE_WRONG)
def test_equal_fails(got: Any, expected: Any) -> None:
    with pytest.raises(MismatchError, match=r"^f\(x\): "):
        compare.equal(got, expected, "f(x)")


def test_the_report_names_place_values_and_input() -> None:
    says = r"f\(x\): 2 of 4 values differ, first at \(0, 1\): received .*7.0.*, expected .*2.0.* for the input .*9"
    with pytest.raises(MismatchError, match=says):
        compare.equal([[1, 7], [3, 8]], [[1, 2], [3, 4]], "f(x)", np.array([[0, 9], [0, 0]]))


def test_between_passes_what_is_between_in_any_order_of_the_bounds() -> None:
    compare.between([0.5, 1.0, 2.0], ([0.5, 2.0, 2.0], [1.0, 0.0, 2.0]), "f(x)")
    compare.between([1.00001], ([0.0], [1.0]), "f(x)")


@pytest.mark.parametrize("got", [[0.4], [1.1], [np.nan], [[0.7]], None, []])
def test_between_fails(got: Any) -> None:
    bounds = ([], []) if got == [] else ([0.5], [1.0])
    with pytest.raises(MismatchError, match=r"^f\(x\): "):
        compare.between(got, bounds, "f(x)")


def test_close_passes_what_is_close() -> None:
    compare.close([1.00001, 0.0], [1.0, 0.0], "f(x)")
    compare.close([1e-6], [0.0], "f(x)", scale=1.0)
    compare.close([1e-3], [0.0], "f(x)", scale=1.0, relative=1e-2)


@pytest.mark.parametrize(
    ("got", "expected", "options"),
    [
        ([1.0001], [1.0], {}),
        ([1e-9], [0.0], {}),
        ([1e-4], [0.0], {"scale": 1.0}),
        ([1.0 + 1e-9], [1.0], {"relative": 0.0}),
        ([-1.0], [1.0], {}),
        ([0.0, 1.0], [0.0, 1.1], {"scale": [100.0, 1.0]}),
        ([np.nan], [1.0], {"scale": 10.0}),
        ([np.inf], [1.0], {}),
        (None, [1.0], {}),
        ([], [], {}),
        ([[1.0]], [1.0], {}),
    ],
)
def test_close_fails(got: Any, expected: Any, options: dict[str, Any]) -> None:
    with pytest.raises(MismatchError, match=r"^f\(x\): "):
        compare.close(got, expected, "f(x)", **options)


def test_no_gradient() -> None:
    compare.no_gradient(None, "f(x)")
    compare.no_gradient(np.zeros(3), "f(x)")
    for planted in ([0.0, 1e-30], [np.nan], [[-1.0]]):
        with pytest.raises(MismatchError, match=r"^f\(x\): "):
            compare.no_gradient(np.array(planted), "f(x)")


def test_differs() -> None:
    compare.differs([1.0, 2.0], [1.0, 2.1], "f(x)")
    for planted in ([1.0, 2.1], [1.0, np.nan], [1.0], None):
        with pytest.raises(MismatchError, match=r"^f\(x\): "):
            compare.differs(planted, [1.0, 2.1], "f(x)")


def test_decreasing() -> None:
    compare.decreasing([1.0, 0.9, 0.5, 0.4], "f(x)")
    for planted in ([1.0] * 8, [1.0, 0.1, 0.1, 1.0], [0.5, 0.4], [1.0, 0.5, 0.4, np.nan], [0.0] * 4, []):
        with pytest.raises(MismatchError, match=r"^f\(x\): "):
            compare.decreasing(planted, "f(x)")


def graph(f: int = 3, kernel: float = 0.5, label: str = "a") -> Graph:
    builder = GraphBuilder()
    x = builder.add(op.Input((2,)))
    quantized = builder.add(op.Quantize(Formats.of(1, 2, f), Round.RND, Overflow.WRAP), x)
    constant = builder.add(op.Constant.of([[kernel], [1.0]]))
    return builder.build([builder.add(op.Contract("bi,io->bo"), quantized, constant, label=label)])


@pytest.mark.parametrize("planted", [{"f": 4}, {"kernel": 0.25}, {"label": "b"}])
def test_same_graph(planted: dict[str, Any]) -> None:
    compare.same_graph(graph(), graph(), "f(x)")
    with pytest.raises(MismatchError, match=r"f\(x\): the graphs differ; first different node"):
        compare.same_graph(graph(**planted), graph(), "f(x)")
