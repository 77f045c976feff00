"""Group granularity: which elements share a width, for tracking, for gradients and for values."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend, Mode
from hgq_core.conformance.cases_numbers import fixed_spec
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.modes import Overflow, Round

pytestmark = pytest.mark.feature("granularity")

SHAPE = (6, 4, 3, 2)

SHARING: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "per-element": ({"homogeneous_axis": (0,)}, (1, 4, 3, 2)),
    "per-tensor": ({"homogeneous_axis": None, "heterogeneous_axis": ()}, (1, 1, 1, 1)),
    "per-channel": ({"homogeneous_axis": None, "heterogeneous_axis": (3,)}, (1, 1, 1, 2)),
    "per-channel-from-behind": ({"homogeneous_axis": None, "heterogeneous_axis": (-1,)}, (1, 1, 1, 2)),
    "two-axes": ({"homogeneous_axis": None, "heterogeneous_axis": (1, 3)}, (1, 4, 1, 2)),
    "shared-rows": ({"homogeneous_axis": (0, 1)}, (1, 1, 3, 2)),
    "shared-from-behind": ({"homogeneous_axis": (0, -2)}, (1, 4, 1, 2)),
    "blocks": ({"homogeneous_axis": (0,), "blocks": {1: 2}}, (1, 2, 3, 2)),
    "blocks-shared": ({"homogeneous_axis": (0, 2), "blocks": {1: 2, 3: 2}}, (1, 2, 1, 1)),
}
"""Arguments, and the size of the width tensor along each axis (number of blocks where there are some)."""


def data() -> np.ndarray:
    rng = np.random.default_rng(11)
    return (rng.uniform(-1, 1, SHAPE) * 2.0 ** rng.integers(-2, 5, SHAPE[1:])).astype(np.float32)


def groups(widths: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """The slices of the data that share a width, in the order of the raveled width tensor."""
    sizes = [n // w for n, w in zip(SHAPE, widths, strict=True)]
    return [
        tuple(slice(p * s, (p + 1) * s) for p, s in zip(at, sizes, strict=True)) for at in product(*map(range, widths))
    ]


def spread(values: list[Any], widths: tuple[int, ...]) -> np.ndarray:
    """One value per group, repeated to the shape of the data."""
    full = np.zeros(SHAPE, dtype=np.asarray(values).dtype)
    for where, value in zip(groups(widths), values, strict=True):
        full[where] = value
    return full


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("name", SHARING)
def test_tracking_takes_the_extremes_of_each_group(backend: Backend, name: str, q_type: str) -> None:
    arguments, widths = SHARING[name]
    x = data()
    quantizer = backend.quantizer(fixed_spec(q_type, Round.RND, Overflow.WRAP, **arguments), (None, *SHAPE[1:]))
    quantizer.assign({"k": 1, "i": -9, **({"f": 3} if q_type == "kif" else {"b": 6})})
    function, width = (expected.integer_bits, 3) if q_type == "kif" else (expected.integer_bits_kbi, 6)
    i = [function(x[where].min(), x[where].max(), width, Round.RND) for where in groups(widths)]
    f = [3 if q_type == "kif" else 6 - n for n in i]
    call = f"Quantizer({q_type}, {name})"
    wanted = expected.only_rounded(x, spread(f, widths), Round.RND)
    compare.equal(quantizer.forward(x, Mode.CALIBRATE), wanted, f"{call}.forward(CALIBRATE)", x)
    compare.equal(np.ravel(quantizer.widths()["i"]), i, f"{call}: stored i of each group")
    compare.equal(quantizer.forward(x, Mode.INFER), wanted, f"{call}.forward(INFER)", x)
    formats = quantizer.formats()
    compare.equal(np.broadcast_to(formats.i, SHAPE), spread(i, widths), f"{call}.formats().i, broadcast to the data")
    bits = spread([max(a + b, 0) for a, b in zip(i, f, strict=True)], widths)
    compare.equal(np.broadcast_to(quantizer.bits(), SHAPE), bits, f"{call}.bits(), broadcast to the data")


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("name", SHARING)
def test_gradients_are_summed_over_each_group(backend: Backend, name: str, q_type: str) -> None:
    arguments, widths = SHARING[name]
    x = data()
    g = np.random.default_rng(12).normal(size=SHAPE).astype(np.float32)
    quantizer = backend.quantizer(fixed_spec(q_type, Round.TRN, Overflow.SAT, **arguments), (None, *SHAPE[1:]))
    count = len(groups(widths))
    i, f = np.arange(count) % 3, np.arange(count) % 2 + 1
    shape = np.shape(quantizer.widths()["i"])
    stored = {"k": np.ones(count), "i": i, **({"f": f} if q_type == "kif" else {"b": i + f})}
    quantizer.assign({key: np.reshape(value, shape) for key, value in stored.items()})
    fi, ff = spread(list(i), widths), spread(list(f), widths)
    xq = expected.fixed(x, 1, fi, ff, Round.TRN, Overflow.SAT)
    dx, di, df = expected.fixed_gradients(x, xq, g, 1, fi, ff, Overflow.SAT)
    got = quantizer.gradients(x, g)
    call = f"gradients({q_type}, {name})"
    compare.equal(got.xq, xq, f"{call}: output", x)
    compare.close(got.dx, dx, f"{call}: d/dx", x)
    fraction, integer = ("f", di) if q_type == "kif" else ("b", di - df)
    for key, elements in ((fraction, df), ("i", integer)):
        gradient = np.asarray(got.widths[key])
        total = [elements[where].sum() for where in groups(widths)]
        scale = [(np.abs(df) + np.abs(di))[where].sum() for where in groups(widths)]
        compare.close(gradient.ravel(), total, f"{call}: d/d{key} of each group", scale=scale)
        compare.equal(gradient.shape, shape, f"{call}: shape of d/d{key}")


def test_an_axis_of_unknown_size_cannot_have_its_own_widths(backend: Backend) -> None:
    spec = fixed_spec("kif", Round.RND, Overflow.WRAP, homogeneous_axis=(0,))
    with pytest.raises(ShapeError, match=r"axis 1 of shape \(None, None, 3\)"):
        backend.quantizer(spec, (None, None, 3))


@pytest.mark.parametrize("arguments", [{"homogeneous_axis": (5,)}, {"homogeneous_axis": (0,), "blocks": {1: 3}}])
def test_axes_and_blocks_that_do_not_fit(backend: Backend, arguments: dict[str, Any]) -> None:
    spec = fixed_spec("kif", Round.RND, Overflow.WRAP, **arguments)
    with pytest.raises(ConfigError, match=r"out of range|do not divide"):
        backend.quantizer(spec, (None, 4, 3))
