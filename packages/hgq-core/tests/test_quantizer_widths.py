"""Which widths a quantizer stores, what it counts for them, and in which mode it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY
from hgq_core.quantizer import Mode, counted, declared, fraction, mode_of, second, straight_through, width_names
from hgq_core.spec import KBI, KIF, TYPES, Bounds, Dummy, Float, make_spec, parameter_names


@pytest.mark.parametrize("overflow", Overflow)
def test_fixed_point(overflow):
    limits = {"ic": Bounds(-1, 1), "ir": 0.25, "overflow_mode": overflow}
    kif = declared(KIF(fc=Bounds(0, 9), fr=0.5, k0=0, i0=3, f0=5, **limits))
    kbi = declared(KBI(bc=Bounds(0, 9), br=0.5, k0=0, i0=3, b0=7, **limits))
    learned = overflow is not Overflow.WRAP
    k, i = ("k", 0, None, None, False), ("i", 3, Bounds(-1, 1), 0.25, learned)
    assert rows(kif) == [k, i, ("f", 5, Bounds(0, 9), 0.5, True)]
    assert rows(kbi) == [k, ("b", 7, Bounds(0, 9), 0.5, True), i]


def rows(widths):
    assert all(width.trained is width.learned for width in widths)
    return [(w.name, w.start, w.constraint, w.regularizer, w.learned) for w in widths]


def test_minifloat_and_dummy():
    spec = Float(m0=3, e0=4, e00=-2, mc=Bounds(-1, 8), er=0.5)
    assert rows(declared(spec)) == [
        ("m", 3, Bounds(-1, 8), None, True),
        ("e", 4, spec.ec, 0.5, True),
        ("e0", -2, spec.e0c, None, True),
    ]
    assert declared(Dummy()) == ()


@pytest.mark.parametrize("q_type", ["kif", "kbi", "float"])
def test_what_is_not_trainable_has_gradients_that_nobody_follows(q_type):
    free, fixed = (declared(make_spec(q_type, {"trainable": flag})) for flag in (True, False))
    assert [width.learned for width in free] == [width.learned for width in fixed]
    assert not any(width.trained for width in fixed)


@pytest.mark.parametrize("q_type", TYPES)
def test_a_type_is_told_by_its_widths_and_every_start_is_a_parameter(q_type):
    names = [width.name for width in declared(make_spec(q_type, {}))]
    assert tuple(names) == width_names(q_type)
    assert [other for other in TYPES if width_names(other) == tuple(names)] == [q_type]
    starts = {"float": {"m0", "e0", "e00"}}.get(q_type, {f"{name}0" for name in names})
    assert starts <= set(parameter_names(q_type))


@given(st.integers(-9, 9), st.integers(-9, 9))
def test_fraction(width, i):
    assert fraction(KIF(), width, i) == width
    assert fraction(KBI(), width, i) == width - i
    assert (second(KIF()), second(KBI())) == ("f", "b")


@given(st.floats(-100, 100))
def test_widths_are_read_half_to_even(stored):
    assert straight_through(NUMPY, stored) == round(stored)


@given(st.integers(0, 1), st.integers(-6, 6), st.integers(-6, 6), st.sampled_from(Overflow))
def test_both_parametrisations_count_the_same(k, i, f, overflow):
    widths = {"k": float(k), "i": float(i), "f": float(f), "b": float(i + f)}
    kif, kbi = (counted(NUMPY, kind(overflow_mode=overflow), widths.__getitem__) for kind in (KIF, KBI))
    alive = k + i + f > 0
    assert kif == kbi == (i + f + (k if overflow is Overflow.SAT else 0) if alive else 0)


@pytest.mark.parametrize("overflow", Overflow)
def test_the_bits_of_kbi_do_not_ask_for_the_range(overflow):
    asked = []

    def whole(name):
        asked.append(name)
        return 4.0

    counted(NUMPY, KBI(overflow_mode=overflow), whole)
    assert "i" not in asked


@given(st.integers(-1, 8), st.integers(0, 4), st.integers(-16, 16))
def test_a_minifloat_counts_its_bits_and_a_dummy_none(m, e, e0):
    widths = {"m": float(m), "e": float(e), "e0": float(e0)}
    assert counted(NUMPY, Float(), widths.__getitem__) == (m + e + 1 if m >= 0 else 0)
    assert counted(NUMPY, Dummy(), widths.__getitem__) == 0


MODES = {
    (False, False, False): Mode.INFER,
    (False, False, True): Mode.TRAIN,
    (False, True, False): Mode.CALIBRATE,
    (False, True, True): Mode.CALIBRATE,
    (True, False, False): Mode.INFER,
    (True, False, True): Mode.INFER,
    (True, True, False): Mode.INFER,
    (True, True, True): Mode.INFER,
}


@pytest.mark.parametrize("given_", MODES)
def test_the_mode(given_):
    frozen, calibrating, training = given_
    assert mode_of(frozen=frozen, calibrating=calibrating, training=training) is MODES[given_]
