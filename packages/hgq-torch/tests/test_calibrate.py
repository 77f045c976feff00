"""`calibrate` either sets the ranges or leaves them as they were, with an error that says why."""

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core import KBI, KIF, Bounds
from hgq_core.errors import ConfigError, DataError, DeadLayerWarning, ShapeError
from hgq_torch import Quantizer
from hgq_torch import nn as qnn


def good():
    return torch.randn(8, 4)


def broken_loader():
    yield good()
    message = "disk"
    raise OSError(message)


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (list, DataError, "no data"),
        (lambda: torch.full((2, 4), float("nan")), DataError, "batch 1.*NaN"),
        (lambda: [good(), torch.full((2, 4), float("inf"))], DataError, "batch 2.*NaN or infinity"),
        (lambda: torch.zeros(0, 4), DataError, r"batch 1.*empty.*\(0, 4\)"),
        (lambda: [good(), torch.zeros(2, 5)], ShapeError, r"received \(2, 5\)"),
        (lambda: torch.zeros(2, 3, 4), ShapeError, r"received \(2, 3, 4\)"),
        (lambda: 5, ConfigError, "received int.*loader"),
        (lambda: None, ConfigError, "received NoneType.*loader"),
        (lambda: "data", DataError, "batch 1.*str"),
        (lambda: [()], DataError, "batch 1.*empty"),
        (lambda: [None], DataError, "batch 1.*NoneType"),
        (lambda: [np.array(["a"])], DataError, "batch 1.*ndarray"),
        (broken_loader, OSError, "disk"),
    ],
)
@pytest.mark.parametrize("reset", [True, False])
def test_a_calibration_that_fails_changes_nothing(data, error, match, reset):
    model = nn.Sequential(qnn.QLinear(4, 3, oq="default"), nn.ReLU(), qnn.QLinear(3, 2)).train()
    hgq_torch.calibrate(model, good() * 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(error, match=match):
        hgq_torch.calibrate(model, data(), reset=reset)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_what_pytorch_refuses_is_named_by_batch():
    model = nn.Sequential(nn.Linear(4, 4), qnn.QLinear(4, 3))
    with pytest.raises(ShapeError, match=r"batch 2 .*\(2, 5\).*mat1"):
        hgq_torch.calibrate(model, [good(), torch.zeros(2, 5)])


def test_widths_without_a_shape_have_none_after_a_failure():
    q = Quantizer("kif", "datalane")
    parameter = q.f
    model = nn.Sequential(q, qnn.QLinear(4, 3))
    with pytest.raises(ShapeError):
        hgq_torch.calibrate(model, torch.ones(2, 5))
    assert not q.built
    hgq_torch.calibrate(model, torch.full((2, 4), 5.0))
    assert q.f is parameter
    assert q.f.shape == (1, 4)
    assert q.formats().i.tolist() == [[3, 3, 3, 3]]


def test_a_warning_is_no_failure():
    layer = qnn.QLinear(4, 3)
    layer.kq.assign(b=0)
    with pytest.warns(DeadLayerWarning):
        hgq_torch.calibrate(layer, torch.full((2, 4), 100.0))
    assert layer.iq.i.min() == 7


def chain(**options):
    """Three layers in kbi, where the grid moves with the range."""
    return nn.Sequential(*(qnn.QLinear(4, 4, iq={"spec": "kbi", "b0": 3, "i0": 0, **options}) for _ in range(3)))


def spread(seed):
    """Rows of very different sizes."""
    rows = torch.Generator().manual_seed(seed)
    return torch.randn(64, 4, generator=rows) * torch.exp(2 * torch.randn(64, 1, generator=rows))


def wraps(model, data):
    """Whether anything wraps on the data."""
    with torch.no_grad():
        plain = model.eval()(data)
        with hgq_torch.calibrating(model):
            return not torch.equal(plain, model(data))


@pytest.mark.parametrize("seed", range(20))
def test_calibration_repeats_until_no_batch_wraps(seed):
    torch.manual_seed(seed)
    model, data = chain(heterogeneous_axis=()), spread(seed)
    hgq_torch.calibrate(model, torch.utils.data.DataLoader(data, batch_size=4))
    assert not wraps(model, data)


class Counted:
    """A loader that counts how often it is read."""

    def __init__(self, batches):
        self.batches, self.reads = batches, 0

    def __iter__(self):
        self.reads += 1
        return iter(self.batches)


def test_a_grid_that_stands_still_needs_one_pass():
    batches = list(spread(0).split(4))
    for model, several in ((chain(), True), (nn.Sequential(qnn.QLinear(4, 3), qnn.QLinear(3, 2)), False)):
        loader = Counted(batches)
        hgq_torch.calibrate(model, loader)
        assert (loader.reads > 1) is several


def test_a_generator_is_read_once_and_gives_what_a_list_gives():
    reads = []

    def batches():
        for n, part in enumerate(spread(1).split(4)):
            reads.append(n)
            yield part

    model, other = chain(), chain()
    other.load_state_dict(model.state_dict())
    hgq_torch.calibrate(model, batches())
    assert reads == list(range(16))
    hgq_torch.calibrate(other, list(spread(1).split(4)))
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), other.buffers(), strict=True))


def as_pairs(x):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(len(x))), batch_size=5)


@pytest.mark.parametrize(
    "data",
    [
        lambda x: x,
        lambda x: x.numpy(),
        lambda x: x.double().numpy(),
        lambda x: (x, torch.zeros(len(x))),
        lambda x: (x.numpy(), np.zeros(len(x))),
        lambda x: {"input": x},
        lambda x: [{"input": part} for part in x.split(7)],
        lambda x: [part.numpy() for part in x.split(7)],
        as_pairs,
        lambda x: ((part, 0) for part in x.split(3)),
    ],
)
def test_what_a_loader_gives_is_taken(data):
    model, other = nn.Sequential(qnn.QLinear(4, 3)), nn.Sequential(qnn.QLinear(4, 3))
    other.load_state_dict(model.state_dict())
    x = torch.randn(20, 4) * 3
    assert hgq_torch.calibrate(model, data(x)) == hgq_torch.calibrate(other, x)
    assert torch.equal(model[0].iq.i, other[0].iq.i)


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
def test_a_constraint_that_cuts_the_data_is_named_with_what_they_need(q_type):
    model = nn.Sequential(qnn.QLinear(4, 3, iq={"spec": q_type, "ic": Bounds(-8, 2)}))
    hgq_torch.calibrate(model, torch.full((2, 4), 3.0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DataError, match=r"'0\.iq'.*need 5 integer bits.*ic leaves 2.*scale the data"):
        hgq_torch.calibrate(model, [torch.ones(2, 4), torch.full((2, 4), 17.0)])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_constraint_that_cuts_a_weight_is_not_called_frozen():
    weight = KBI(ic=Bounds(-8, 1), overflow_mode="WRAP", is_weight=True)
    layer = qnn.QLinear(2, 1, kq=weight)
    with torch.no_grad():
        layer.weight.fill_(5.0)
    with pytest.raises(DataError, match=r"'kq'.*need 3 integer bits and its constraint ic leaves 1"):
        hgq_torch.calibrate(layer, torch.ones(1, 2))


@pytest.mark.parametrize("given", [17.0, -1.0])
def test_a_frozen_range_that_cuts_the_data_is_named(given):
    iq = KIF(k0=0, i0=3, f0=2, trainable=False, homogeneous_axis=(0,), overflow_mode="WRAP")
    model = nn.Sequential(qnn.QLinear(4, 3, iq=iq))
    hgq_torch.calibrate(model, torch.full((2, 4), 7.0))
    assert model[0].iq.i.unique().tolist() == [3.0]
    assert model[0].iq.k.unique().tolist() == [0.0]
    with pytest.raises(DataError, match=r"'0\.iq'.*frozen.*trainable=True"):
        hgq_torch.calibrate(model, torch.full((2, 4), given))


def test_numbers_that_become_infinite_inside_are_refused():
    class Infinite(nn.Module):
        def forward(self, x):
            return x / 0

    with pytest.raises(DataError, match="NaN or infinity on their way"):
        hgq_torch.calibrate(nn.Sequential(Infinite(), qnn.QLinear(4, 3)), torch.ones(2, 4))


def test_a_model_that_is_calibrated_says_so_until_whole_bits_or_weights_change():
    model = nn.Sequential(qnn.QLinear(4, 3), nn.ReLU(), qnn.QLinear(3, 2, oq="kbi"))
    assert hgq_torch.uncalibrated(model) == ["0", "2"]
    hgq_torch.calibrate(model, torch.randn(50, 4))
    assert hgq_torch.uncalibrated(model) == []
    with torch.no_grad():
        model[0].iq.f.add_(0.3)
    assert hgq_torch.uncalibrated(model) == []
    with torch.no_grad():
        model[0].iq.f.add_(0.3)
    assert hgq_torch.uncalibrated(model) == ["0"]
    hgq_torch.calibrate(model, torch.randn(50, 4))
    model.train()(torch.full((2, 4), 300.0))
    assert hgq_torch.uncalibrated(model) == ["0", "2"]
    hgq_torch.calibrate(model, torch.randn(50, 4))
    hgq_torch.set_beta(model, 1e-3)
    assert hgq_torch.uncalibrated(model) == []
    with torch.no_grad():
        model[2].bias[0] += 5.0
    assert hgq_torch.uncalibrated(model) == ["2"]


def test_ranges_that_no_data_came_by_stay_and_are_not_marked():
    class Optional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = qnn.QLinear(4, 3), qnn.QLinear(4, 3)

        def forward(self, x, aux=None):
            return self.a(x) if aux is None else self.a(x) + self.b(aux)

    x = torch.randn(50, 4)
    model = Optional()
    hgq_torch.calibrate(model, x)
    assert hgq_torch.uncalibrated(model) == ["b"]
    hgq_torch.calibrate(model, [{"x": x, "aux": x}])
    both = model.eval()(x, x)
    hgq_torch.calibrate(model, x)
    assert hgq_torch.uncalibrated(model) == []
    assert torch.equal(model(x, x), both)


def test_every_batch_says_what_it_calls():
    class Optional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = qnn.QLinear(4, 4)

        def forward(self, x, twice=None):
            return self.a(x) if twice is None else self.a(self.a(x))

    x = torch.randn(50, 4)
    model = Optional()
    cost = hgq_torch.calibrate(model, [{"x": x}, {"x": x, "twice": x}, {"x": x}])
    assert cost == hgq_torch.ebops(model) == 2 * model.a.ebops().item()


def test_the_mark_is_saved_and_older_files_load_without_it():
    model, fresh = (nn.Sequential(qnn.QLinear(4, 3)) for _ in range(2))
    hgq_torch.calibrate(model, torch.randn(50, 4))
    state = model.state_dict()
    fresh.load_state_dict(state)
    assert hgq_torch.uncalibrated(fresh) == []
    older = {name: value for name, value in state.items() if not name.endswith("calibrated")}
    assert len(older) == len(state) - 2
    fresh.load_state_dict(older)
    assert hgq_torch.uncalibrated(fresh) == ["0"]


def test_ranges_that_follow_nothing_need_no_calibration():
    frozen = KIF(trainable=False, homogeneous_axis=(0,))
    assert hgq_torch.uncalibrated(qnn.QLinear(4, 3, iq={"overflow_mode": "SAT"}, bq="dummy")) == []
    assert hgq_torch.uncalibrated(qnn.QLinear(4, 3, iq=frozen, bq="dummy")) == []
    assert hgq_torch.uncalibrated(qnn.QLinear(4, 3)) == [""]


class OfTwo(nn.Module):
    """Takes two tensors."""

    def __init__(self):
        super().__init__()
        self.first, self.second = qnn.QLinear(3, 2), qnn.QLinear(4, 2)

    def forward(self, x, z):
        return self.first(x) + self.second(z)


@pytest.mark.parametrize("pack", [tuple, list])
def test_a_model_of_several_inputs_is_calibrated_by_pairs_of_inputs_and_targets(pack):
    x, z, y = torch.randn(8, 3) * 5, torch.randn(8, 4) * 9, torch.randn(8, 2)
    by_name, by_place = OfTwo(), OfTwo()
    by_place.load_state_dict(by_name.state_dict())
    expected = hgq_torch.calibrate(by_name, [{"x": x[n : n + 4], "z": z[n : n + 4]} for n in (0, 4)])
    batches = [(pack((x[n : n + 4], z[n : n + 4].numpy())), y[n : n + 4]) for n in (0, 4)]
    assert hgq_torch.calibrate(by_place, batches) == expected
    assert torch.equal(by_place(x, z), by_name(x, z))
