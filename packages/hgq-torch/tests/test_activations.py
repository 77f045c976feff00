"""Activations without a table: at the end of a layer and as plain modules they are PyTorch's, bit for bit."""

import copy

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.errors import ConfigError, UnsupportedError
from hgq_core.graph import run
from hgq_core.graph.ops import Lookup
from hgq_core.layers import rectifier
from hgq_torch import HardSigmoidConfig, HardTanhConfig, Quantizer, to_graph
from hgq_torch import nn as qnn

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(3)) * 4
functional = nn.functional
MODULES = [
    nn.Identity(),
    nn.ReLU(),
    nn.ReLU6(),
    nn.Hardtanh(),
    nn.Hardtanh(-0.25, 1.75),
    nn.LeakyReLU(0.25),
    nn.LeakyReLU(-0.5),
    nn.LeakyReLU(3),
    nn.Threshold(0.5, 0.0),
]
NAMES = {
    "linear": nn.Identity(),
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hardtanh": functional.hardtanh,
    "hard_tanh": functional.hardtanh,
}


def exact(model, expected):
    graph = to_graph(model, X)
    assert torch.equal(model(X), expected)
    assert torch.equal(torch.from_numpy(run(graph, X.double().numpy())), expected.double())
    assert not any(isinstance(node.op, Lookup) for node in graph)
    return graph


def linear():
    torch.manual_seed(0)
    return qnn.QLinear(4, 3).eval()


def same_with(layer, activation):
    made = qnn.QLinear(4, 3, activation=activation).eval()
    made.load_state_dict(layer.state_dict())
    return made


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_is_the_activation_of_a_layer_or_stands_behind_it(module):
    layer = linear()
    with torch.no_grad():
        expected = module(layer(X))
        inside = exact(same_with(layer, module), expected)
        behind = exact(nn.Sequential(layer, copy.deepcopy(module)).eval(), expected)
    assert [type(node.op) for node in inside] == [type(node.op) for node in behind]


@pytest.mark.parametrize("module", [nn.ReLU6(True), nn.Hardtanh(inplace=True), nn.LeakyReLU(0.25, True)], ids=str)
def test_a_plain_module_in_place_is_what_it_computes(module):
    layer = linear()
    with torch.no_grad():
        exact(nn.Sequential(layer, module).eval(), module(layer(X)))


def test_a_plain_threshold_may_have_another_value_below():
    layer, module = linear(), nn.Threshold(0.5, -1.0)
    with torch.no_grad():
        exact(nn.Sequential(layer, module).eval(), module(layer(X)))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_function_of_that_name(name):
    layer = linear()
    with torch.no_grad():
        exact(same_with(layer, name), NAMES[name](layer(X)))


@pytest.mark.parametrize("function", [torch.relu, functional.relu, functional.relu6, functional.hardtanh])
def test_a_function_is_the_activation_of_a_layer(function):
    layer = linear()
    with torch.no_grad():
        exact(same_with(layer, function), function(layer(X)))


def test_a_rectifier_of_the_core_has_all_three_numbers():
    layer = linear()
    with torch.no_grad():
        y = layer(X)
        expected = torch.where(y > 0.25, y, 0.0).clamp(0, 2) - 0.5 * torch.relu(0.25 - y)
        exact(same_with(layer, rectifier(0.5, 2.0, 0.25)), expected)


def test_an_activation_can_be_switched_and_is_shown():
    layer = linear()
    layer.activation = nn.Hardtanh()
    assert layer.activation == "hardtanh"
    assert "activation='hardtanh'" in repr(layer)
    assert layer(X).abs().max() <= 1
    layer.activation = None
    assert layer(X).abs().max() > 1
    assert not [name for name, _ in layer.named_modules() if "activation" in name]


@pytest.mark.parametrize(
    ("activation", "said"),
    [
        ("hardsigmoid", r"'hardsigmoid'.*1/6.*QLUT\(function\).*HardSigmoidConfig\(\).*slope 1/4"),
        (nn.Hardswish(), r"Hardswish\(\).*product with a hard sigmoid.*1/6"),
        (nn.LeakyReLU(), r"slope 0\.01 has more than 12 significant bits.*0\.0078125 or 0\.0099983215.*QLUT"),
        ("gelu", r"'gelu'; expected None, one of \['hard_tanh'.*QLUT\(function\)"),
        (functional.gelu, r"gelu.*expected None"),
        (nn.Threshold(0.5, 1.0), r"Threshold\(threshold=0\.5, value=1\.0\); expected"),
        (3, r"3; expected None"),
    ],
    ids=str,
)
def test_an_activation_that_needs_a_table_is_refused_with_the_remedy(activation, said):
    with pytest.raises(ConfigError, match=f"activation: received .*{said}"):
        qnn.QLinear(4, 3, activation=activation)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Hardsigmoid(), r"'1' has no exact hardware.*1/6.*QLUT\(function\).*HardSigmoidConfig\(\)"),
        (nn.Hardswish(), r"'1' has no exact hardware.*1/6"),
        (nn.LeakyReLU(), r"'1' has no exact product.*slope 0\.01.*such as 0\.0078125"),
    ],
    ids=str,
)
def test_a_plain_module_that_needs_a_table_is_refused_with_the_remedy(module, said):
    with pytest.raises(UnsupportedError, match=said):
        to_graph(nn.Sequential(linear(), module), X)


def test_a_quantizer_that_is_a_hard_sigmoid_or_a_hard_tanh_is_exact():
    layer = linear()
    for preset, low, high in ((HardSigmoidConfig(f0=4), 0, 1), (HardTanhConfig(f0=4), -1, 1)):
        made = qnn.QLinear(4, 3, oq=preset).eval()
        made.load_state_dict(layer.state_dict(), strict=False)
        with torch.no_grad():
            exact(made, made(X))
            assert (made(X).min() >= low, made(X).max() < high) == (True, True)
        assert torch.equal(Quantizer(**preset).eval()(torch.full((1, 1), 99.0)).round(), torch.ones(1, 1))


def test_a_preset_is_a_range_that_training_keeps():
    quantizer = Quantizer(**HardTanhConfig(symmetric=True))
    quantizer(X)
    assert {spec.low for spec in (quantizer.bounds["i"],)} == {0}
    assert quantizer.eval()(torch.full((1, 4), -5.0)).detach().min() > -1


def test_a_preset_refuses_what_it_fixes():
    for preset in (hgq_torch.HardTanhConfig, hgq_torch.HardSigmoidConfig):
        with pytest.raises(ConfigError, match=rf"{preset.__name__}: received i0, overflow_mode, which it fixes"):
            preset(i0=2, overflow_mode="WRAP")
