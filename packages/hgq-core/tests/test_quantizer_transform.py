"""Scaler, noise factor and affine map around a quantizer, in fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.quantizer import Mode, transformed

NUMBERS = st.fractions(-50, 50, max_denominator=64)
FACTORS = NUMBERS.filter(bool)
NOISE = st.fractions(0, 1, max_denominator=8)


def optional(strategy):
    return st.none() | strategy


@given(NUMBERS, optional(FACTORS), optional(st.tuples(FACTORS, NUMBERS)), optional(NOISE), st.sampled_from(Mode))
def test_scaler_then_noise_then_affine_map(x, scaler, affine, noise, mode):
    s, (a, b) = scaler or 1, affine or (1, 0)
    n = noise if noise is not None and mode is Mode.TRAIN else 1
    q = s * round(x / s)
    got = transformed(x, round, mode=mode, scaler=scaler, affine=affine, noise_factor=noise)
    assert got == a * ((1 - n) * x + n * q) + b


@given(NUMBERS, optional(FACTORS), optional(st.tuples(FACTORS, NUMBERS)), optional(NOISE), st.sampled_from(Mode))
def test_of_a_dummy_the_affine_map_is_left(x, scaler, affine, noise, mode):
    a, b = affine or (1, 0)
    assert transformed(x, None, mode=mode, scaler=scaler, affine=affine, noise_factor=noise) == a * x + b


@pytest.mark.parametrize("scaler", [0.7, -1.1])
def test_without_noise_training_is_the_input_bit_for_bit_and_a_dummy_is_not_scaled(scaler):
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert not np.array_equal(x / scaler * scaler, x)
    assert np.array_equal(transformed(x, np.rint, mode=Mode.TRAIN, scaler=scaler, noise_factor=0.0), x)
    assert transformed(x, None, mode=Mode.INFER, scaler=scaler) is x


def test_the_plain_quantizer_is_called_once_and_nothing_is_added():
    result = object()
    assert transformed(Fraction(1), lambda _: result, mode=Mode.TRAIN) is result
