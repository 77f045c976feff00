"""Widths that are not trained: training acts as inference, and nothing follows the data."""

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core import KBI, KIF
from hgq_core.modes import Overflow
from hgq_torch import Quantizer
from hgq_torch import nn as qnn

X = torch.tensor([[50.0, -3.0], [0.3, 1.7], [-0.9, 2.0]])


def by_spec(q_type, **options):
    spec = KIF if q_type == "kif" else KBI
    return Quantizer(spec(trainable=False, homogeneous_axis=(0,), **options), "datalane", shape=(None, 2))


def by_gradient(q_type, **options):
    spec = KIF if q_type == "kif" else KBI
    return Quantizer(spec(homogeneous_axis=(0,), **options), "datalane", shape=(None, 2)).requires_grad_(False)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("freeze", [by_spec, by_gradient])
def test_training_is_inference(freeze, q_type, overflow):
    q = freeze(q_type, i0=1, overflow_mode=overflow, **({"f0": 2} if q_type == "kif" else {"b0": 3}))
    before = {name: value.clone() for name, value in q.state_dict().items()}
    x = X.clone().requires_grad_()
    y = q.train()(x)
    assert torch.equal(y, q.eval()(X))
    assert y.max() <= 2
    y.sum().backward()
    inside = torch.ones_like(X) if overflow is Overflow.WRAP else (X < 2) & (X >= -2)
    assert torch.equal(x.grad, inside.float())
    assert all(torch.equal(value, before[name]) for name, value in q.state_dict().items())


def test_noise_and_stochastic_rounding_rest_too():
    q = by_spec("kif", i0=1, f0=2, stochastic=True)
    q.qnoise_factor = 0.5
    assert torch.equal(q.train()(X), q.eval()(X))


def test_a_weight_under_wrap_keeps_the_range_of_its_values():
    spec = KBI(b0=4, i0=0, is_weight=True, overflow_mode="WRAP", trainable=False)
    q = Quantizer(spec, "weight", shape=(3, 2))
    assert torch.equal(q.train()(X), q.eval()(X))
    assert q(X)[0, 0] == 52  # in steps of 4


@pytest.mark.parametrize("name", ["iq", "bq"])
def test_a_layer_with_a_frozen_quantizer_is_the_composed_one(name):
    layer = qnn.QLinear(2, 3)
    with torch.no_grad():
        layer.bias.mul_(20)
    getattr(layer, name).requires_grad_(False)
    before = {key: value.clone() for key, value in getattr(layer, name).state_dict().items()}
    trained = layer.train()(X * 9)
    assert layer.made.pattern.plan is not None
    assert all(torch.equal(value, before[key]) for key, value in getattr(layer, name).state_dict().items())
    layer.made.pattern.plan = None
    assert torch.equal(trained, layer(X * 9))
    trained.sum().backward()
    assert layer.weight.grad is not None


def test_a_whole_model_that_is_frozen_trains_nothing():
    model = nn.Sequential(qnn.QLinear(2, 3, activation="relu"), qnn.QLinear(3, 2)).requires_grad_(False)
    hgq_torch.calibrate(model, X)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = model.train()(X * 9)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(trained, model.eval()(X * 9))


def test_calibration_measures_what_is_frozen_by_gradient_and_leaves_what_the_specification_fixes():
    by_hand = nn.Sequential(qnn.QLinear(2, 3)).requires_grad_(False)
    hgq_torch.calibrate(by_hand, X)
    assert by_hand[0].iq.i.flatten().tolist() == [6.0, 2.0]
    fixed = by_spec("kif", i0=9, f0=2)
    hgq_torch.calibrate(nn.Sequential(fixed), X)
    assert fixed.i.flatten().tolist() == [9.0, 9.0]
