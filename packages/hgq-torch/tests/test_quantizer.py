"""`Quantizer` equals the exact oracle and the closed-form gradients; its widths follow the data as specified."""

import copy
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hgq_core
from hgq_core import Bounds, Overflow, QuantizerConfigScope, Round
from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_core.exact import quantized
from hgq_core.formats import FixedPoint
from hgq_core.gradients import expected_gradients
from hgq_torch import Mode, Quantizer, calibrating
from hgq_torch._ops import TORCH, power_of_two

numbers = st.floats(-40, 40, width=32, allow_subnormal=False)


def fixed(k, i, f, round_mode, overflow_mode, shape=(None,), **options):
    spec = hgq_core.KIF(
        k0=k, i0=i, f0=f, round_mode=round_mode, overflow_mode=overflow_mode, homogeneous_axis=(0,), **options
    )
    return Quantizer(spec, shape=shape)


@settings(max_examples=200, deadline=None)
@given(
    x=st.lists(numbers, min_size=1, max_size=20),
    k=st.integers(0, 1),
    i=st.integers(-3, 5),
    f=st.integers(-3, 6),
    round_mode=st.sampled_from(Round),
    overflow_mode=st.sampled_from(Overflow),
)
def test_inference_is_the_oracle(x, k, i, f, round_mode, overflow_mode):
    q = fixed(k, i, f, round_mode, overflow_mode).eval()
    result = q(torch.tensor(x)).tolist()
    raised = FixedPoint(k, max(i, -f), f)
    expected = [quantized(v, raised, round_mode, overflow_mode) if k + i + f > 0 else 0 for v in x]
    assert [Fraction(v) for v in result] == expected


@settings(max_examples=100, deadline=None)
@given(
    x=numbers,
    g=st.floats(-2, 2, width=32),
    k=st.integers(0, 1),
    i=st.integers(-1, 4),
    f=st.integers(1, 5),
    overflow_mode=st.sampled_from(Overflow),
)
def test_gradients_are_the_closed_form(x, g, k, i, f, overflow_mode):
    q = fixed(k, i, f, Round.RND, overflow_mode, i_decay_speed=100.0).train()
    data = torch.tensor([x], requires_grad=True)
    xq = q(data)
    xq.backward(torch.tensor([g]))
    i_used = int(q.i.detach().round().item())
    dx, di, df = expected_gradients(x, xq.item(), g, k, i_used, f, overflow_mode)
    torch.testing.assert_close(data.grad.item(), dx)
    torch.testing.assert_close(q.f.grad.item(), df, rtol=1e-5, atol=1e-6)
    if overflow_mode is not Overflow.WRAP:
        torch.testing.assert_close(q.i.grad.item(), di, rtol=1e-5, atol=1e-6)


def test_shared_width_receives_the_sum():
    q = Quantizer("kif", "datalane", shape=(None, 3), heterogeneous_axis=(), overflow_mode="SAT").train()
    x = torch.randn(5, 3)
    q(x).sum().backward()
    own = Quantizer("kif", "datalane", shape=(None, 3), overflow_mode="SAT").train()
    own(x).sum().backward()
    torch.testing.assert_close(q.f.grad.sum(), own.f.grad.sum())


def test_kbi_gives_b_the_gradient_of_f_and_i_the_difference():
    kif = Quantizer("kif", "weight", shape=(4,), i0=0, f0=2, overflow_mode="SAT_SYM")
    kbi = Quantizer("kbi", "weight", shape=(4,), i0=0, b0=2, overflow_mode="SAT_SYM")
    w = torch.tensor([0.3, -2.0, 1.7, 0.1])
    for q in (kif, kbi):
        q(w).sum().backward()
    torch.testing.assert_close(kbi.b.grad, kif.f.grad)
    torch.testing.assert_close(kbi.i.grad, kif.i.grad - kif.f.grad)


def test_a_training_step_follows_the_range_slowly_down_and_at_once_up():
    q = Quantizer("kif", "datalane", shape=(None, 1), i0=2, i_decay_speed=0.25).train()
    q(torch.tensor([[0.1]]))
    assert q.i.item() == 1.75
    q(torch.tensor([[-32.0]]))
    assert q.i.item() == 5
    q(torch.tensor([[32.0]]))
    assert q.i.item() == 6


def test_the_constraint_of_i_holds_while_it_follows():
    q = Quantizer("kif", "datalane", shape=(None, 1), ic=Bounds(-2, 1)).train()
    q(torch.tensor([[100.0]]))
    assert q.i.item() == 1


def test_calibration_sets_i_and_k_and_wraps_nothing():
    q = Quantizer("kif", "datalane", shape=(None, 2), f0=0).eval()
    q.reset_range()
    x = torch.tensor([[3.0, -4.0], [5.0, 1.0]])
    with calibrating(q):
        assert q.mode is Mode.CALIBRATE
        q(x)
    assert q.mode is Mode.INFER
    assert q.i.tolist() == [[3, 2]]
    assert q.k.tolist() == [[0, 1]]
    assert torch.equal(q(x), x)


def test_inference_wraps_and_training_does_not():
    q = Quantizer("kif", "datalane", shape=(None, 1), i0=3, f0=0)
    x = torch.tensor([[9.0]])
    assert q.eval()(x).item() == -7
    assert q.train()(x).item() == 9


def test_a_weight_under_wrap_is_exempt_from_wrapping_and_inference_changes_nothing():
    q = Quantizer("kbi", "weight", shape=(1,), overflow_mode="WRAP", b0=8, i0=0).eval()
    before = copy.deepcopy(q.state_dict())
    assert q(torch.tensor([9.0])).item() == 9
    assert all(torch.equal(value, before[name]) for name, value in q.state_dict().items())


def test_bounds_hold_when_read_and_are_stored_by_the_next_training_step():
    q = Quantizer("kbi", "weight", shape=(1,), bc=Bounds(4, 8))
    q.assign(b=20.0)
    assert q.width("b").item() == 8
    assert q.b.item() == 20
    q.train()(torch.ones(1))
    assert q.b.item() == 8


def test_regularizers_add_up():
    q = Quantizer("kif", "datalane", shape=(None, 2), overflow_mode="SAT", fr=0.5, ir=0.25, f0=3, i0=1)
    assert q.regularization().item() == 0.5 * 6 + 0.25 * 2
    assert Quantizer("dummy").regularization() is None


def test_minifloat_trains_all_three_widths():
    q = Quantizer("float", "datalane", shape=(None, 1)).train()
    x = torch.tensor([[500.0], [0.3]])
    y = q(x)
    y.sum().backward()
    assert y.tolist() == [[224.0], [0.3125]]
    assert all(getattr(q, name).grad is not None for name in ("m", "e", "e0"))


def test_stochastic_rounding_is_unbiased_in_training_and_absent_at_inference():
    q = Quantizer("kif", "datalane", shape=(None, 1), f0=0, i0=4, stochastic=True)
    x = torch.full((20_000, 1), 0.3)
    assert abs(q.train()(x).mean().item() - 0.3) < 0.02
    assert q.eval()(x).sum().item() == 0


def test_scaler_noise_and_affine_in_this_order():
    options = {"shape": (None, 1), "f0": 0, "i0": 4, "scaler": 3.0, "affine": (2.0, 1.0)}
    assert Quantizer("kif", "datalane", **options).eval()(torch.tensor([[7.0]])).item() == 2 * 6 + 1
    half = Quantizer("kif", "datalane", qnoise_factor=0.5, **options).train()
    assert half(torch.tensor([[7.0]])).item() == pytest.approx(2 * 6.5 + 1)


@pytest.mark.parametrize("scaler", [0.7, -1.1])
def test_noise_mixes_what_goes_in_with_what_the_scaler_gives_back(scaler):
    x = torch.randn(200, 3)
    assert not torch.equal(x / scaler * scaler, x)
    q = Quantizer("kif", "datalane", shape=(None, 3), f0=1, scaler=scaler, qnoise_factor=0.0)
    assert torch.equal(q.train()(x), x)


def test_blocks_share_a_width_along_an_axis():
    q = Quantizer("kif", "datalane", shape=(None, 4), heterogeneous_axis=(1,), blocks={1: 2}, overflow_mode="SAT")
    assert q.f.shape == (1, 2, 1)
    q.assign(f=[[[0.0], [3.0]]])
    assert q.eval()(torch.full((1, 4), 0.6)).tolist() == [[1.0, 1.0, 0.625, 0.625]]
    q.train()(torch.randn(5, 4)).sum().backward()
    assert q.f.grad.shape == q.f.shape


def test_widths_take_their_shape_from_the_first_tensor_and_stay_the_same_parameters():
    q = Quantizer("kif", "datalane")
    optimizer = torch.optim.Adam(q.parameters())
    q(torch.randn(3, 4)).sum().backward()
    assert q.f.shape == (1, 4)
    assert optimizer.param_groups[0]["params"][0] is q.f
    optimizer.step()


@pytest.mark.parametrize("place", ["datalane", "weight", "table"])
def test_a_file_gives_lazily_built_widths_their_shape(place):
    q = Quantizer("default", place)
    q.eval()(torch.randn(3, 4))
    q.assign(k=0, i=3.25)
    fresh = Quantizer("default", place)
    fresh.load_state_dict(q.state_dict())
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in q.state_dict().items())
    x = torch.randn(3, 4)
    assert torch.equal(fresh.eval()(x), q(x))


def test_the_scope_gives_defaults():
    with QuantizerConfigScope(place="weight", b0=5, overflow_mode="SAT"):
        q = Quantizer("default", "weight", shape=(2,))
    assert q.b.tolist() == [5, 5]
    assert q.spec.overflow_mode is Overflow.SAT


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"f00": 3}, "did you mean"),
        ({"round_mode": "nearest"}, "unknown round mode"),
        ({"homogeneous_axis": (0,), "heterogeneous_axis": (1,)}, "exclude each other"),
        ({"homogeneous_axis": (7,)}, "out of range"),
        ({"scaler": 0}, "scaler"),
        ({"qnoise_factor": 2}, "qnoise_factor"),
        ({"affine": (0.0, 1.0)}, "affine"),
        ({"fc": 3}, "expected hgq_core.Bounds"),
    ],
)
def test_bad_options_are_refused(arguments, match):
    with pytest.raises(ConfigError, match=match):
        Quantizer("kif", "datalane", shape=(None, 2), **arguments)


def test_bad_tensors_are_refused():
    q = Quantizer("kif", "datalane", shape=(None, 2))
    with pytest.raises(ShapeError, match=r"received shape \(3, 4\)"):
        q(torch.zeros(3, 4))
    for bad in (float("nan"), float("inf"), 300.0):
        with pytest.raises(DataError, match=r"'f'.*expected bits from -100 to 100"):
            q.assign(f=bad)
    with pytest.raises(ConfigError, match="no width 'b'"):
        q.assign(b=1)
    with pytest.raises(ShapeError, match="no fixed size"):
        Quantizer("kif", "datalane", shape=(None, None))
    with pytest.raises(ShapeError, match="no widths yet"):
        Quantizer("kif", "datalane").formats()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_powers_of_two_are_exact(dtype):
    n = torch.arange(-126, 128, dtype=dtype)
    expected = torch.from_numpy(np.ldexp(1.0, np.arange(-126, 128))).to(dtype)
    for size in (1, 3, 8, 254):
        for part, whole in zip(n.split(size), expected.split(size), strict=True):
            assert torch.equal(power_of_two(part), whole)
            assert torch.equal(TORCH.power_of_two(part), whole)


def test_double_precision_quantizes_in_double_precision():
    q = Quantizer("kif", "datalane", shape=(None, 1), f0=20, i0=20, dtype=torch.float64).eval()
    x = torch.tensor([[1000.0 + 2.0**-20]], dtype=torch.float64)
    assert torch.equal(q(x), x)
