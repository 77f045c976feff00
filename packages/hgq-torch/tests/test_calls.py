"""A layer costs as often as it is applied: the loss, `ebops`, calibration's figure and the graph's are one number."""

import copy

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.cost import ebops as graph_ebops
from hgq_core.cost import ebops_by_label
from hgq_core.errors import HGQWarning
from hgq_torch import nn as qnn

X = torch.ones(3, 4)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.unused = qnn.QLinear(4, 4, activation="relu"), qnn.QLinear(4, 4)

    def forward(self, x):
        return self.layer(x)


class Twice(nn.Module):
    """Applies an encoder twice, behind one layer that is applied once; ``by_shape`` as `torch.fx` cannot see."""

    def __init__(self, by_shape=False):
        super().__init__()
        self.first, self.encoder, self.by_shape = qnn.QLinear(4, 4), Encoder(), by_shape

    def forward(self, x):
        if self.by_shape and x.shape[1] != 4:
            return x
        return self.encoder(self.encoder(self.first(x)))


def expected(model):
    return model.first.ebops() + 2 * model.encoder.layer.ebops()


def learnt_by_nothing(model):
    """`torch.fx` reads the forward pass."""


def learnt_by_calibration(model):
    assert hgq_torch.calibrate(model, X) == expected(model)


def learnt_by_export(model):
    hgq_torch.to_graph(model, X)


@pytest.mark.parametrize(
    ("learn", "by_shape"),
    [
        (learnt_by_nothing, False),
        (learnt_by_calibration, False),
        (learnt_by_calibration, True),
        (learnt_by_export, False),
        (learnt_by_export, True),
    ],
)
def test_each_call_is_a_circuit_in_every_figure(learn, by_shape):
    model = Twice(by_shape)
    learn(model)
    assert hgq_torch.ebops(model) == expected(model)
    layers = hgq_torch.ebops_by_layer(model)
    assert layers == {
        "first": model.first.ebops(),
        "encoder.layer": 2 * model.encoder.layer.ebops(),
        "encoder.unused": 0.0,
    }
    graph = hgq_torch.to_graph(model, X)
    assert graph_ebops(graph) == hgq_torch.ebops(model)
    assert ebops_by_label(graph) == {name: cost for name, cost in layers.items() if cost}


@pytest.mark.parametrize("fused", [True, False])
def test_the_loss_prices_every_call(fused):
    model = Twice()
    if not fused:
        for layer in (model.first, model.encoder.layer, model.encoder.unused):
            layer.made.pattern.plan = None
    hgq_torch.set_beta(model, 0.0)
    regularization = hgq_torch.ebops_loss(model).item()
    hgq_torch.set_beta(model, 1.0)
    loss = hgq_torch.ebops_loss(model) - regularization
    assert loss.item() == pytest.approx(expected(model).item(), rel=1e-6)
    loss.backward()
    # The derivative to a kernel's width is the number of bits that it meets, in both calls; 1e-8 is the regulariser.
    met = model.encoder.layer.iq.counted_bits()
    torch.testing.assert_close(model.encoder.layer.kq.b.grad, 2 * met.expand(4, 4).detach())
    assert model.encoder.unused.kq.b.grad.max().item() == pytest.approx(1e-8)


def test_a_part_of_a_model_has_its_own_count():
    model = Twice()
    hgq_torch.calibrate(model, X)
    assert hgq_torch.ebops(model.encoder) == model.encoder.layer.ebops()
    assert graph_ebops(hgq_torch.to_graph(model.encoder, X)) == hgq_torch.ebops(model.encoder)
    assert hgq_torch.ebops(model) == expected(model)


def test_what_cannot_be_read_is_announced_once_with_the_remedy():
    model = Twice(by_shape=True)
    with pytest.warns(HGQWarning, match=r"Twice: torch\.fx cannot read.*each layer once.*calibrate.*to_graph"):
        once = hgq_torch.ebops(model)
    assert once == sum(layer.ebops() for layer in (model.first, model.encoder.layer, model.encoder.unused))
    assert hgq_torch.ebops(model) == once
    hgq_torch.to_graph(model, X)
    assert hgq_torch.ebops(model) == expected(model)


def test_what_was_learnt_is_copied_and_a_layer_that_is_added_is_seen():
    model = Twice(by_shape=True)
    hgq_torch.calibrate(model, X)
    assert hgq_torch.ebops(copy.deepcopy(model)) == expected(model)
    chain = nn.Sequential(qnn.QLinear(4, 4))
    before = hgq_torch.ebops(chain)
    chain.append(qnn.QLinear(4, 4))
    assert hgq_torch.ebops(chain) == 2 * before


def test_modes_are_left_and_nothing_is_computed():
    model = Twice().train()
    model.first.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hgq_torch.ebops(model)
    assert [m.training for m in (model, model.first, model.encoder)] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# PyTorch's compiler instantiates the class of every autograd function that it traces, and warns of it.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_a_compiler_counts_them_too():
    model = Twice()
    hgq_torch.set_beta(model, 1e-3)
    other = copy.deepcopy(model)
    torch._dynamo.reset()
    compiled = torch.compile(lambda: hgq_torch.ebops_loss(model), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(), hgq_torch.ebops_loss(other))
    assert hgq_torch.ebops(model) == expected(model)


def test_a_module_that_is_put_in_another_place_too_is_counted_anew():
    model = nn.Sequential(qnn.QLinear(6, 6), nn.ReLU(), qnn.QLinear(6, 6), nn.ReLU(), qnn.QLinear(6, 2))
    once = hgq_torch.ebops(model)
    model[3] = model[0]
    assert hgq_torch.ebops(model) == once + model[0].ebops().item()
    model.append(nn.Linear(2, 2))
    assert hgq_torch.ebops(model) == once + model[0].ebops().item()


def test_an_edge_behind_a_dummy_costs_nothing_anywhere():
    model = nn.Sequential(qnn.QLinear(4, 3, oq={}), qnn.QLinear(3, 2, iq={"spec": "dummy"}))
    cost = hgq_torch.calibrate(model, torch.randn(20, 4))
    assert graph_ebops(hgq_torch.to_graph(model, X)) == cost == hgq_torch.ebops(model)
