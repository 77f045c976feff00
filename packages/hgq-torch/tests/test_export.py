"""`to_graph`: the Graph computes what the model computes, costs what it costs, and refuses what it cannot hold."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.cost import ebops
from hgq_core.errors import ConfigError, DataError, DeadLayerWarning, ShapeError, UnsupportedError
from hgq_core.graph import load, prove, run, save
from hgq_core.graph.ops import Add, Relu, Reshape
from hgq_torch import Quantizer
from hgq_torch import nn as qnn


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = qnn.QLinear(6, 6, activation="relu"), qnn.QLinear(6, 6, oq="default")
        self.q, self.head = Quantizer("kif", "datalane", shape=(None, 6)), qnn.QLinear(12, 2)

    def forward(self, x):
        y = self.a(x)
        z = torch.relu(self.b(y) + self.q(x))
        return self.head(torch.cat([z, self.q(x)], dim=1))


def chain():
    return nn.Sequential(
        qnn.QLinear(6, 8, activation="relu", input_shape=(3, 6)),
        nn.Flatten(),
        nn.Dropout(0.5),
        qnn.QLinear(24, 5, kq="kif", iq={"overflow_mode": "SAT", "round_mode": "TRN"}),
        nn.ReLU(),
        nn.Identity(),
        qnn.QLinear(5, 2, bias=False, kq={"overflow_mode": "WRAP"}, iq={"heterogeneous_axis": ()}),
    )


CASES = {
    "chain": (chain, (3, 6)),
    "residual": (Residual, (6,)),
    "one layer": (lambda: qnn.QLinear(6, 2), (6,)),
    "scaled": (lambda: nn.Sequential(Quantizer("kif", shape=(None, 6), scaler=0.25, affine=(0.5, 1.0))), (6,)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_graph_is_the_model(name, tmp_path):
    make, shape = CASES[name]
    model = make()
    hgq_torch.calibrate(model, torch.randn(200, *shape))
    x = torch.randn(300, *shape) * 2
    model.train()
    graph = hgq_torch.to_graph(model, x[:1])
    assert model.training
    assert prove(graph).float32_exact
    expected = model.eval()(x).detach().double().numpy()
    np.testing.assert_array_equal(run(graph, x.numpy()), expected)
    assert ebops(graph) == hgq_torch.ebops(model)
    save(graph, tmp_path / "model.hgq.npz")
    np.testing.assert_array_equal(run(load(tmp_path / "model.hgq.npz"), x.numpy()), expected)


def test_training_then_export(tmp_path):
    model = nn.Sequential(qnn.QLinear(4, 8, activation="relu", beta0=1e-4), qnn.QLinear(8, 3, beta0=1e-4))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    x = torch.randn(500, 4)
    for _ in range(40):
        optimizer.zero_grad()
        (model(x).square().mean() + hgq_torch.ebops_loss(model)).backward()
        optimizer.step()
    total = hgq_torch.calibrate(model, x)
    graph = hgq_torch.to_graph(model, x[:1])
    assert ebops(graph) == total
    np.testing.assert_array_equal(run(graph, x.numpy()), model.eval()(x).detach().numpy())


def test_labels_are_the_users_names():
    graph = hgq_torch.to_graph(Residual(), torch.zeros(1, 6))
    assert {"a", "b", "q", "head"} <= {node.label for node in graph}
    assert any(isinstance(node.op, Add) for node in graph)


def test_reshape_and_relu_are_moves_and_relu():
    graph = hgq_torch.to_graph(nn.Sequential(nn.Flatten(), nn.ReLU(), qnn.QLinear(6, 1)), torch.zeros(1, 2, 3))
    assert [type(node.op) for node in graph][1:3] == [Reshape, Relu]


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (nn.Sequential(qnn.QLinear(6, 4), nn.Linear(4, 2)), "'1' is a Linear.*QLinear"),
        (nn.Sequential(qnn.QLinear(6, 4), nn.Tanh()), "'1' is a Tanh"),
        (nn.Sequential(qnn.QLinear(6, 4, iq="float")), "minifloat"),
        (nn.Sequential(Quantizer("kif", shape=(None, 6), scaler=3.0)), r"2\*\*n"),
    ],
)
def test_what_has_no_node_is_refused_by_name(model, match):
    with pytest.raises(UnsupportedError, match=match):
        hgq_torch.to_graph(model, torch.zeros(1, 6))


@pytest.mark.parametrize(
    "given",
    [
        {"iq": {"scaler": 0.5}},
        {"iq": {"affine": (2.0, 0.5)}},
        {"kq": {"scaler": 3.0, "affine": (2.0, 0.5)}},
        {"bq": {"affine": (2.0, 0.5)}},
        {"oq": {"affine": (2.0, 0.5)}},
    ],
)
def test_scalers_and_affine_maps_leave_the_count_alone(given):
    layer = qnn.QLinear(4, 3, **given)
    total = hgq_torch.calibrate(layer, torch.randn(50, 4))
    assert ebops(hgq_torch.to_graph(layer, torch.zeros(1, 4))) == total > 0


class Scaled(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer, self.function = qnn.QLinear(6, 6), function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize("function", [torch.tanh, lambda x: x / 3.0, lambda x: x.t(), lambda x: x.reshape(-1)])
def test_a_function_without_a_node_is_refused(function):
    with pytest.raises(UnsupportedError):
        hgq_torch.to_graph(Scaled(function), torch.zeros(2, 6))


def test_not_a_number_in_a_weight_names_it():
    model = nn.Sequential(qnn.QLinear(6, 4))
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    with pytest.raises(DataError, match=r"0\.weight"):
        hgq_torch.to_graph(model, torch.zeros(1, 6))


class Residuals(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.a, self.b = qnn.QLinear(4, 4), qnn.QLinear(4, 4)
        self.relu, self.flat, self.body = nn.ReLU(), nn.Flatten(), body

    def forward(self, x):
        return self.body(self, x)


@pytest.mark.parametrize(
    "body",
    [
        lambda s, x: s.b(x=s.a(x=x)),
        lambda s, x: s.b(s.relu(input=s.flat(input=s.a(x)))),
        lambda s, x: s.b(nn.functional.relu(input=s.a(x), inplace=True)),
        lambda s, x: torch.cat(tensors=[s.a(x), s.b(x)], dim=1),
        lambda s, x: torch.cat([s.a(x), s.b(x)], axis=-1),
        lambda s, x: torch.concatenate((s.a(x), s.b(x)), dim=1),
        lambda s, x: s.b(torch.flatten(input=torch.reshape(input=s.a(x), shape=(-1, 2, 2)), start_dim=1)),
        lambda s, x: torch.add(input=s.a(x), other=s.b(x)),
        lambda s, x: torch.maximum(s.a(x), other=s.b(x)),
        lambda s, x: s.a(x).sub(other=s.b(x)),
    ],
)
def test_keywords_are_read_as_positions_are(body):
    model = Residuals(body)
    x = torch.randn(50, 4)
    with warnings.catch_warnings():
        # A layer that the forward pass does not call is dead after calibration.
        warnings.simplefilter("ignore", DeadLayerWarning)
        hgq_torch.calibrate(model, x)
        graph = hgq_torch.to_graph(model, x[:1])
    np.testing.assert_array_equal(run(graph, x.numpy()), model.eval()(x).detach().numpy())


@pytest.mark.parametrize(
    "body",
    [
        lambda s, x: torch.add(s.a(x), s.b(x), alpha=2),
        lambda s, x: s.a(x).add(s.b(x), alpha=2),
        lambda s, x: torch.cat(tensors=[s.a(x), s.b(x)]),
    ],
)
def test_a_keyword_that_changes_the_result_is_not_passed_over(body):
    with pytest.raises(UnsupportedError, match="no Graph node"):
        hgq_torch.to_graph(Residuals(body), torch.zeros(1, 4))


# PyTorch's compiler warns of a part of its own.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.compile(qnn.QLinear(6, 2)),
        lambda: torch.compile(chain_of_two()),
        lambda: nn.Sequential(torch.compile(chain_of_two()), nn.ReLU()),
        lambda: nn.Sequential(qnn.QLinear(6, 6), torch.compile(qnn.QLinear(6, 2))),
    ],
)
def test_a_compiled_model_is_exported_as_the_one_it_was_made_of(make):
    model = make()
    x = torch.randn(20, 6)
    graph = hgq_torch.to_graph(model, x[:1])
    plain = [layer for layer in model.modules() if isinstance(layer, qnn.QLinear)]
    expected = x
    for layer in plain:
        expected = layer.eval()(expected)
    expected = torch.relu(expected) if isinstance(list(model.children())[-1], nn.ReLU) else expected
    np.testing.assert_array_equal(run(graph, x.numpy()), expected.detach().numpy())


def chain_of_two():
    return nn.Sequential(qnn.QLinear(6, 4), qnn.QLinear(4, 2))


def test_an_error_is_ours_alone():
    with pytest.raises(UnsupportedError) as caught:
        hgq_torch.to_graph(nn.Sequential(nn.Tanh()), torch.zeros(1, 4))
    assert "While executing" not in str(caught.value)


def test_a_model_in_low_precision_is_refused_by_name():
    model = nn.Sequential(qnn.QLinear(4, 3)).to(torch.bfloat16)
    with pytest.raises(ConfigError, match=r"QLinear\(4, 3\).*bfloat16.*float32"):
        hgq_torch.to_graph(model, torch.zeros(1, 4))


def test_the_branch_of_inference_is_exported_from_a_model_in_training():
    def body(s, x):
        return s.a(x) if s.training else s.b(x)

    model = Residuals(body).train()
    graph = hgq_torch.to_graph(model, torch.zeros(1, 4))
    assert {node.label for node in graph} & {"a", "b"} == {"b"}
    assert model.training
    assert model.b.training


@pytest.mark.parametrize("example", [np.zeros((1, 4)), [torch.zeros(1, 4), None]])
def test_an_example_that_is_no_tensor_is_refused(example):
    with pytest.raises(ShapeError, match=r"example: received .*expected a tensor"):
        hgq_torch.to_graph(qnn.QLinear(4, 3), example)


def test_a_quantizer_that_stands_alone_learns_its_shape_from_the_example():
    model = nn.Sequential(Quantizer(heterogeneous_axis=(1,)), qnn.QLinear(4, 3), Quantizer(i0=3))
    x = torch.randn(5, 4)
    graph = hgq_torch.to_graph(model, x)
    assert tuple(model[0].f.shape) == (1, 4)
    assert graph == hgq_torch.to_graph(model, x)
    assert set(graph.uncalibrated) == {"0", "1", "2"}
    alone = hgq_torch.to_graph(Quantizer("kif", overflow_mode="SAT", i0=2, f0=1), x)
    assert run(alone, [[0.3, -9.0, 9.0, 1.0]]).tolist() == [[0.5, -4.0, 3.5, 1.0]]


class WithSpareParts(nn.Module):
    """Holds a layer and a quantizer that its forward pass does not use."""

    def __init__(self):
        super().__init__()
        self.used, self.spare, self.other = qnn.QLinear(4, 3), Quantizer(), qnn.QConv2d(3, 2, 3)

    def forward(self, x):
        return self.used(x)


def test_parts_that_the_forward_pass_does_not_use_may_wait_for_their_shapes():
    model = WithSpareParts()
    graph = hgq_torch.to_graph(model, torch.zeros(1, 4))
    assert {node.label for node in graph} <= {"", "used"}
    assert not model.spare.built
