"""The defaults of the specification (numbers, section 9), value by value."""

from math import inf, nan

import pytest

from hgq_core.errors import ConfigError
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.scope import resolve
from hgq_core.spec import Bounds, Dummy, make_spec

PER_ELEMENT, PER_TENSOR, BUT_BATCH = ((), None), (None, ()), ((0,), None)
DATA = {"f0": 6, "ic": Bounds(-23, 23), "fc": Bounds(-24, 24), "ir": 1e-8, "fr": 1e-8}
TABLE = {
    ("default", "weight"): ("kbi", {"b0": 8, "bc": Bounds(0, 23), "br": 1e-8, "ir": None, "ic": None}),
    ("default", "bias"): ("kbi", {"b0": 8, "bc": Bounds(0, 24), "br": 1e-8, "ir": None, "ic": None}),
    ("default", "table"): ("kbi", {"b0": 8, "bc": Bounds(0, 23), "br": 1e-8, "ir": None, "ic": None}),
    ("default", "datalane"): ("kif", DATA),
    ("kif", "weight"): ("kif", DATA),
}
PLACES = {
    "weight": (Overflow.SAT_SYM, PER_ELEMENT, inf),
    "bias": (Overflow.WRAP, PER_ELEMENT, 0.01),
    "table": (Overflow.SAT_SYM, PER_TENSOR, inf),
    "datalane": (Overflow.WRAP, BUT_BATCH, 0.01),
}


@pytest.mark.parametrize(("asked", "place"), TABLE)
def test_fixed_point_defaults(asked, place):
    spec = resolve(asked, place)
    q_type, widths = TABLE[asked, place]
    overflow, axes, decay = PLACES[place]
    assert spec.q_type == q_type
    assert {name: getattr(spec, name) for name in widths} == widths
    assert (spec.k0, spec.i0, spec.round_mode, spec.overflow_mode) == (1, 2, Round.RND, overflow)
    assert (spec.homogeneous_axis, spec.heterogeneous_axis) == axes
    assert spec.i_decay_speed == decay
    assert spec.is_weight == (place == "weight")


@pytest.mark.parametrize("place", PLACES)
def test_minifloat_defaults(place):
    spec = resolve("float", place)
    assert (spec.m0, spec.e0, spec.e00) == (2, 4, 0)
    assert (spec.mc, spec.ec, spec.e0c) == (Bounds(-1, 8), Bounds(0, 4), Bounds(-16, 16))
    assert (spec.homogeneous_axis, spec.heterogeneous_axis) == PLACES[place][1]


def test_plural_places_and_the_identity():
    assert resolve(place="weights") == resolve(place="weight")
    assert resolve("dummy", "bias") == Dummy()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: resolve(place="wight"), "place: received 'wight', expected one of"),
        (lambda: resolve("kfi"), "quantizer type: received 'kfi'"),
        (lambda: resolve("kif", "weight", b0=3), "unknown quantizer parameter 'b0' for type kif"),
        (lambda: resolve("kbi", "weight", rond_mode="TRN"), "did you mean 'round_mode'"),
        (lambda: resolve(homogeneous_axis=(0,), heterogeneous_axis=(1,)), "exclude each other"),
        (lambda: resolve(overflow_mode="STA"), "did you mean 'SAT'"),
        (lambda: resolve(i_decay_speed=-1.0), "expected bits per step"),
        (lambda: make_spec("kif", {"homogeneous_axis": None}), "exactly one of the two"),
        (lambda: Bounds(3, 2), "expected low <= high"),
        (lambda: Bounds(nan, 2), "expected low <= high"),
    ],
)
def test_what_does_not_exist_is_refused(call, says):
    with pytest.raises(ConfigError, match=says):
        call()


def test_one_kind_of_axes_replaces_the_other():
    spec = resolve(place="weight", heterogeneous_axis=[0])
    assert (spec.homogeneous_axis, spec.heterogeneous_axis) == (None, (0,))


def test_bounds_clip_and_leave_open_what_is_open():
    assert [float(Bounds(0, 3).clip(NUMPY, w)) for w in (-1.0, 2.5, 9.0)] == [0.0, 2.5, 3.0]
    assert [float(Bounds(low=0).clip(NUMPY, w)) for w in (-1.0, 1e9)] == [0.0, 1e9]
