"""`from_graph`: the module computes, costs and exports what the graph does, and trains."""

import copy
import io
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.conformance.cases_layers import NAMES, case
from hgq_core.cost import ebops, ebops_by_label
from hgq_core.errors import ConfigError, PrecisionWarning, UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, load, run, save
from hgq_core.graph import ops as op
from hgq_core.graph.ir import same
from hgq_core.layers import FixedTable
from hgq_core.linear import Contract
from hgq_core.ops import NUMPY
from hgq_torch import nn as qnn
from hgq_torch._ops import TORCH
from hgq_torch.testing import TorchBackend


@pytest.fixture(scope="module")
def graph_of():
    """The graph of a conformance case, exported once."""
    backend, made = TorchBackend("torch"), {}

    def of(name):
        if name not in made:
            made[name] = backend.model(case(name).layers, case(name).input_shape).to_graph()
        return made[name]

    return of


def computed(module, *xs):
    """The output of a module at inference for arrays, as arrays."""
    with torch.no_grad():
        ys = module.eval()(*(torch.as_tensor(x, dtype=torch.float32) for x in xs))
    return [y.numpy() for y in ys] if isinstance(ys, tuple) else ys.numpy()


def small(x):
    """A classifier with a table, a softmax and a wide output; and its graph."""
    torch.manual_seed(0)
    model = nn.Sequential(
        qnn.QLinear(4, 8, activation="relu"), qnn.QLUT(torch.tanh), qnn.QLinear(8, 3), qnn.QSoftmax(-1, oq="default")
    )
    hgq_torch.calibrate(model, x)
    return model, hgq_torch.to_graph(model, x)


@pytest.fixture
def x():
    return torch.randn(200, 4)


# --- the module is the graph ---


@pytest.mark.parametrize("name", NAMES)
def test_it_computes_and_costs_what_the_graph_does(graph_of, name):
    graph, inputs = graph_of(name), [np.concatenate([x, 64 * x]).astype("float32") for x in case(name).inputs]
    module = hgq_torch.from_graph(graph)
    np.testing.assert_array_equal(computed(module, *inputs), run(graph, *inputs))
    assert hgq_torch.ebops(module) == ebops(graph)
    assert module.ebops().item() == pytest.approx(ebops(graph), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_shared_widths_change_nothing_at_first(graph_of, name):
    graph, inputs = graph_of(name), [x.astype("float32") for x in case(name).inputs]
    module = hgq_torch.from_graph(graph, share_equal=True)
    np.testing.assert_array_equal(computed(module, *inputs), run(graph, *inputs))
    assert hgq_torch.ebops(module) == ebops(graph)


def test_shared_widths_keep_a_set_a_set():
    """After training, an order of positions is no matter; with widths for each position it is."""
    x = torch.randn(64, 6, 4)
    model = nn.Sequential(
        qnn.QLinear(4, 3, iq={"homogeneous_axis": (0, 1)}, input_shape=(6, 4)),
        qnn.QSum(1, iq={"homogeneous_axis": (0, 1)}),
    )
    hgq_torch.calibrate(model, x)
    graph = hgq_torch.to_graph(model, x)
    order = torch.randperm(6)
    same_sums = []
    for share_equal in (True, False):
        module = hgq_torch.from_graph(graph, share_equal=share_equal, beta0=1e-3)
        optimizer = torch.optim.Adam(hgq_torch.parameter_groups(module), lr=5e-2)
        for _ in range(20):
            optimizer.zero_grad()
            ((module(x) - x.sum(1)[:, :3]).square().mean() + hgq_torch.ebops_loss(module)).backward()
            optimizer.step()
        hgq_torch.calibrate(module, x)
        same_sums.append(np.array_equal(computed(module, x), computed(module, x[:, order])))
    assert same_sums == [True, False]


@pytest.mark.parametrize("name", NAMES)
def test_its_graph_is_the_graph(graph_of, name):
    """Node by node, but for the units of tables."""
    graph, inputs = graph_of(name), [x.astype("float32") for x in case(name).inputs]
    again = hgq_torch.to_graph(hgq_torch.from_graph(graph), [torch.as_tensor(x) for x in inputs])
    np.testing.assert_array_equal(run(again, *inputs), run(graph, *inputs))
    assert (ebops(again), ebops_by_label(again)) == (ebops(graph), ebops_by_label(graph))
    assert again.uncalibrated == graph.uncalibrated
    named = [[(n.name, type(n.op), n.inputs, n.label, n.composite, n.ebops_factor) for n in g] for g in (graph, again)]
    assert named[0] == named[1]
    others = [a for a, b in zip(graph, again, strict=True) if not same(a.op, b.op)]
    assert all(isinstance(node.op, op.Lookup | op.Scan) for node in others)


@pytest.mark.filterwarnings("ignore::hgq_core.errors.DeadLayerWarning")  # the cases have few bits to lose
@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_is_exported_again(graph_of, name):
    """Everything gets a gradient; after training the graph is still the module, and a module of it the same again."""
    inputs = [torch.as_tensor(x, dtype=torch.float32) for x in case(name).inputs]
    module = hgq_torch.from_graph(graph_of(name), beta0=1e-4)
    optimizer = torch.optim.Adam(hgq_torch.parameter_groups(module), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        (module(*inputs).square().mean() + hgq_torch.ebops_loss(module)).backward()
        assert not [n for n, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        optimizer.step()
    total = hgq_torch.calibrate(module, dict(zip(module.input_names, inputs, strict=True)))
    graph = hgq_torch.to_graph(module, inputs)
    assert ebops(graph) == total
    assert graph.uncalibrated == ()
    again = hgq_torch.from_graph(graph)
    np.testing.assert_array_equal(computed(again, *inputs), computed(module, *inputs))
    assert hgq_torch.ebops(again) == total


class Mixed(nn.Module):
    """A quantizer that stands alone, operations of PyTorch, loops with gates, a layer applied twice, two outputs."""

    def __init__(self):
        super().__init__()
        self.q, self.first = hgq_torch.Quantizer("kif", "datalane", shape=(None, 6)), qnn.QLinear(6, 6, oq="default")
        self.loop, self.last = qnn.QGRU(3, 4, batch_first=True, bidirectional=True), qnn.QLinear(8, 2)

    def forward(self, x):
        """Scores, and a sum."""
        y = torch.clamp(self.first(self.first(self.q(x) * 0.5 + 1.0)), -1, 1)
        y = torch.cat([y, torch.maximum(y, -y)], 1).view(-1, 4, 3)
        steps, _ = self.loop(y)
        return self.last(steps[:, -1]), y.sum(1)


def test_a_model_of_all_kinds_of_nodes():
    x, model = torch.randn(100, 6), Mixed()
    hgq_torch.calibrate(model, x)
    graph = hgq_torch.to_graph(model, x)
    module = hgq_torch.from_graph(graph)
    for got, want in zip(computed(module, 3 * x), run(graph, 3 * x.numpy()), strict=True):
        np.testing.assert_array_equal(got, want)
    again = hgq_torch.to_graph(module, x)
    assert hgq_torch.ebops(module) == ebops(graph) == ebops(again) == hgq_torch.ebops(model)
    others = [a for a, b in zip(graph, again, strict=True) if not same(a, b)]
    assert {type(node.op) for node in others} == {op.Scan}
    for node in others:
        named = [{inner.name: inner.label for inner in g[node.name].op.body} for g in (graph, again)]
        assert named[0] == named[1]
    parameters = dict(module.named_parameters(recurse=False))
    assert {"first_kernel", "first_kernel_2", "loop_l0_recurrent_kernel", "last_bias"} <= set(parameters)


# --- training ---


def test_the_loss_falls_and_so_does_the_cost(x):
    labels = (x @ torch.randn(4, 3)).argmax(1)
    _, graph = small(x)
    module = hgq_torch.from_graph(graph)
    optimizer = torch.optim.Adam(hgq_torch.parameter_groups(module), lr=1e-2)
    before = {name: p.clone() for name, p in module.named_parameters()}
    losses, costs = [], [hgq_torch.ebops(module)]
    for beta in (0.0, 1e-4):
        hgq_torch.set_beta(module, beta)
        for _ in range(100):
            optimizer.zero_grad()
            loss = nn.functional.nll_loss(torch.log(module(x) + 1e-3), labels)
            (loss + hgq_torch.ebops_loss(module)).backward()
            optimizer.step()
            losses.append(loss.item())
        costs.append(hgq_torch.calibrate(module, x))
    assert losses[99] < 0.65 * losses[0]
    assert losses[-1] < 0.65 * losses[0]
    assert costs[2] < 0.8 * costs[1]
    assert not [name for name, p in module.named_parameters() if torch.equal(p, before[name])]
    graph = hgq_torch.to_graph(module, x)
    np.testing.assert_array_equal(run(graph, x.numpy()), computed(module, x))
    assert ebops(graph) == costs[2]
    assert (computed(module, x).argmax(1) == labels.numpy()).mean() > 0.9


def test_widths_have_the_gradient_of_the_layer_that_the_graph_is_of(x):
    layer = qnn.QLinear(4, 3, iq={"homogeneous_axis": (0,)})
    hgq_torch.calibrate(layer, x)
    module = hgq_torch.from_graph(hgq_torch.to_graph(layer, x))
    for made in (layer, module):
        made.ebops().backward()
    for ours, theirs in ((module.iq.f, layer.iq.f), (module.kernel_q.b.T, layer.kq.b), (module.bias_q.b, layer.bq.b)):
        assert ours.shape == theirs.shape
    torch.testing.assert_close(module.iq.f.grad, layer.iq.f.grad)
    torch.testing.assert_close(module.kernel_q.b.grad.T, layer.kq.b.grad)
    torch.testing.assert_close(module.bias_q.b.grad, layer.bq.b.grad)


def test_a_table_has_the_slope_to_its_next_entry(x):
    graph = hgq_torch.to_graph(qnn.QLUT(torch.tanh, iq={"f0": 3, "overflow_mode": "SAT", "i0": 1, "k0": 1}), x)
    lookup = next(node.op for node in graph if isinstance(node.op, op.Lookup))
    table = FixedTable.of(lookup)
    given = torch.tensor([[0.25], [-1.125], [1.875], [5.0]]).requires_grad_()
    y = table(TORCH, given)
    np.testing.assert_array_equal(y.detach().numpy(), table(NUMPY, given.detach().numpy().astype(float)))
    y.sum().backward()
    after = table(NUMPY, given.detach().numpy() + 0.125) - y.detach().numpy()
    before = y.detach().numpy() - table(NUMPY, given.detach().numpy() - 0.125)
    slopes = [after[0, 0] / 0.125, after[1, 0] / 0.125, before[2, 0] / 0.125, 0.0]
    np.testing.assert_allclose(given.grad.numpy().ravel(), slopes)


def test_numbers_that_are_none_go_through_a_table_as_they_are(x):
    graph = hgq_torch.to_graph(qnn.QLUT(torch.tanh), x)
    table = FixedTable.of(next(node.op for node in graph if isinstance(node.op, op.Lookup)))
    assert table(TORCH, torch.full((1, 4), float("nan"))).isnan().all()


@pytest.mark.parametrize(("kind", "sign"), [(">", 1), (">=", 0), ("<", -1), ("<=", 0), ("==", 0)])
def test_a_spike_has_a_smooth_derivative_in_training(kind, sign):
    builder = GraphBuilder()
    x, y = (builder.add(op.Quantize(Formats.of(1, 2, 3), "RND", "SAT"), builder.add(op.Input((1,)))) for _ in range(2))
    graph = builder.build([builder.add(op.Compare(kind), x, y, name="lif/spike", label="lif")])
    module = hgq_torch.from_graph(graph)
    given, other = torch.tensor([[1.5], [0.5], [-0.5]]).requires_grad_(), torch.full((3, 1), 0.5)
    y = module(given, other)
    (y.sum() + 0.0 * given.sum()).backward()
    np.testing.assert_array_equal(y.detach().numpy(), run(graph, given.detach().numpy(), other.numpy()))
    slope = 1 / (1 + np.pi**2)
    np.testing.assert_allclose(given.grad.numpy().ravel(), sign * np.array([slope, 1.0, slope]), rtol=1e-6)
    assert hgq_torch.ebops(module) == ebops(graph) == 6.0
    assert hgq_torch.to_graph(module, (given.detach(), other))["lif/spike"].ebops_factor == 1.0


@pytest.mark.parametrize("options", [{}, {"inhibition": True}, {"reset_mechanism": "zero"}], ids=str)
def test_a_spiking_layer_trains_as_the_layer_does(options):
    x, goal = torch.randn(32, 5, 3), torch.randn(32, 5, 3)
    layer = qnn.QLIF(3, batch_first=True, **options)
    hgq_torch.calibrate(layer, x)
    module = hgq_torch.from_graph(hgq_torch.to_graph(layer, x))
    slopes = []
    for made in (layer, module):
        given = x.clone().requires_grad_()
        (made.train()(given)[0] * goal).sum().backward()
        slopes.append(given.grad)
    assert slopes[0].any()
    torch.testing.assert_close(*slopes)


def test_what_a_layer_does_not_count_costs_nothing_in_the_loss(x):
    graph = hgq_torch.to_graph(qnn.QLinear(4, 2, bias=False, enable_ebops=False), x)
    module = hgq_torch.from_graph(graph, beta0=1.0)
    assert ebops(graph) == hgq_torch.ebops(module) == 0.0
    assert hgq_torch.ebops_loss(module).item() == pytest.approx(module.regularization().item())


def test_calibration_finds_the_ranges_of_other_data(x):
    _, graph = small(x)
    module = hgq_torch.from_graph(graph)
    hgq_torch.calibrate(module, 8 * x)
    assert module.get_submodule("0_iq").i.max() > graph["0/iq"].op.formats.i.max()
    assert hgq_torch.uncalibrated(module) == []


# --- what it is as a module ---


def test_parameters_are_called_as_the_nodes(x):
    model, graph = small(x)
    module = hgq_torch.from_graph(graph)
    weights = dict(module.named_parameters(recurse=False))
    assert list(weights) == ["0_kernel", "0_bias", "2_kernel", "2_bias"]
    quantized = model[0].quantized_weights()["weight"]
    torch.testing.assert_close(weights["0_kernel"].T, quantized, rtol=0, atol=0)
    assert {"0_iq.f", "0_kernel_q.b", "0_bias_q.b", "1_lookup.b", "3_exp_iq.f"} <= set(module.state_dict())
    assert repr(module).startswith("GraphModule(")


def test_a_state_goes_to_a_module_of_the_same_graph(x, tmp_path):
    _, graph = small(x)
    module = hgq_torch.from_graph(graph, beta0=1e-3)
    (module(x).square().sum() + hgq_torch.ebops_loss(module)).backward()
    torch.optim.SGD(module.parameters(), 0.1).step()
    total = hgq_torch.calibrate(module, x)
    other = hgq_torch.from_graph(load(save(graph, tmp_path / "graph.hgq.npz")))
    other.load_state_dict(module.state_dict())
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for again in (other, copy.deepcopy(module), torch.load(file, weights_only=False)):
        np.testing.assert_array_equal(computed(again, x), computed(module, x))
        assert hgq_torch.ebops(again) == total
        assert hgq_torch.uncalibrated(again) == []
    other.reset_parameters()
    np.testing.assert_array_equal(other.get_parameter("0_kernel").detach().numpy(), graph["0/kernel"].op.values)


def test_it_is_a_part_of_a_larger_model(x):
    _, graph = small(x)
    model = nn.Sequential(hgq_torch.from_graph(graph), qnn.QLinear(3, 2))
    assert list(hgq_torch.ebops_by_layer(model)) == ["0", "1"]
    assert hgq_torch.uncalibrated(model) == ["1"]
    outer = hgq_torch.to_graph(model, x)
    assert [f"0/{node.name}" for node in graph if node.label] == [node.name for node in outer if node.label][
        : len(graph) - 1
    ]
    assert ebops(outer) == hgq_torch.ebops(model)
    with torch.no_grad():
        model[0].get_parameter("2_bias").add_(1)
    assert "0.2" in hgq_torch.uncalibrated(model)


def test_uncalibrated_layers_stay_so(x):
    model = nn.Sequential(qnn.QLinear(4, 3), qnn.QLinear(3, 2))
    graph = hgq_torch.to_graph(model, x)
    module = hgq_torch.from_graph(graph)
    assert hgq_torch.uncalibrated(module) == ["0", "1"] == list(graph.uncalibrated)


def test_several_inputs_and_outputs(x):
    builder = GraphBuilder()
    a, b = (builder.add(op.Input((4,)), name=name) for name in ("left", "right"))
    q = [builder.add(op.Quantize(Formats.of(1, 3, 2), "RND", "WRAP"), side) for side in (a, b)]
    graph = builder.build([builder.add(op.Add(), *q), b, builder.add(op.Multiply(), *q)])
    module = hgq_torch.from_graph(graph)
    assert module.input_names == ("left", "right")
    y = torch.randn(200, 4)
    for got, want in zip(computed(module, x, y), run(graph, x.numpy(), y.numpy()), strict=True):
        np.testing.assert_array_equal(got, want)
    named = module(right=y, left=x)
    assert all(torch.equal(a, b) for a, b in zip(named, module(x, y), strict=True))
    again = hgq_torch.to_graph(module, (x, y))
    assert again.outputs == graph.outputs
    assert [node.name for node in again.inputs] == ["left", "right"]


def wide():
    """A product that needs 40 bits."""
    builder = GraphBuilder()
    x = builder.add(op.Quantize(Formats.of(1, 3, 18), "RND", "SAT"), builder.add(op.Input((1,))), name="q")
    kernel = builder.add(op.Constant.of([[3.0 + 2.0**-18]], [[20]]), name="kernel")
    return builder.build([builder.add(Contract("bi,io->bo"), x, kernel)])


def test_float64_holds_what_float32_does_not():
    graph, x = wide(), torch.rand(50, 1, dtype=torch.float64)
    with pytest.warns(PrecisionWarning, match="float32 may round in this model"):
        hgq_torch.from_graph(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = hgq_torch.from_graph(graph, dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_array_equal(module.eval()(x).numpy(), run(graph, x.numpy()))


def test_a_graph_without_quantized_inputs_has_a_cost(x):
    graph = hgq_torch.to_graph(qnn.QLinear(4, 2, enable_iq=False), x)
    module = hgq_torch.from_graph(graph)
    assert hgq_torch.ebops(module) == ebops(graph)


# --- what is refused ---


def test_a_scaler_of_a_weight_is_refused(x):
    with pytest.warns(PrecisionWarning):
        graph = hgq_torch.to_graph(qnn.QLinear(4, 2, kq={"scaler": 0.3}), x)
    with pytest.raises(UnsupportedError, match=r"constant 'kernel' has numbers of more bits .* scaler"):
        hgq_torch.from_graph(graph)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (qnn.QLinear(4, 2), "received a QLinear, expected a hgq_core.graph.Graph: that of to_graph"),
        ("graph.hgq.npz", r"received a str, expected .* hgq_core.graph.load\(path\)"),
        (Graph, "received a type"),
    ],
)
def test_what_is_no_graph_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        hgq_torch.from_graph(given)


def test_low_precision_is_refused(x):
    with pytest.raises(ConfigError, match=r"dtype: received torch.bfloat16"):
        hgq_torch.from_graph(hgq_torch.to_graph(qnn.QLinear(4, 2), x), dtype=torch.bfloat16)
