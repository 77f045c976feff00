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
        with pytest.warns(DeadLayerWarning, match=f"layer '2' is dead: .*{role}"):
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
