"""Each layer beside PyTorch's own, and its graph, its EBOPs and its file beside itself."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.cost import ebops as graph_ebops
from hgq_core.errors import ConfigError, DataError, DeadLayerWarning, HGQWarning, ShapeError, UnsupportedError
from hgq_core.graph import run
from hgq_torch import Quantizer
from hgq_torch import nn as qnn

FINE = {"f0": 20, "i0": 6, "overflow_mode": "SAT", "fc": None, "ic": None}
DATA = {"iq": {"spec": "kif", **FINE}}
WEIGHTS = {"kq": {"spec": "kif", **FINE}, "bq": {"spec": "kif", **FINE}}
IMAGE, SEQUENCE, VECTOR = torch.randn(9, 4, 6, 7), torch.randn(9, 4, 8), torch.randn(9, 4)

# What PyTorch has too: ours with wide formats, PyTorch's, and data.
BESIDE = {
    "conv1d": (lambda: qnn.QConv1d(4, 6, 3, **DATA, **WEIGHTS), lambda: nn.Conv1d(4, 6, 3), SEQUENCE),
    "conv1d-groups": (
        lambda: qnn.QConv1d(4, 6, 3, 2, 1, 2, 2, **DATA, **WEIGHTS), lambda: nn.Conv1d(4, 6, 3, 2, 1, 2, 2), SEQUENCE,
    ),
    "conv1d-same": (
        lambda: qnn.QConv1d(4, 2, 4, padding="same", **DATA, **WEIGHTS),
        lambda: nn.Conv1d(4, 2, 4, padding="same"), SEQUENCE,
    ),
    "conv2d": (lambda: qnn.QConv2d(4, 6, 3, **DATA, **WEIGHTS), lambda: nn.Conv2d(4, 6, 3), IMAGE),
    "conv2d-all": (
        lambda: qnn.QConv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, **DATA, **WEIGHTS),
        lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2), IMAGE,
    ),
    "conv2d-no-bias": (
        lambda: qnn.QConv2d(4, 6, 3, bias=False, padding="valid", **DATA, kq=WEIGHTS["kq"]),
        lambda: nn.Conv2d(4, 6, 3, bias=False), IMAGE,
    ),
    "conv2d-same": (
        lambda: qnn.QConv2d(4, 6, (2, 3), padding="same", **DATA, **WEIGHTS),
        lambda: nn.Conv2d(4, 6, (2, 3), padding="same"), IMAGE,
    ),
    "conv2d-depthwise": (
        lambda: qnn.QConv2d(4, 8, 3, groups=4, **DATA, **WEIGHTS), lambda: nn.Conv2d(4, 8, 3, groups=4), IMAGE,
    ),
    "conv-transpose-1d": (
        lambda: qnn.QConvTranspose1d(4, 6, 3, 2, **DATA, **WEIGHTS), lambda: nn.ConvTranspose1d(4, 6, 3, 2), SEQUENCE,
    ),
    "conv-transpose-1d-gaps": (
        lambda: qnn.QConvTranspose1d(4, 6, 2, 5, 1, 3, **DATA, **WEIGHTS),
        lambda: nn.ConvTranspose1d(4, 6, 2, 5, 1, 3), SEQUENCE,
    ),
    "conv-transpose-1d-cut": (  # more than the window reaches
        lambda: qnn.QConvTranspose1d(4, 6, 2, 2, 3, **DATA, **WEIGHTS),
        lambda: nn.ConvTranspose1d(4, 6, 2, 2, 3), SEQUENCE,
    ),
    "conv-transpose-2d-all": (
        lambda: qnn.QConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 0), 2, True, (3, 2), **DATA, **WEIGHTS),
        lambda: nn.ConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 0), 2, True, (3, 2)), IMAGE,
    ),
    "conv-transpose-2d-depthwise": (
        lambda: qnn.QConvTranspose2d(4, 4, 3, 2, groups=4, bias=False, **DATA, kq=WEIGHTS["kq"]),
        lambda: nn.ConvTranspose2d(4, 4, 3, 2, groups=4, bias=False), IMAGE,
    ),
    "conv-transpose-2d-valid": (
        lambda: qnn.QConvTranspose2d(4, 6, 3, 4, "valid", **DATA, **WEIGHTS),
        lambda: nn.ConvTranspose2d(4, 6, 3, 4), IMAGE,
    ),
    "conv-transpose-3d": (
        lambda: qnn.QConvTranspose3d(4, 2, 2, (2, 1, 1), 1, **DATA, **WEIGHTS),
        lambda: nn.ConvTranspose3d(4, 2, 2, (2, 1, 1), 1), torch.randn(2, 4, 2, 3, 3),
    ),
    "batch-norm-1d": (lambda: qnn.QBatchNorm1d(4, **DATA, **WEIGHTS), lambda: nn.BatchNorm1d(4), VECTOR),
    "batch-norm-1d-sequence": (lambda: qnn.QBatchNorm1d(4, **DATA, **WEIGHTS), lambda: nn.BatchNorm1d(4), SEQUENCE),
    "batch-norm-2d": (
        lambda: qnn.QBatchNorm2d(4, 1e-2, 0.3, **DATA, **WEIGHTS), lambda: nn.BatchNorm2d(4, 1e-2, 0.3), IMAGE,
    ),
    "batch-norm-of-all-batches": (
        lambda: qnn.QBatchNorm2d(4, momentum=None, **DATA, **WEIGHTS), lambda: nn.BatchNorm2d(4, momentum=None), IMAGE,
    ),
    "batch-norm-plain": (
        lambda: qnn.QBatchNorm2d(4, affine=False, **DATA, **WEIGHTS), lambda: nn.BatchNorm2d(4, affine=False), IMAGE,
    ),
    "max-pool": (lambda: qnn.QMaxPool2d(2, **DATA), lambda: nn.MaxPool2d(2), IMAGE),
    "max-pool-padded": (lambda: qnn.QMaxPool2d(3, 2, 1, **DATA), lambda: nn.MaxPool2d(3, 2, 1), IMAGE - 9.0),
    "average-pool": (lambda: qnn.QAvgPool2d((2, 4), **DATA), lambda: nn.AvgPool2d((2, 4)), IMAGE),
    "average-pool-padded": (lambda: qnn.QAvgPool2d(4, 2, 2, **DATA), lambda: nn.AvgPool2d(4, 2, 2), IMAGE),
    "average-pool-true": (
        lambda: qnn.QAvgPool2d(2, 1, 1, count_include_pad=False, **DATA),
        lambda: nn.AvgPool2d(2, 1, 1, count_include_pad=False), IMAGE,
    ),
    "tanh": (lambda: qnn.QLUT(torch.tanh, oq={"spec": "kif", **FINE}, **DATA), nn.Tanh, VECTOR),
    "softmax": (
        lambda: qnn.QSoftmax(1, enable_iq=True, **DATA, **{n: {"spec": "kif", "place": "datalane", **FINE}
            for n in ("exp_iq", "exp_oq", "inv_iq", "inv_oq")}),
        lambda: nn.Softmax(1), SEQUENCE,
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # of PyTorch's own
@pytest.mark.parametrize("name", BESIDE)
def test_with_wide_formats_it_is_the_layer_of_pytorch(name):
    make, theirs, x = BESIDE[name]
    ours, other = make(), theirs()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    missing, unexpected = ours.load_state_dict(other.state_dict(), strict=False)
    assert all("q." in key or key == "beta" for key in missing)
    assert unexpected == []
    for mode in (True, True, False):
        ours.train(mode), other.train(mode)
        torch.testing.assert_close(ours(x), other(x), atol=2e-4, rtol=2e-4)
    for buffer in ("running_mean", "running_var", "num_batches_tracked"):
        if hasattr(other, buffer):
            torch.testing.assert_close(getattr(ours, buffer), getattr(other, buffer), atol=1e-4, rtol=1e-4)


# Narrow ones, as they are used.
USED = {
    "conv1d": (lambda: qnn.QConv1d(4, 6, 3, padding="causal", activation="relu"), (SEQUENCE,)),
    "conv2d": (lambda: qnn.QConv2d(4, 6, 3, 2, 1, activation="relu", enable_oq=True), (IMAGE,)),
    "conv2d-parallel": (lambda: qnn.QConv2d(4, 4, 2, groups=2, parallelization_factor=5), (IMAGE,)),
    "conv-transpose-1d": (
        lambda: qnn.QConvTranspose1d(4, 3, 2, 5, padding="same", parallelization_factor=3), (SEQUENCE,),
    ),
    "conv-transpose-2d": (lambda: qnn.QConvTranspose2d(4, 6, 3, 2, 1, 1, activation="relu", enable_oq=True), (IMAGE,)),
    "conv-transpose-2d-groups": (
        lambda: qnn.QConvTranspose2d(4, 6, 2, 3, 1, groups=2, dilation=2, bias=False), (IMAGE,),
    ),
    "einsum": (lambda: qnn.QEinsumDense("b...t,tk->b...k", 5, "k", "relu", input_shape=(4, 8)), (SEQUENCE,)),
    "einsum-kernel": (lambda: qnn.QEinsumDense("bct,cto->bo", (3,), input_shape=(4, 8)), (SEQUENCE,)),
    "batch-norm-1d": (lambda: qnn.QBatchNorm1d(4), (SEQUENCE,)),
    "batch-norm-2d": (lambda: qnn.QBatchNorm2d(4), (IMAGE,)),
    "max-pool": (lambda: qnn.QMaxPool2d(2, padding=1), (IMAGE,)),
    "average-pool": (lambda: qnn.QAvgPool2d(3, 2, 1, parallelization_factor=2), (IMAGE,)),
    "add": (lambda: qnn.QAdd(3, enable_oq=True), (VECTOR, VECTOR * 2, VECTOR - 1)),
    "add-broadcast": (qnn.QAdd, (SEQUENCE, SEQUENCE[:, :, :1])),
    "sub": (qnn.QSub, (SEQUENCE, SEQUENCE[:, :1] + 1)),
    "mul": (lambda: qnn.QMul(3, iq={"f0": 2}), (VECTOR, VECTOR * 2, VECTOR - 1)),
    "maximum": (qnn.QMaximum, (VECTOR, 0.5 - VECTOR)),
    "minimum": (lambda: qnn.QMinimum(3), (VECTOR, 0.5 - VECTOR, VECTOR / 2)),
    "average": (lambda: qnn.QAverage(3), (VECTOR, VECTOR * 2, VECTOR - 1)),
    "cat": (lambda: qnn.QCat(2, -2, enable_oq=True), (SEQUENCE, SEQUENCE[:, :2])),
    "sum": (lambda: qnn.QSum((-1, 1), True, 0.5), (SEQUENCE,)),
    "mean": (lambda: qnn.QMean(1), (SEQUENCE,)),
    "matmul": (qnn.QMatmul, (SEQUENCE, SEQUENCE.transpose(1, 2).contiguous())),
    "dot": (lambda: qnn.QDot((2, 1)), (SEQUENCE, SEQUENCE.transpose(1, 2).contiguous())),
    "einsum-data": (lambda: qnn.QEinsum("...d,...d->..."), (SEQUENCE, 1 - SEQUENCE)),
    "table": (lambda: qnn.QLUT(torch.sigmoid, iq={"f0": 4}), (VECTOR,)),
    "softmax": (
        lambda: qnn.QSoftmax(enable_iq=True, parallelization_factor=2, allow_heterogeneous_table=True), (SEQUENCE,),
    ),
    "softmax-fast": (lambda: qnn.QSoftmax(-2, False, 0.5, enable_iq=True), (SEQUENCE,)),
}  # fmt: skip


class Called(nn.Module):
    """A layer by the names x, y, z."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, y=None, z=None):
        return self.layer(*(t for t in (x, y, z) if t is not None))


@pytest.mark.parametrize("name", USED)
def test_its_graph_its_cost_and_its_file_are_its_own(name):
    make, xs = USED[name]
    model = Called(make())
    cost = hgq_torch.calibrate(model, dict(zip("xyz", xs, strict=False)))
    assert (cost > 0) == (name != "cat")  # wiring costs nothing
    total, y = hgq_torch.ebops(model), model.eval()(*xs)
    graph = hgq_torch.to_graph(model, xs)
    np.testing.assert_array_equal(run(graph, *(x.numpy() for x in xs)), y.detach().numpy())
    assert graph_ebops(graph) == pytest.approx(total)
    assert hgq_torch.uncalibrated(model) == []
    fresh = Called(make())
    fresh.load_state_dict(model.state_dict())
    assert hgq_torch.ebops(fresh) == total
    assert torch.equal(fresh.eval()(*xs), y)
    built = Called(make())
    hgq_torch.build(built, xs)
    built.load_state_dict(model.state_dict())
    assert torch.equal(built.eval()(*xs), y)


@pytest.mark.parametrize("name", USED)
def test_an_optimizer_made_before_the_build_trains_everything(name):
    make, xs = USED[name]
    layer = make()
    optimizer = torch.optim.Adam(hgq_torch.parameter_groups(layer), lr=1e-2)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in layer.parameters()} == held
    hgq_torch.set_beta(layer, 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        (layer(*xs).square().sum() + hgq_torch.ebops_loss(layer)).backward()
        optimizer.step()
    assert {id(p) for p in layer.parameters()} == held
    silent = [n for n, p in layer.named_parameters() if p.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", USED)
def test_double_precision_gives_the_same(name):
    make, xs = USED[name]
    model = Called(make())
    hgq_torch.calibrate(model, dict(zip("xyz", xs, strict=False)))
    model.eval()
    wide = Called(make()).double()
    hgq_torch.build(wide, [x.double() for x in xs])
    wide.load_state_dict(model.state_dict())
    y = model(*xs)
    assert torch.equal(wide.eval()(*(x.double() for x in xs)).float(), y)


# PyTorch's compiler instantiates the class of every autograd function that it traces, and warns of it.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_a_compiler_sees_one_graph_of_a_convolution():
    torch._dynamo.reset()
    model = nn.Sequential(qnn.QConv2d(4, 6, 3), qnn.QBatchNorm2d(6), qnn.QMaxPool2d(2), qnn.QLUT(torch.tanh))
    hgq_torch.calibrate(model, IMAGE)
    model.eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(IMAGE), model(IMAGE))


def test_a_table_gives_the_numbers_that_it_holds():
    layer = qnn.QLUT(lambda x: 0.3 * x**2 - 0.7 * x, iq={"f0": 6, "i0": 3}, oq={"b0": 10})
    hgq_torch.calibrate(layer, torch.arange(-8, 8, 2**-6).view(-1, 1))
    layer.eval()
    x = torch.arange(-8, 8, 2**-6).view(-1, 1)
    graph = hgq_torch.to_graph(layer, x)
    np.testing.assert_array_equal(run(graph, x.numpy()), layer(x).detach().numpy())
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad.ne(0).any()


def test_a_table_without_a_quantized_output_only_trains():
    layer = qnn.QLUT(torch.tanh, enable_oq=False)
    layer(VECTOR).sum().backward()
    assert hgq_torch.ebops(layer) == 0
    with pytest.raises(UnsupportedError, match=r"tanh.*enable_oq=True"):
        hgq_torch.to_graph(layer, VECTOR)
    with pytest.raises(UnsupportedError, match="enable_iq=True"):
        hgq_torch.to_graph(qnn.QLUT(torch.tanh, enable_iq=False), VECTOR)


def test_heterogeneous_widths_of_data_have_the_layout_of_pytorch():
    layer = qnn.QConv2d(4, 6, 3, iq={"heterogeneous_axis": (1,)})
    hgq_torch.build(layer, IMAGE)
    assert layer.iq.f.shape == (1, 4, 1, 1)
    assert layer.kq.b.shape == layer.weight.shape == (6, 4, 3, 3)
    layer.iq.assign(f=torch.tensor([0.0, 1.0, 2.0, 3.0]).view(1, 4, 1, 1))
    hgq_torch.calibrate(layer, IMAGE)
    graph = hgq_torch.to_graph(layer, IMAGE)
    np.testing.assert_array_equal(run(graph, IMAGE.numpy()), layer.eval()(IMAGE).detach().numpy())
    assert graph_ebops(graph) == pytest.approx(hgq_torch.ebops(layer))


def test_a_dead_kernel_is_named():
    layer = qnn.QConv2d(4, 6, 3)
    hgq_torch.build(layer, IMAGE)
    layer.kq.assign(b=0)
    assert hgq_torch.dead_layers(nn.Sequential(layer)) == {"0": "every quantized weight is 0"}


@pytest.mark.parametrize("name", ["QConv2d", "QConvTranspose2d"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_kernel_that_starts_dead_is_widened(name, groups):
    with pytest.warns(DeadLayerWarning, match=name + r"\(4, 6.*more"):
        getattr(qnn, name)(4, 6, 9, groups=groups, kq={"b0": 1, "i0": 3})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: qnn.QConv2d(0, 2, 3), "in_channels: received 0"),
        (lambda: qnn.QConv2d(4, 2, 0), "kernel_size: received 0"),
        (lambda: qnn.QConv2d(4, 2, (3, 3, 3)), "or 2 of them"),
        (lambda: qnn.QConv2d(4, 2, 3, padding=-1), "padding: received -1"),
        (lambda: qnn.QConv2d(4, 2, 3, padding="causal"), "padding: received 'causal'"),
        (lambda: qnn.QConv2d(4, 2, 3, padding_mode="reflect"), "padding_mode.*'zeros'"),
        (lambda: qnn.QConv2d(4, 6, 3, groups=3), "groups: received 3"),
        (lambda: qnn.QConv2d(4, 6, 3, activation="gelu"), "activation"),
        (lambda: qnn.QConv2d(4, 6, 3, parallelization_factor=0), "parallelization_factor"),
        (lambda: qnn.QConv2d(4, 6, 3, enable_iq=False, enable_ebops=True), "enable_ebops=False"),
        (lambda: qnn.QConv2d(4, 6, 3, dtype=torch.float16), "dtype"),
        (lambda: qnn.QConvTranspose2d(4, 2, 0), "kernel_size: received 0"),
        (
            lambda: qnn.QConvTranspose2d(4, 2, 3, 2, 1, 2),
            r"output_padding: received \(2, 2\), expected less than stride",
        ),
        (lambda: qnn.QConvTranspose1d(4, 2, 3, padding="causal"), "padding: received 'causal'"),
        (lambda: qnn.QConvTranspose2d(4, 6, 3, groups=3), "groups: received 3"),
        (lambda: qnn.QConvTranspose3d(4, 6, 3, padding_mode="circular"), "padding_mode: received 'circular'"),
        (lambda: qnn.QConvTranspose3d(4, 6, 3, parallelization_factor=0), "parallelization_factor"),
        (lambda: qnn.QConvTranspose1d(4, 6, 3)(SEQUENCE, [20]), r"QConvTranspose1d\(4, 6.*output_size=\[20\].*padding"),
        (lambda: qnn.QBatchNorm1d(3, eps=0.0), "eps: received 0.0"),
        (lambda: qnn.QBatchNorm1d(3, momentum=2), "momentum: received 2"),
        (lambda: qnn.QMaxPool2d(2, padding=2), "at most half"),
        (lambda: qnn.QAdd(1), "two tensors or more"),
        (lambda: qnn.QAdd(iq=Quantizer("kif", shape=(None, 4))), "one Quantizer for several inputs"),
        (lambda: qnn.QLUT(torch.cumsum), "is not a function of one number"),
        (lambda: qnn.QLUT(lambda x: x - x.mean()), "depends on the others"),
        (lambda: qnn.QSoftmax(0), "batch axis"),
        (lambda: qnn.QSoftmax(input_scaler=float("nan")), "input_scaler"),
        (lambda: qnn.QEinsumDense("bi,ij->bj", (3,), "b", input_shape=(4,)), r"QEinsumDense\('bi,ij->bj'\): bias_axes"),
        (lambda: qnn.QEinsumDense("bi->b", (3,), input_shape=(4,)), "QEinsumDense.*einsum equation"),
    ],
)
def test_bad_options_are_refused(make, match):
    with pytest.raises(ConfigError, match=match):
        make()


@pytest.mark.parametrize(
    ("layer", "x", "match"),
    [
        (lambda: qnn.QConv2d(3, 2, 3), IMAGE, r"received \(batch, 4, 6, 7\), expected \(batch, 3, height, width\)"),
        (lambda: qnn.QConv1d(4, 2, 3), IMAGE, r"expected \(batch, 4, length\), channels first"),
        (lambda: qnn.QConv2d(4, 2, 9), IMAGE, "larger than the data"),
        (
            lambda: qnn.QConvTranspose1d(4, 2, 3),
            IMAGE,
            r"QConvTranspose1d.*expected \(batch, 4, length\), channels first",
        ),
        (lambda: qnn.QConvTranspose2d(3, 2, 3), IMAGE, r"expected \(batch, 3, height, width\)"),
        (
            lambda: qnn.QConvTranspose2d(4, 2, 1, 1, 3),
            IMAGE,
            r"QConvTranspose2d.*the padding cuts away \(\(3, 3\), \(3",
        ),
        (lambda: qnn.QConvTranspose2d(4, 2, 2, parallelization_factor=43), IMAGE, "expected -1 or 1 to 42"),
        (lambda: qnn.QBatchNorm1d(4), IMAGE, r"expected \(batch, 4\) or \(batch, 4, length\)"),
        (lambda: qnn.QMaxPool2d(2), VECTOR, r"expected \(batch, channels, height, width\)"),
        (lambda: qnn.QConv2d(4, 2, 2, parallelization_factor=31), IMAGE, "expected -1 or 1 to 30"),
    ],
)
def test_data_that_does_not_fit_is_refused(layer, x, match):
    with pytest.raises((ShapeError, ConfigError), match=match):
        layer()(x)


def test_a_batch_of_one_number_has_no_variance():
    with pytest.raises(DataError, match="two numbers or more"):
        qnn.QBatchNorm1d(4)(VECTOR[:1])


def test_a_layer_has_one_size():
    layer = qnn.QConv2d(4, 2, 3)
    layer(IMAGE)
    with pytest.raises(ShapeError, match=r"QConv2d.*received \(9, 4, 5, 7\), expected \(batch, 4, 6, 7\)"):
        layer(IMAGE[:, :, 1:])
    with pytest.raises(ShapeError, match=r"call hgq_torch\.build"):
        hgq_torch.ebops(qnn.QConv2d(4, 2, 3))
    with pytest.raises(ShapeError, match="does not take the example"):
        hgq_torch.build(nn.Sequential(nn.Linear(3, 2), qnn.QLinear(2, 2)), VECTOR)


def test_no_layer_of_the_package_warns_an_early_optimizer(recwarn):
    hgq_torch.parameter_groups(nn.Sequential(*(make() for make, _ in USED.values())))
    assert not [w for w in recwarn if issubclass(w.category, HGQWarning)]


def test_statistics_do_not_move_in_calibration_or_by_a_build():
    layer = qnn.QBatchNorm2d(4)
    hgq_torch.build(layer, IMAGE)
    hgq_torch.calibrate(layer, IMAGE)
    assert layer.running_mean.eq(0).all()
    assert layer.training


@pytest.mark.parametrize("name", USED)
def test_a_module_that_has_seen_no_data_has_a_file_too(name):
    make, _ = USED[name]
    layer = make()
    assert "iq.f" not in layer.state_dict() or layer.built_for
    fresh = make()
    fresh.load_state_dict(layer.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(fresh.own_weights(), layer.own_weights(), strict=True))


UNBUILT = {
    "conv1d": lambda: (qnn.QConv1d(4, 3, 2), (4, 6)),
    "conv2d": lambda: (qnn.QConv2d(4, 3, 2), (4, 6, 6)),
    "pool": lambda: (qnn.QMaxPool2d(2), (4, 6, 6)),
    "norm": lambda: (qnn.QBatchNorm2d(4), (4, 6, 6)),
}


@pytest.mark.parametrize("name", UNBUILT)
def test_a_module_that_has_seen_no_data_can_be_copied(name):
    module, shape = UNBUILT[name]()
    copied = copy.deepcopy(module)
    averaged = torch.optim.swa_utils.AveragedModel(module)
    for one in (copied, averaged.module):
        one.train()(torch.randn(5, *shape)).sum().backward()
        assert one.iq.built
    assert not module.iq.built


@pytest.mark.parametrize("name", UNBUILT)
def test_a_first_call_in_inference_mode_leaves_a_module_that_trains(name):
    module, shape = UNBUILT[name]()
    x = torch.randn(5, *shape)
    with torch.inference_mode():
        module.eval()(x)
    assert not any(tensor.is_inference() for tensor in (*module.parameters(), *module.buffers()))
    module.train()(x).sum().backward()


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: qnn.QConv1d(4, 3, 2), SEQUENCE),
        (lambda: qnn.QConv2d(4, 3, 2), IMAGE),
        (lambda: qnn.QMaxPool1d(2), SEQUENCE),
        (lambda: qnn.QAvgPool2d(2), IMAGE),
        (lambda: qnn.QAdaptiveMaxPool2d(1), IMAGE),
    ],
)
def test_one_example_alone_has_no_batch_axis(make, x, built):
    layer = make().eval()
    if built:
        layer(x)
    alone = torch.stack([layer(one) for one in x])
    assert torch.equal(alone, layer(x))
