"""What surrounds a training step: checkpointing, functional calls, optimizers, files that are damaged."""

import copy

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.errors import ConfigError, DataError
from hgq_torch import Quantizer
from hgq_torch import nn as qnn

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


def network(plan=True):
    model = nn.Sequential(qnn.QLinear(4, 4, activation="relu"), qnn.QLinear(4, 2, oq="kif"))
    for layer in model:
        layer.made.pattern.plan = layer.made.pattern.plan if plan else None
    hgq_torch.calibrate(model, X * 8)
    return model.train()


def steps(model, forward, number=3):
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    for n in range(number):
        optimizer.zero_grad()
        forward(model, (X / (n + 1)).requires_grad_()).square().mean().backward()
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("plan", [True, False], ids=["fused", "composed"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_changes_nothing(reentrant, plan):
    model = network(plan)
    other = copy.deepcopy(model)
    plain = steps(model, lambda model, x: model(x))
    saved = steps(other, lambda model, x: torch.utils.checkpoint.checkpoint(model, x, use_reentrant=reentrant))
    assert all(torch.equal(value, saved[name]) for name, value in plain.items())
    # The ranges did follow the data, by one decay a step.
    assert (plain["0.iq.i"] % 1).ne(0).any()


def test_a_functional_call_trains_as_a_call():
    model = network()
    other = copy.deepcopy(model)
    plain = steps(model, lambda model, x: model(x))

    def functional(model, x):
        return torch.func.functional_call(model, dict(model.named_parameters()), (x,))

    called = steps(other, functional)
    assert all(torch.equal(value, called[name]) for name, value in plain.items())


def test_widths_are_a_group_without_weight_decay():
    model = nn.Sequential(qnn.QLinear(4, 3), nn.Linear(3, 2), Quantizer("float", "datalane", shape=(None, 2)))
    decayed, widths = hgq_torch.parameter_groups(model, weight_decay=0.1, lr=0.5)
    names = {id(p): name for name, p in model.named_parameters()}
    assert [names[id(p)] for p in decayed["params"]] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(widths["params"]) == len(names) - 4
    assert (decayed["weight_decay"], widths["weight_decay"], widths["lr"]) == (0.1, 0.0, 0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW([decayed, widths])
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_groups_that_would_be_empty_are_left_out_and_a_bad_decay_is_refused():
    assert len(hgq_torch.parameter_groups(nn.Linear(2, 2))) == 1
    with pytest.raises(ConfigError, match="weight_decay: received nan"):
        hgq_torch.parameter_groups(nn.Linear(2, 2), weight_decay=float("nan"))


def test_without_an_input_quantizer_no_ebops_are_counted():
    layer = qnn.QLinear(2, 1, enable_iq=False)
    assert not layer.enable_ebops
    assert hgq_torch.ebops(layer) == 0
    assert hgq_torch.ebops_loss(layer).requires_grad


NO_NUMBERS = [float("nan"), float("inf"), -float("inf"), 300.0]


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("name", ["0.kq.b", "0.bq.i", "0.iq.k", "1.oq.f"])
def test_widths_that_are_no_bits_are_refused_before_the_layer_is_overwritten(name, value):
    model = network()
    before = {key: part.clone() for key, part in model.state_dict().items()}
    state = {key: part + 1 if key.endswith("weight") else part for key, part in before.items()}
    state[name] = torch.full_like(before[name], value)
    layer = name[0]
    with pytest.raises(DataError, match=name):
        model.load_state_dict(state)
    after = model.state_dict()
    assert all(torch.equal(part, after[key]) for key, part in before.items() if key.startswith(layer))


def test_a_quantizer_of_ones_own_is_checked_too():
    model = nn.ModuleDict({"q": Quantizer("float", "datalane", shape=(None, 2))})
    state = model.state_dict()
    state["q.m"] = torch.full_like(state["q.m"], float("nan"))
    with pytest.raises(DataError, match=r"q\.m"):
        model.load_state_dict(state)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_beta_that_is_no_factor_is_refused(value):
    with pytest.raises(ConfigError, match="beta0: received"):
        qnn.QLinear(4, 2, beta0=value)
    model = nn.Sequential(qnn.QLinear(4, 2))
    state = model.state_dict() | {"0.beta": torch.tensor(value)}
    with pytest.raises(DataError, match=r"0\.beta"):
        model.load_state_dict(state)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"scaler": float("nan")}, "scaler"),
        ({"scaler": float("inf")}, "scaler"),
        ({"affine": (float("nan"), 1.0)}, "affine"),
        ({"affine": (1.0, float("inf"))}, "affine"),
        ({"qnoise_factor": float("nan")}, "qnoise_factor"),
        ({"f0": 300}, "f0"),
        ({"i0": float("nan")}, "i0"),
        ({"fr": float("inf")}, "fr"),
    ],
)
def test_impossible_numbers_are_refused_by_name(given, match):
    with pytest.raises(ConfigError, match=match):
        qnn.QLinear(4, 2, iq={"spec": "kif", **given})
