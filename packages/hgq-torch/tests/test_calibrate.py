"""`calibrate` either sets the ranges or leaves them as they were, with an error that says why."""

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
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
        (lambda: torch.zeros(4), ShapeError, r"received \(4,\)"),
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
