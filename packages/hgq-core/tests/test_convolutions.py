"""Declared convolutions by their definition, without rounding: numbers, products that exist, and what does not fit."""

from itertools import product
from math import prod

import numpy as np
import pytest

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Convolve, Pad
from hgq_core.layers import Bits, DepthwiseConvolution, SeparableConvolution, TransposedConvolution, Values, trace
from hgq_core.linear import transposed_cuts
from hgq_core.ops import NUMPY


class Plain:
    """Slots that round nothing, each number of one bit."""

    def __init__(self, program, rng):
        self.program = program
        self.weights = {name: rng.integers(-9, 10, slot.shape) / 4 for name, slot in program.weights.items()}

    def stored(self, slot):
        return self.weights[slot]

    def quantized(self, slot, x):
        return x

    def bits(self, slot):
        described = self.program.quantizers[slot]
        return np.ones(described.shape if described.constant else (1, *described.shape))


def quantized(declaration):
    """With a quantizer of the data, whose bits count."""
    return lambda t, x: declaration(t, t.quantized("iq", x))


def scattered(x, kernel, strides, dilation, cuts, groups):
    """Each position of the input added to the output, and how many products there were."""
    *spatial, channels = x.shape[1:]
    *window, _, per_group = kernel.shape
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    full = [(n - 1) * s + r for n, s, r in zip(spatial, strides, reach, strict=True)]
    out = [n - sum(cut) for n, cut in zip(full, cuts, strict=True)]
    y, count = np.zeros((len(x), *out, per_group * groups)), 0
    for at, tap in product(product(*map(range, spatial)), product(*map(range, window))):
        place = [p * s + k * d - c[0] for p, s, k, d, c in zip(at, strides, tap, dilation, cuts, strict=True)]
        if not all(0 <= p < n for p, n in zip(place, out, strict=True)):
            continue
        for c, o in product(range(channels), range(per_group)):
            group = c // (channels // groups)
            y[(slice(None), *place, group * per_group + o)] += x[(slice(None), *at, c)] * kernel[(*tap, c, o)]
            count += 1
    return y, count


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("strides", "dilation", "padding", "more"),
    [
        ((1, 1), (1, 1), ((0, 0), (0, 0)), None),
        ((2, 3), (1, 1), ((1, 1), (0, 2)), (1, 0)),
        ((3, 1), (2, 3), ((2, 2), (1, 1)), (2, 2)),
        ((4, 4), (1, 1), ((0, 0), (0, 0)), (3, 3)),  # more than the window reaches
    ],
)
def test_a_transposed_convolution_adds_each_input_position_to_a_window(groups, strides, dilation, padding, more):
    declaration = TransposedConvolution(
        8, (3, 2), strides, padding, more, dilation, groups, use_bias=False, activation=None
    )
    program = trace(quantized(declaration), (3, 4, 4))
    slots = Plain(program, np.random.default_rng(groups))
    assert program.weights["kernel"].shape == (3, 2, 4, 8 // groups)
    x = np.random.default_rng(5).integers(-9, 10, (2, 3, 4, 4)) / 8
    extra = more or (0, 0)
    cuts = [(a, b - n) for (a, b), n in zip(padding, extra, strict=True)]
    wanted, count = scattered(x, slots.weights["kernel"], strides, dilation, cuts, groups)
    np.testing.assert_array_equal(Values(NUMPY, slots).read(program, [x]), wanted)
    assert float(Bits(NUMPY, slots).count(program)) == count


def test_filters_may_be_stored_first():
    rng = np.random.default_rng(2)
    first = trace(quantized(TransposedConvolution(3, (2,), (2,), "valid", use_bias=False, stored="filters")), (4, 2))
    other = trace(quantized(TransposedConvolution(3, (2,), (2,), "valid", use_bias=False)), (4, 2))
    slots, turned = Plain(first, rng), Plain(other, rng)
    assert slots.weights["kernel"].shape == (2, 3, 2)
    assert first.quantizers["kq"].shape == other.quantizers["kq"].shape == (2, 2, 3)
    turned.weights["kernel"] = np.swapaxes(slots.weights["kernel"], 1, 2)
    x = rng.integers(-9, 10, (5, 4, 2)) / 8
    np.testing.assert_array_equal(Values(NUMPY, slots).read(first, [x]), Values(NUMPY, turned).read(other, [x]))


def test_positions_beyond_the_windows_are_wires_and_hold_the_bias():
    program = trace(TransposedConvolution(2, (2,), (5,), "valid", activation=None), (3, 1))
    assert [type(step.kind) for step in program.steps if isinstance(step.kind, Convolve | Pad)] == [Convolve, Pad]
    assert program.output_shape == (15, 2)
    slots = Plain(program, np.random.default_rng(0))
    y = Values(NUMPY, slots).read(program, [np.zeros((1, 3, 1))])
    np.testing.assert_array_equal(y, np.broadcast_to(slots.weights["bias"], (1, 15, 2)))


def test_where_all_products_are_cut_away_there_is_nothing_to_pay_for():
    program = trace(quantized(TransposedConvolution(2, (1,), (5,), ((1, 1),), use_bias=False)), (2, 3))
    slots = Plain(program, np.random.default_rng(0))
    assert not Values(NUMPY, slots).read(program, [np.ones((1, 2, 3))]).any()
    assert float(Bits(NUMPY, slots).count(program)) == 0


@pytest.mark.parametrize("factor", [1, 3, 12])
def test_the_share_of_a_transposed_convolution_is_of_its_input_positions(factor):
    def cost(pf):
        declaration = TransposedConvolution(2, (2, 2), (2, 2), "same", parallelization_factor=pf)
        program = trace(quantized(declaration), (3, 4, 1))
        return float(Bits(NUMPY, Plain(program, np.random.default_rng(0))).count(program))

    assert cost(factor) == pytest.approx(cost(-1) * factor / 12)


@pytest.mark.parametrize("multiplier", [1, 3])
def test_each_channel_has_filters_of_its_own(multiplier):
    program = trace(quantized(DepthwiseConvolution((2,), (1,), "valid", (2,), multiplier, use_bias=False)), (6, 3))
    slots = Plain(program, np.random.default_rng(1))
    x = np.random.default_rng(2).integers(-9, 10, (4, 6, 3)) / 8
    kernel = slots.weights["kernel"]
    wanted = np.einsum("bnc,cm->bncm", x[:, :4], kernel[0]) + np.einsum("bnc,cm->bncm", x[:, 2:], kernel[1])
    np.testing.assert_array_equal(Values(NUMPY, slots).read(program, [x]), wanted.reshape(4, 4, -1))
    assert float(Bits(NUMPY, slots).count(program)) == 4 * 2 * 3 * multiplier


def test_a_separable_convolution_counts_the_products_of_both_parts_and_a_bias():
    program = trace(quantized(SeparableConvolution(5, (2, 2), (1, 1), "valid", (1, 1), 2)), (4, 4, 3))
    cost = Bits(NUMPY, Plain(program, np.random.default_rng(0))).count(program)
    assert float(cost) == prod((3, 3)) * (2 * 2 * 3 * 2 + 6 * 5 + 5)


def test_what_keras_cuts_away():
    """Sizes as Keras documents them, an odd cut with its larger half behind."""
    assert transposed_cuts("same", (4, 5), (2, 2), (1, 1)) == ((1, 1), (1, 2))
    assert transposed_cuts("same", (2,), (3,), (2,)) == ((0, 0),)
    assert transposed_cuts("same", (1,), (4,), (1,)) == ((0, -3),)
    assert transposed_cuts("same", (4, 3), (2, 2), (1, 1), (1, 0)) == ((1, 2), (1, 1))
    assert transposed_cuts("valid", (3, 1), (2, 2), (1, 1), (1, 0)) == ((0, -1), (0, 0))


@pytest.mark.parametrize(
    ("declaration", "shape", "message"),
    [
        (DepthwiseConvolution((3,), (1,), "valid", (1,)), (5,), "expected .batch, n, channels."),
        (DepthwiseConvolution((3,), (1,), "valid", (1,)), (2, 1), "larger than the data"),
        (SeparableConvolution(2, (3, 3), (1, 1), "valid", (1, 1)), (4, 4), "expected .batch, n, n, channels."),
        (TransposedConvolution(2, (3,), (1,), "valid"), (4, 4, 2), "expected .batch, n, channels."),
        (TransposedConvolution(4, (3,), (1,), "valid", groups=2), (4, 3), "3 channels and 4 filters cannot be divided"),
        (TransposedConvolution(2, (1,), (1,), ((2, 2),)), (4, 3), r"the padding cuts away \(\(2, 2\),\).*of \(4,\)"),
        (DepthwiseConvolution((1,), (1,), "valid", (1,), parallelization_factor=5), (4, 3), "expected -1 or 1 to 4"),
        (TransposedConvolution(2, (1,), (1,), "valid", parallelization_factor=5), (4, 3), "expected -1 or 1 to 4"),
        (TransposedConvolution(2, (1,), (1,), "causal"), (4, 3), "padding: received 'causal', expected 'valid' or"),
        (TransposedConvolution(2, (1,), (1,), ((1, 1), (1, 1))), (4, 3), "expected a pair for each of 1 axes"),
    ],
)
def test_what_does_not_fit_is_refused(declaration, shape, message):
    with pytest.raises((ShapeError, ConfigError), match=message):
        trace(declaration, shape)
