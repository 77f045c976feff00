"""`to_graph` of ordinary forward passes: what a run shows is exported, what it cannot show is refused in a sentence."""

import gc

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import hgq_torch
from hgq_core.cost import ebops
from hgq_core.errors import GraphError, ShapeError, UnsupportedError
from hgq_core.graph import prove, run
from hgq_core.graph.ops import Add
from hgq_torch import Quantizer
from hgq_torch import nn as qnn

# Some of the forward passes here do without the second layer.
pytestmark = pytest.mark.filterwarnings("ignore:layer 'b' has collapsed:hgq_core.errors.DeadLayerWarning")


class Net(nn.Module):
    """Two layers of four and the forward pass that is given."""

    def __init__(self, body):
        super().__init__()
        self.a, self.b = qnn.QLinear(4, 4), qnn.QLinear(4, 4)
        self.register_buffer("shift", torch.tensor([0.5, -1.0, 0.25, 2.0]))
        self.scale = nn.Parameter(torch.ones(4))
        self.drop, self.alpha = nn.Dropout(0.5), nn.AlphaDropout(0.5)
        self.body = body

    def forward(self, x, mask=None, *, return_hidden=False):
        h = self.body(self, x)
        if mask is not None:
            h = h * mask
        return (h, x) if return_hidden else h


def pieces(s, x):
    first, second = s.a(x).chunk(2, dim=1)
    return s.b(torch.cat([second, first], dim=1)[:, [1, 0, 2, 3]].clone())


def shapes(s, x):
    h = s.a(x)
    return s.b(h.view(h.size(0), 2, 2).transpose(1, 2).reshape(x.shape[0], -1))


def by_rank(s, x):
    if x.ndim == 3:
        x = x.flatten(1)
    h = s.a(x)
    assert h.shape[1] == len(s.shift)
    return s.b(h)


def written_by_hand(s, x):
    parts = [s.a(x)[:, n] for n in range(4)]
    return s.b(torch.stack(parts[::-1], dim=1))


def reversed_twice(s, x):
    h = s.a(x).unflatten(1, (2, 2)).flip(1).roll(1, dims=2)
    return s.b(h.permute(0, 2, 1).flatten(1))


def padded(s, x):
    h = functional.pad(s.a(x), (1, 2))[:, 1:-2]
    return s.b(functional.pad(h[:, None], (1, 1), mode="reflect")[:, 0, 1:5])


def summed_and_largest(s, x):
    h = s.a(x).view(-1, 2, 2)
    return torch.cat([h.sum(1), h.amax(2), h.mean(dim=-1), h.max(dim=1).values, h.min(1)[0]], dim=1)


def dropped(s, x):
    h = functional.dropout(s.a(x), 0.5, training=s.training)
    return s.alpha(s.drop(s.b(h)))


def bounded(s, x):
    h = functional.relu6(s.a(x)).clamp(max=1.5)
    return s.b(functional.hardtanh(h, -0.5, 0.75).clamp_min(0.25)).clamp(min=0)


def constants(s, x):
    h = 1 - s.a(x) * 0.5 + s.shift
    return -h - 2 + h / 4 + torch.zeros(x.shape[0], 4) + torch.ones_like(h)


def chosen(s, x):
    h = s.a(x)
    return torch.where(h > 0.25, h, torch.zeros(())) + (h <= s.b(x)) * h.abs()


def accumulated(s, x):
    total = torch.zeros(x.shape[0], 4)
    for layer in (s.a, s.b):
        total += layer(x)
    return total


def same_type(s, x):
    return s.b(s.a(x).to(x.dtype).to(x.device).contiguous().detach())


def repeated(s, x):
    h = s.a(x)[:, :2].repeat(1, 2) + s.b(x)[:, 1:2].expand(-1, 4)
    return torch.movedim(h.view(-1, 2, 2), 1, 2).squeeze(1).unbind(2)[1]


def a_quantized_parameter(s, x):
    return s.a(x) + s.q(s.scale)


def a_dict(s, x):
    h = s.a(x)
    return {"logits": s.b(h), "more": [h, None]}


ORDINARY = [
    pieces,
    shapes,
    by_rank,
    written_by_hand,
    reversed_twice,
    padded,
    summed_and_largest,
    dropped,
    bounded,
    constants,
    chosen,
    accumulated,
    same_type,
    repeated,
    a_dict,
]


def check(model, x):
    """The graph computes what the model computes; returns it."""
    graph = hgq_torch.to_graph(model, x[:1])
    assert prove(graph).float32_exact
    results = run(graph, x.numpy())
    results = results if isinstance(results, tuple | list) else [results]
    with torch.no_grad():
        expected = model.eval()(x)
    expected = list(expected.values()) if isinstance(expected, dict) else expected
    expected = [expected] if isinstance(expected, torch.Tensor) else [expected[0], *expected[1][:1]]
    for got, want in zip(results, expected, strict=True):
        np.testing.assert_array_equal(got, want.numpy())
    return graph


def calibrated(model, x):
    hgq_torch.calibrate(model, x)
    return model


@pytest.mark.parametrize("body", ORDINARY, ids=lambda body: body.__name__)
def test_ordinary_python_and_every_move_are_exported(body):
    x = torch.randn(40, 4) * 2
    model = calibrated(Net(body), x)
    assert ebops(check(model, x)) == hgq_torch.ebops(model)


def test_a_parameter_that_a_quantizer_gives_a_format_is_a_constant():
    x = torch.randn(40, 4)
    model = Net(a_quantized_parameter)
    model.q = Quantizer("kbi", "weight", shape=(4,))
    with torch.no_grad():
        model.scale.copy_(torch.randn(4))
    graph = hgq_torch.to_graph(model, x[:1])
    np.testing.assert_array_equal(run(graph, x.numpy()), model.eval()(x).detach().numpy())


@pytest.mark.parametrize(
    "wrap",
    [
        torch.optim.swa_utils.AveragedModel,
        nn.DataParallel,
        lambda m: nn.DataParallel(torch.optim.swa_utils.AveragedModel(m)),
    ],
    ids=["averaged", "parallel", "both"],
)
def test_wrappers_are_looked_through(wrap):
    x = torch.randn(40, 4)
    model = wrap(calibrated(Net(pieces), x))
    graph = check(model, x)
    assert {"a", "b"} <= {node.label for node in graph}
    assert hgq_torch.ebops(model) == ebops(graph)


# A forward pass that no graph describes, and what the refusal says of it.
REFUSED = {
    "a branch": (lambda s, x: s.b(x) if s.a(x).sum() > 0 else s.a(x), r"no branches on values"),
    "values": (lambda s, x: s.b(x) if torch.equal(s.a(x), x) else x, r"reads the values.*decide by shapes"),
    "a mask": (lambda s, x: s.a(x)[s.a(x) > 0], r"no Graph node"),
    "an item": (lambda s, x: s.a(x) * s.b(x)[0, 0].item(), r"keep the batch on axis 0"),
    "through numpy": (lambda s, x: s.a(x) + torch.tensor(s.b(x).numpy() * 2)[0], r"not the same for every batch"),
    "the batch size": (lambda s, x: s.a(x) * x.shape[0], r"not the same for every batch"),
    "a random number": (lambda s, x: s.a(x) * torch.rand(()), r"not the same for every batch"),
    "dropout that is always on": (lambda s, x: s.b(functional.dropout(s.a(x))), r"self\.training|along the batch"),
    "the mean of the batch": (lambda s, x: s.a(x) - s.a(x).mean(0), r"keep the batch on axis 0"),
    "all numbers": (lambda s, x: s.a(x) - s.a(x).sum(), r"keep the batch on axis 0"),
    "a batch turned around": (lambda s, x: s.a(x).flip(0), r"keep the batch on axis 0"),
    "the first rows": (lambda s, x: s.a(x)[:1] + s.b(x), r"keep the batch on axis 0"),
    "a batch on axis 1": (lambda s, x: s.b(s.a(x).t().t()), r"keep the batch on axis 0"),
    "a constant per row": (lambda s, x: s.a(x) + torch.arange(len(x))[:, None], r"along the batch"),
    "a bare parameter": (lambda s, x: s.a(x) * s.scale, r"parameter that no quantizer"),
    "a function of parameters": (lambda s, x: s.a(x) * torch.sigmoid(s.scale), r"parameter that no quantizer"),
    "a matrix product": (lambda s, x: s.a(x) @ torch.ones(4, 4), r"no Graph node"),
    "a narrow type": (lambda s, x: s.a(x).bfloat16().float(), r"no Graph node"),
    "a shift by alpha": (lambda s, x: torch.add(s.a(x), s.b(x), alpha=2), r"no Graph node"),
    "numbers before a quantizer": (lambda s, x: s.a(x / 2), r"first quantizer"),
    "a constant joined": (lambda s, x: torch.cat([s.a(x), torch.zeros(len(x), 1)], 1), r"does not come from the input"),
    "infinity": (lambda s, x: s.a(x) + torch.tensor([1.0, 2.0, 3.0, float("inf")]), r"NaN or infinity"),
    "an output that is a number": (lambda s, x: (s.a(x), 3), r"returns .*int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_graph_describes_is_refused_in_a_sentence(name):
    body, match = REFUSED[name]
    with pytest.raises(UnsupportedError, match=match) as caught:
        hgq_torch.to_graph(Net(body), torch.randn(1, 4))
    assert "\n" not in str(caught.value)


def test_the_sentence_names_the_line():
    def body(s, x):
        return torch.tanh(s.a(x))

    with pytest.raises(UnsupportedError, match=r"'tanh' \(test_forward_passes\.py, line \d+, in body\)"):
        hgq_torch.to_graph(Net(body), torch.zeros(1, 4))


class Sum(qnn.QModule):
    def __init__(self):
        super().__init__(enable_iq=True)

    def declaration(self):
        return lambda t, a, b: t.op(Add(), a, b)


class Named(Sum):
    def forward(self, a, b):
        return super().forward(a, b)


class Doubled(qnn.QModule):
    """A layer whose declaration is not what it computes."""

    def __init__(self):
        super().__init__(enable_iq=True)

    def declaration(self):
        return lambda t, a: a

    def forward(self, a):
        return super().forward(a) * 2


class Summed(Doubled):
    """The same of two tensors."""

    def forward(self, a, b):
        return super().forward(a) + b


@pytest.mark.parametrize(
    ("layer", "call"),
    [
        (Sum, lambda s, x: s.own(x, s.a(x))),
        (Named, lambda s, x: s.own(x, b=s.a(x))),
        (Named, lambda s, x: s.own(b=s.a(x), a=x)),
    ],
)
def test_a_layer_of_two_tensors_is_exported_in_the_order_of_its_forward_pass(layer, call):
    model = Net(call)
    model.own = layer()
    x = torch.randn(20, 4)
    hgq_torch.calibrate(model, x)
    graph = hgq_torch.to_graph(model, x[:1])
    np.testing.assert_array_equal(run(graph, x.numpy()), model.eval()(x).detach().numpy())
    own = graph[graph.outputs[0]]
    assert own.label == "own"
    assert [graph[name].label for name in own.inputs] == ["own", "own"]
    assert list(own.inputs) == ["own/iq_0", "own/iq_1"]


@pytest.mark.parametrize(
    ("layer", "call", "match"),
    [
        (Doubled, lambda s, x: s.own(x), r"not that of the model.*declaration"),
        (Summed, lambda s, x: s.own(x, s.a(x)), r"Summed 'own' is applied to 2 tensors, its declaration takes 1"),
        (Sum, lambda s, x: s.own(x, 2.0), r"Sum 'own' is applied to \(Tensor, float\).*layer\(x, y\)"),
        (Sum, lambda s, x: s.own([x, x]), r"Sum 'own' is applied to \(list\)"),
    ],
)
def test_a_layer_of_ones_own_that_is_used_wrongly_is_refused(layer, call, match):
    model = Net(call)
    model.own = layer()
    model.own.build(*[(4,)] * (2 if layer is Sum else 1))
    with pytest.raises(UnsupportedError, match=match):
        hgq_torch.to_graph(model, torch.ones(1, 4))


def test_what_a_hook_changes_is_seen():
    x = torch.randn(20, 4)
    model = calibrated(Net(lambda s, x: s.b(s.a(x))), x)
    model.a.register_forward_hook(lambda _module, _inputs, result: result * 2)
    np.testing.assert_array_equal(run(hgq_torch.to_graph(model, x[:1]), x.numpy()), model.eval()(x).detach().numpy())


class Gated(Net):
    def forward(self, data, mask=None):
        return super().forward(data) if mask is None else super().forward(data) * self.gate(mask)


def test_inputs_keep_the_names_of_the_forward_pass():
    model = Gated(lambda s, x: s.b(s.a(x)))
    model.gate = Quantizer("kif", shape=(None, 4))
    x = torch.randn(10, 4)
    graph = hgq_torch.to_graph(model, (x, x))
    assert [node.name for node in graph.inputs] == ["data", "mask"]
    np.testing.assert_array_equal(run(graph, x.numpy(), x.numpy()), model.eval()(x, x).detach().numpy())
    assert len(hgq_torch.to_graph(model, x).inputs) == 1


def test_the_example_says_shapes_and_may_hold_anything():
    model = Net(lambda s, x: s.a(x))
    plain = hgq_torch.to_graph(model, torch.zeros(1, 4))
    for example in (torch.full((3, 4), float("nan")), torch.zeros(0, 4), torch.full((1, 4), 1e30)):
        assert hgq_torch.to_graph(model, example) == plain
    with pytest.raises(ShapeError, match="example: received nothing"):
        hgq_torch.to_graph(model, ())
    with pytest.raises(ShapeError, match=r"does not take the example, as \(2, 4\), \(2, 4\), \(2, 4\)"):
        hgq_torch.to_graph(model, [torch.zeros(1, 4)] * 3)


@pytest.mark.parametrize("scaler", [-2.0, -0.25, 4.0])
def test_a_scaler_of_either_sign_exports(scaler):
    x = torch.randn(60, 4) * 3
    model = nn.Sequential(qnn.QLinear(4, 3, iq={"scaler": scaler, "affine": (0.5, -1.0)}), qnn.QLinear(3, 2))
    check(calibrated(model, x), x)


def test_the_affine_map_of_a_dummy_acts():
    x = torch.randn(60, 4)
    q = Quantizer("dummy", affine=(2.0, 0.5), scaler=3.0)
    assert torch.equal(q(x), x * 2.0 + 0.5)
    model = calibrated(nn.Sequential(qnn.QLinear(4, 3), q, qnn.QLinear(3, 2)), x)
    check(model, x)


def test_a_graph_knows_which_layers_were_never_calibrated():
    model = Net(lambda s, x: s.b(s.a(x)))
    assert hgq_torch.to_graph(model, torch.zeros(1, 4)).uncalibrated == ("a", "b")
    hgq_torch.calibrate(model, torch.randn(9, 4))
    assert hgq_torch.to_graph(model, torch.zeros(1, 4)).uncalibrated == ()


def test_a_layer_without_a_format_for_its_input_has_a_graph_that_says_so():
    graph = hgq_torch.to_graph(qnn.QLinear(4, 2, iq="dummy"), torch.zeros(1, 4))
    with pytest.raises(GraphError, match="not quantized"):
        run(graph, np.zeros((1, 4)))


def test_a_step_leaves_nothing_to_the_garbage_collector():
    """Result and gradient that hold each other would keep the memory of a step, until Python looks for cycles."""
    layers = [qnn.QConv2d(2, 3, 2, activation="relu"), qnn.QMaxPool2d(2), torch.nn.Flatten(), qnn.QLinear(12, 4)]
    model = torch.nn.Sequential(*layers, qnn.QLinear(4, 2, iq=Quantizer("float"), kq=Quantizer("kif", "weight")))
    x = torch.randn(5, 2, 5, 5)

    def tensors():
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    def step():
        (model(x).sum() + hgq_torch.ebops_loss(model)).backward()
        model.zero_grad()

    step()
    gc.collect()
    gc.disable()
    try:
        before = tensors()
        for _ in range(3):
            step()
        assert tensors() == before
    finally:
        gc.enable()
