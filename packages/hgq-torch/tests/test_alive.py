"""No layer starts dead, and one that dies is named."""

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core import Bounds
from hgq_core.errors import DataError, DeadLayerWarning
from hgq_torch import nn as qnn


def test_widths_that_round_a_whole_kernel_to_zero_are_widened_and_named():
    with pytest.warns(DeadLayerWarning, match=r"QLinear\(40000, 2\).*fraction bits"):
        layer = qnn.QLinear(40000, 2)
    weight = layer.quantized_weights()["weight"]
    noise = (weight - layer.weight.detach()).square().sum() / layer.weight.detach().square().sum()
    assert 0 < noise <= 0.25
    assert layer.kq.b.min() > 8


def test_no_room_for_bits_takes_them_from_the_integer_part():
    with pytest.warns(DeadLayerWarning):
        layer = qnn.QLinear(40000, 2, kq={"b0": 2, "bc": Bounds(0, 3)})
    assert layer.quantized_weights()["weight"].any()
    assert layer.kq.b.max() == 3
    assert layer.kq.i.min() < 2


def test_a_layer_that_is_alive_is_left_alone(recwarn):
    assert torch.equal(qnn.QLinear(16, 4).kq.b, torch.full((4, 16), 8.0))
    assert not recwarn


@pytest.mark.parametrize("role", ["weight", "input"])
def test_a_dead_layer_is_named_by_calibrate_to_graph_and_on_request(role):
    model = nn.Sequential(qnn.QLinear(4, 3), nn.ReLU(), qnn.QLinear(3, 2, iq={"overflow_mode": "SAT"}))
    assert hgq_torch.dead_layers(model) == {}
    if role == "weight":
        model[2].kq.assign(b=0)
    else:
        model[2].iq.assign(f=-20, i=0)
    assert list(hgq_torch.dead_layers(model)) == ["2"]
    for call in (
        lambda: hgq_torch.warn_if_dead(model),
        lambda: hgq_torch.calibrate(model, torch.randn(5, 4)),
        lambda: hgq_torch.to_graph(model, torch.zeros(1, 4)),
    ):
        with pytest.warns(DeadLayerWarning, match=f"layer '2' has collapsed: .*{role}"):
            call()


def test_not_a_number_is_named():
    model = nn.Sequential(qnn.QLinear(4, 3))
    with pytest.raises(DataError, match="batch 2"):
        hgq_torch.calibrate(model, [torch.zeros(2, 4), torch.full((2, 4), float("inf"))])
    with pytest.raises(DataError, match="no data"):
        hgq_torch.calibrate(model, [])


def test_calibrate_takes_tensors_tuples_and_keeps_modes():
    model = nn.Sequential(nn.BatchNorm1d(4), qnn.QLinear(4, 3)).train()
    x = torch.randn(8, 4)
    mean = model[0].running_mean.clone()
    totals = {hgq_torch.calibrate(model, data) for data in (x, [x], [(x, torch.zeros(8))], iter([x[:4], x[4:]]))}
    assert len(totals) == 1
    assert model.training
    assert torch.equal(model[0].running_mean, mean)


def coarse():
    return qnn.QLinear(4, 8, kq={"spec": "kbi", "b0": 4, "i0": 2}, beta0=1e-6)


def small(model):
    return torch.full_like(model.weight, 0.01)


def loaded(model):
    model.load_state_dict({"weight": small(model)}, strict=False)


def assigned(model):
    model.weight.data = small(model)


def copied(model):
    with torch.no_grad():
        model.weight.copy_(small(model))


def replaced(model):
    model.weight = nn.Parameter(small(model))


def trained(model):
    (model.train()(torch.randn(6, 4)).sum() + hgq_torch.ebops_loss(model)).backward()


@pytest.mark.parametrize("give", [loaded, assigned, copied, replaced])
@pytest.mark.parametrize("act", [trained, lambda model: hgq_torch.calibrate(model, torch.ones(2, 4))])
def test_widths_too_coarse_for_a_weight_that_was_given_are_widened_once(give, act):
    model = coarse()
    give(model)
    with pytest.warns(DeadLayerWarning, match=r"QLinear\(4, 8\).*round most of the weight to zero"):
        act(model)
    noise = (model.quantized_weights()["weight"] - model.weight.detach()).square().sum()
    assert noise <= 0.25 * model.weight.detach().square().sum()
    widths = model.kq.b.detach().clone()
    act(model)
    assert torch.equal(model.kq.b, widths)


def test_weights_that_are_loaded_after_training_are_judged_too():
    model = coarse()
    trained(model)
    loaded(model)
    with pytest.warns(DeadLayerWarning, match="zero"):
        trained(model)


def test_training_that_prunes_is_left_alone():
    model = coarse()
    trained(model)
    with torch.no_grad():
        model.weight.mul_(1e-3)
        model.kq.b.fill_(1.0)
    trained(model)
    assert model.kq.b.unique().tolist() == [1.0]


@pytest.mark.parametrize("act", [trained, lambda model: hgq_torch.calibrate(model, torch.randn(5, 4))])
def test_what_was_pruned_is_loaded_as_it_was(act):
    model, fresh = coarse(), coarse()
    with torch.no_grad():
        model.weight[:7].mul_(1e-3)
    model.kq.assign(b=3)
    fresh.load_state_dict(model.state_dict())
    act(fresh)
    assert fresh.kq.b.unique().tolist() == [3.0]


def test_widths_that_were_assigned_are_meant():
    model = coarse()
    copied(model)
    model.kq.assign(b=3)
    trained(model)
    assert model.kq.b.unique().tolist() == [3.0]


def test_a_calibration_that_fails_puts_widened_widths_back():
    model = coarse()
    loaded(model)
    before = model.kq.b.detach().clone()
    for _ in range(2):
        with pytest.warns(DeadLayerWarning), pytest.raises(DataError):
            hgq_torch.calibrate(model, torch.full((1, 4), float("nan")))
        assert torch.equal(model.kq.b, before)
