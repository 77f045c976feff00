"""Channels first around declarations whose channels come last, and numbers of tables without noise."""

import numpy as np
import pytest

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Relu
from hgq_core.layers import ChannelsFirst, Convolution, trace
from hgq_core.layers.noise import without_noise


def test_channels_first_moves_and_moves_back():
    convolution = Convolution(8, (3, 3), (1, 1), "valid", (1, 1))
    program = trace(ChannelsFirst(convolution), (4, 6, 7))
    assert program.output_shape == (8, 4, 5)
    assert program.weights["kernel"].shape == (3, 3, 4, 8)
    assert len(trace(ChannelsFirst(lambda t, x: t.op(Relu(), x)), (4,)).steps) == 2


def test_channels_first_wants_one_value():
    with pytest.raises(ConfigError, match="expected one value"):
        trace(ChannelsFirst(lambda t, x: (x, x)), (4, 6))


def test_noise_is_rounded_away_and_ties_stay_in_the_middle():
    between = 1.0 + 2.0**-24  # in the middle of two numbers of float32
    noisy = np.array([between + 2.0**-52, between - 2.0**-52, -between - 2.0**-52, 0.0, 3.0e-300])
    assert without_noise(noisy)[:4].tolist() == [between, between, -between, 0.0]
    numbers = np.random.default_rng(0).normal(size=1000)
    assert np.array_equal(without_noise(without_noise(numbers)), without_noise(numbers))
    assert np.max(np.abs(without_noise(numbers) / numbers - 1)) <= 2.0**-41
