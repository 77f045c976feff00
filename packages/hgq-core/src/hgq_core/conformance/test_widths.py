"""Group widths: how stored widths are read, and how WRAP follows the data in training and in calibration."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend, Mode, Quantizer
from hgq_core.conformance.cases_numbers import FORMATS, fixed_spec, format_arrays, stored_widths
from hgq_core.modes import Overflow, Round
from hgq_core.spec import Bounds

pytestmark = pytest.mark.feature("widths")

Q_TYPES = ["kif", "kbi"]
FRACTION = 2

EXTREMES = [
    (-4.0, 1.0),  # exactly -2**n costs n bits
    (0.0, 4.0),  # exactly 2**n costs one more
    (-4.125, 0.0),  # RND ties up to -4
    (-4.25, 0.0),
    (0.0, 3.75),
    (0.0, 3.875),  # a tie that may reach 4
    (0.0, 3.99),  # nearest reaches 4, truncation does not
    (-1.0, 0.75),
    (-1.0, 1.0),
    (-0.26, 0.1),
    (0.1, 0.2),
    (-0.125, 0.0),
    (-8.0, -4.0),
    (2.0, 7.9),
    (-63.9, 64.0),
    (-128.0, 127.75),
    (0.0, 0.25),
    (-0.25, 0.0),
    (-0.5, 0.5),
]
"""Smallest and largest number of a column."""


def columns() -> np.ndarray:
    """A batch of four whose columns have these extremes."""
    low, high = np.array(EXTREMES, dtype=np.float32).T
    return np.stack([low, (low + high) / 2, high, low / 2 + high / 2])


def needed(q_type: str, x: np.ndarray, width: int, round_mode: Round) -> np.ndarray:
    """Integer bits that each column needs; ``width`` is f or b."""
    function = expected.integer_bits if q_type == "kif" else expected.integer_bits_kbi
    return np.array([[function(column.min(), column.max(), width, round_mode) for column in x.T]])


def make(backend: Backend, q_type: str, round_mode: Round = Round.RND, **parameters: Any) -> Quantizer:
    """A WRAP quantizer for `columns`, ``f = 2`` or ``b = 6``, k = 1, i far below."""
    spec = fixed_spec(q_type, round_mode, Overflow.WRAP, **parameters)
    quantizer = backend.quantizer(spec, (None, len(EXTREMES)))
    quantizer.assign({"k": 1, "i": -12, **({"f": FRACTION} if q_type == "kif" else {"b": 6})})
    return quantizer


def width_of(q_type: str) -> int:
    return FRACTION if q_type == "kif" else 6


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("round_mode", Round)
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.CALIBRATE])
def test_exactly_the_needed_integer_bits(backend: Backend, mode: Mode, round_mode: Round, q_type: str) -> None:
    x = columns()
    quantizer = make(backend, q_type, round_mode)
    i = needed(q_type, x, width_of(q_type), round_mode)
    f = np.full_like(i, FRACTION) if q_type == "kif" else 6 - i
    call = f"Quantizer({q_type}, {round_mode}, WRAP).forward({mode})"
    wanted = expected.only_rounded(x, f, round_mode)
    compare.equal(quantizer.forward(x, mode), wanted, f"{call}: rounds only", x)
    compare.equal(quantizer.widths()["i"], i, f"{call}: stored i", x[:1])
    compare.equal(quantizer.forward(x, Mode.INFER), wanted, f"{call}, then INFER: nothing wraps", x)
    compare.equal(quantizer.widths()["i"], i, f"{call}, then INFER: stored i stays")


@pytest.mark.parametrize("f", [16, 20, 24])
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.CALIBRATE])
def test_exactly_the_needed_integer_bits_at_the_edge_of_float32(backend: Backend, mode: Mode, f: int) -> None:
    quantizer = make(backend, "kif")
    quantizer.assign({"f": f})
    # One step above and below a power of two, where a float32 holds no more bits.
    powers = np.float32(2.0) ** (np.arange(len(EXTREMES)) % 4 + 23 - f).astype(np.float32)
    beside = [powers, np.nextafter(powers, np.float32(0)), np.nextafter(powers, np.float32(np.inf))]
    chosen = np.choose(np.arange(len(EXTREMES)) % 3, beside)
    x = np.stack([chosen, -chosen / 2, chosen / 4, -chosen / 4]) * np.where(np.arange(len(EXTREMES)) % 2, 1, -1)
    x = x.astype(np.float32)
    i = needed("kif", x, f, Round.RND)
    quantizer.forward(x, mode)
    compare.equal(quantizer.widths()["i"], i, f"Quantizer(kif, f={f}, WRAP).forward({mode}): stored i", x[:1])
    wanted = expected.only_rounded(x, np.full_like(i, f), Round.RND)
    compare.equal(quantizer.forward(x, Mode.INFER), wanted, f"kif, f={f}, {mode}, then INFER: nothing wraps", x)


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("round_mode", Round)
def test_random_data_after_calibration_never_wraps(backend: Backend, round_mode: Round, q_type: str) -> None:
    rng = np.random.default_rng(5)
    x = (rng.normal(size=(64, len(EXTREMES))) * 2.0 ** rng.integers(-3, 6, len(EXTREMES))).astype(np.float32)
    quantizer = make(backend, q_type, round_mode)
    i = needed(q_type, x, width_of(q_type), round_mode)
    f = np.full_like(i, FRACTION) if q_type == "kif" else 6 - i
    quantizer.forward(x, Mode.CALIBRATE)
    call = f"Quantizer({q_type}, {round_mode}, WRAP) calibrated"
    compare.equal(quantizer.widths()["i"], i, f"{call}: stored i")
    wanted = expected.only_rounded(x, f, round_mode)
    compare.equal(quantizer.forward(x, Mode.INFER), wanted, f"{call}.forward(INFER)", x)


@pytest.mark.parametrize("q_type", Q_TYPES)
def test_training_decays_slowly(backend: Backend, q_type: str) -> None:
    quantizer = make(backend, q_type)
    quantizer.assign({"i": 9.0})
    x = columns()
    for step in range(1, 4):
        quantizer.forward(x, Mode.TRAIN)
        stored = np.full((1, len(EXTREMES)), 9.0 - 0.01 * step)
        compare.close(quantizer.widths()["i"], stored, f"{q_type}: stored i after {step} step(s)", relative=1e-6)


@pytest.mark.parametrize("q_type", Q_TYPES)
def test_decay_stops_at_what_the_batch_needs(backend: Backend, q_type: str) -> None:
    quantizer = make(backend, q_type)
    x = columns()
    i = needed(q_type, x, width_of(q_type), Round.RND)
    quantizer.assign({"i": i + 0.015})
    for _ in range(3):
        quantizer.forward(x, Mode.TRAIN)
    compare.equal(quantizer.widths()["i"], i, f"{q_type}: stored i once the decay met the data")


@pytest.mark.parametrize("q_type", Q_TYPES)
def test_infinite_speed_tracks_at_once(backend: Backend, q_type: str) -> None:
    quantizer = make(backend, q_type, i_decay_speed=inf)
    quantizer.assign({"i": 9.0})
    x = columns()
    quantizer.forward(x, Mode.TRAIN)
    i = needed(q_type, x, width_of(q_type), Round.RND)
    compare.equal(quantizer.widths()["i"], i, f"{q_type}, i_decay_speed=inf: stored i")


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.CALIBRATE])
def test_the_constraint_of_i_holds(backend: Backend, mode: Mode, q_type: str) -> None:
    quantizer = make(backend, q_type, ic=Bounds(-1, 1))
    x = columns()
    quantizer.forward(x, mode)
    i = np.clip(needed(q_type, x, width_of(q_type), Round.RND), -1, 1)
    compare.equal(quantizer.widths()["i"], i, f"{q_type}, ic=[-1, 1], {mode}: stored i")


@pytest.mark.parametrize("q_type", Q_TYPES)
def test_calibration_only_grows_i(backend: Backend, q_type: str) -> None:
    quantizer = make(backend, q_type)
    quantizer.assign({"i": 3})
    x = columns()
    i = np.maximum(needed(q_type, x, width_of(q_type), Round.RND), 3)
    quantizer.forward(x, Mode.CALIBRATE)
    compare.equal(quantizer.widths()["i"], i, f"{q_type}: stored i after one batch")
    quantizer.forward(x * np.float32(0.125), Mode.CALIBRATE)
    compare.equal(quantizer.widths()["i"], i, f"{q_type}: stored i after a smaller batch")


@pytest.mark.parametrize("q_type", Q_TYPES)
def test_calibration_sets_k_where_a_quantized_value_is_negative(backend: Backend, q_type: str) -> None:
    quantizer = make(backend, q_type)
    quantizer.assign({"k": 0, **({"i": 3, "f": 0} if q_type == "kif" else {"i": 3, "b": 3})})
    x = columns()
    quantizer.forward(x, Mode.TRAIN)
    compare.equal(quantizer.widths()["k"], np.zeros((1, len(EXTREMES))), f"{q_type}: training leaves k")
    quantizer.assign({"i": 3})
    xq = quantizer.forward(x, Mode.CALIBRATE)
    k = np.amax(xq < 0, axis=0, keepdims=True)
    compare.equal(k[0, :4], [True, False, True, True], "the case: which columns are negative")
    compare.equal(k[0, 11], False, "the case: a small negative number is rounded to 0")
    compare.equal(quantizer.widths()["k"], k, f"{q_type}: k after calibration")
    quantizer.forward(np.abs(x), Mode.CALIBRATE)
    compare.equal(quantizer.widths()["k"], k, f"{q_type}: k never goes back")


@pytest.mark.parametrize("q_type", Q_TYPES)
def test_calibration_sets_k_where_the_sign_is_the_only_bit(backend: Backend, q_type: str) -> None:
    """One step below zero needs a sign and nothing else; without the sign the element would be dead."""
    quantizer = backend.quantizer(fixed_spec(q_type, Round.RND, Overflow.WRAP), (None, 2))
    quantizer.assign({"k": 0, "i": -12, **({"f": 2} if q_type == "kif" else {"b": 0})})
    x = np.array([[-0.25, -0.125], [0.0, 0.0]], dtype=np.float32)
    wanted = expected.only_rounded(x, [[2, 2 if q_type == "kif" else 3]], Round.RND)
    call = f"Quantizer({q_type}, WRAP) of one step below zero"
    compare.equal(quantizer.forward(x, Mode.CALIBRATE), wanted, f"{call}: forward(calibrate)", x)
    compare.equal(quantizer.widths()["k"], wanted[:1] < 0, f"{call}: k after calibration")
    compare.equal(quantizer.forward(x, Mode.INFER), wanted, f"{call}: then forward(INFER)", x)


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.CALIBRATE])
def test_zeros_are_no_trouble(backend: Backend, mode: Mode, q_type: str) -> None:
    quantizer = make(backend, q_type, ic=Bounds(-23, 23))
    x = np.zeros_like(columns())
    call = f"{q_type}, WRAP, all zeros"
    compare.equal(quantizer.forward(x, mode), x, f"{call}: forward({mode})")
    compare.equal(quantizer.forward(x, Mode.INFER), x, f"{call}: then forward(INFER)")
    finite = np.isfinite(quantizer.widths()["i"])
    compare.equal(finite, np.ones_like(finite), f"{call}: stored i is finite")


@pytest.mark.parametrize("q_type", Q_TYPES)
def test_weights_do_not_wrap_at_inference(backend: Backend, q_type: str) -> None:
    x = columns()
    spec = fixed_spec(
        q_type, Round.RND, Overflow.WRAP, homogeneous_axis=(), is_weight=True, i_decay_speed=inf, ic=Bounds(-23, 23)
    )
    quantizer = backend.quantizer(spec, x.shape)
    quantizer.assign({"k": 1, "i": 0, **({"f": FRACTION} if q_type == "kif" else {"b": 6})})
    i = np.array(
        [[needed(q_type, np.array([[v]]), width_of(q_type), Round.RND)[0, 0] if v else 0 for v in r] for r in x]
    )
    f = np.full(x.shape, FRACTION) if q_type == "kif" else 6 - i
    got = quantizer.forward(x, Mode.INFER)
    compare.equal(got, expected.only_rounded(x, f, Round.RND), f"{q_type} weights, WRAP, forward(INFER)", x)


@pytest.mark.parametrize("mode", [Mode.INFER, Mode.TRAIN])
@pytest.mark.parametrize("left", [{"k": 1, "ic": Bounds(-23, 1)}, {"k": 0}], ids=["too few integer bits", "no sign"])
def test_weights_are_exempt_from_wrapping_whatever_range_is_left(
    backend: Backend, left: dict[str, Any], mode: Mode
) -> None:
    x = np.array([[5.0, -1.25, 0.5], [-64.0, 3.99, -7.6]], dtype=np.float32)
    parameters = {"homogeneous_axis": (), "is_weight": True, "i_decay_speed": inf, "ic": left.get("ic")}
    quantizer = backend.quantizer(fixed_spec("kif", Round.RND, Overflow.WRAP, **parameters), x.shape)
    quantizer.assign({"k": left["k"], "i": 0, "f": FRACTION})
    call = f"kif weights, WRAP, {left}: forward({mode})"
    compare.equal(quantizer.forward(x, mode), expected.only_rounded(x, FRACTION, Round.RND), call, x)


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("overflow_mode", Overflow)
def test_stored_widths_are_read_half_to_even(backend: Backend, overflow_mode: Overflow, q_type: str) -> None:
    stored = np.array([[0.5, 1.5, 2.5, 3.5, -0.5, -1.5, 2.4999, 2.5001]])
    quantizer = backend.quantizer(fixed_spec(q_type, Round.RND, overflow_mode), (None, 8))
    quantizer.assign({"k": 1, "i": stored, **({"f": stored + 2} if q_type == "kif" else {"b": stored + 4})})
    formats = quantizer.formats()
    i = expected.read(stored)
    f = expected.read(stored + 2) if q_type == "kif" else expected.read(stored + 4) - i
    call = f"Quantizer({q_type}, {overflow_mode})"
    for name, wanted in (("k", np.ones_like(i)), ("i", i), ("f", f)):
        compare.equal(getattr(formats, name), wanted, f"{call}.formats().{name}", stored)
    compare.equal(quantizer.bits(), expected.counted_bits(1, i, f, overflow_mode), f"{call}.bits()", stored)
    x = np.linspace(-9, 9, 40, dtype=np.float32).reshape(5, 8)
    wanted = expected.fixed(x, 1, i, f, Round.RND, overflow_mode)
    compare.equal(quantizer.forward(x, Mode.INFER), wanted, f"{call}.forward(INFER)", x)


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("overflow_mode", Overflow)
def test_counted_bits(backend: Backend, overflow_mode: Overflow, q_type: str) -> None:
    _, k, i, f = format_arrays()
    quantizer = backend.quantizer(fixed_spec(q_type, Round.RND, overflow_mode), (None, len(FORMATS)))
    quantizer.assign(stored_widths(q_type, k, i, f))
    wanted = expected.counted_bits(k, i, f, overflow_mode)
    compare.equal(quantizer.bits(), wanted, f"Quantizer({q_type}, {overflow_mode}).bits() of {list(FORMATS)}")
