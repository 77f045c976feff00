"""A ``state_dict`` that an earlier version wrote loads, and gives what it gave."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.cost import ebops
from hgq_core.errors import DeadLayerWarning
from hgq_core.graph import run
from hgq_core.layers import Dense
from hgq_torch import nn as qnn

FILES = Path(__file__).parent / "files"


def test_the_layers_of_the_first_version_load():
    kept = torch.load(FILES / "linear.pt", weights_only=True)
    model = nn.Sequential(
        qnn.QLinear(4, 3, activation="relu", input_shape=(2, 4)),
        qnn.QLinear(3, 2, bias=False, kq={"b0": 5}, oq={"overflow_mode": "SAT"}, input_shape=(2, 3)),
    )
    assert list(model.state_dict()) == list(kept["state"])
    model.load_state_dict(kept["state"])
    assert torch.equal(model.eval()(kept["x"]), kept["y"])
    assert hgq_torch.ebops(model) == kept["ebops"]
    assert hgq_torch.uncalibrated(model) == []


def test_layers_that_were_trained_with_the_first_version_are_exported_too():
    held = torch.load(FILES / "linear_0.1.pt", weights_only=True)
    model = nn.Sequential(
        qnn.QLinear(6, 5, activation="relu", beta0=1e-4, input_shape=(2, 6)),
        nn.Flatten(),
        qnn.QLinear(10, 3, kq="kif", iq={"overflow_mode": "SAT"}, beta0=1e-4),
        qnn.QLinear(3, 2, bias=False, oq="default", iq={"heterogeneous_axis": ()}, kq={"overflow_mode": "WRAP"}),
    )
    assert list(model.state_dict()) == list(held["state"])
    # An optimizer's file knows parameters by their number.
    assert [name for name, _ in model.named_parameters()] == held["parameters"]
    model.load_state_dict(held["state"])
    assert torch.equal(model.eval()(held["x"]), held["y"])
    assert hgq_torch.ebops(model) == held["ebops"]
    graph = hgq_torch.to_graph(model, held["x"])
    np.testing.assert_array_equal(run(graph, held["x"].numpy()), held["y"].numpy())
    assert ebops(graph) == held["ebops"]


class Pair(qnn.QModule):
    """Two kernels that are slots of one layer."""

    def declaration(self):
        return lambda t, x: t.call("b", Dense(2), t.call("a", Dense(3), x))


@pytest.mark.parametrize("without", ["a", "b"])
def test_of_several_kernels_those_that_come_without_widths_are_judged(without):
    source, target = Pair(), Pair()
    for module in (source, target):
        module.build((4,))
    state = source.state_dict()
    for part in ("a", "b"):
        state[f"{part}_kernel"] = state[f"{part}_kernel"] * 2.0**-20
    state = {name: value for name, value in state.items() if not name.startswith(f"{without}_kq.")}
    target.load_state_dict(state, strict=False)
    before = {part: getattr(target, f"{part}_kq").b.detach().clone() for part in ("a", "b")}
    with pytest.warns(DeadLayerWarning):
        target.train()(torch.ones(2, 4))
    assert {part for part, b in before.items() if not torch.equal(getattr(target, f"{part}_kq").b, b)} == {without}


def test_a_kernel_that_is_not_in_a_file_waits_as_before():
    module, other = Pair(), Pair()
    for each in (module, other):
        each.build((4,))
    with torch.no_grad():
        module.a_kernel.mul_(2.0**-20)
    module.load_state_dict({name: v for name, v in other.state_dict().items() if name.startswith("b_")}, strict=False)
    before = module.a_kq.b.detach().clone()
    with pytest.warns(DeadLayerWarning):
        module.train()(torch.ones(2, 4))
    assert not torch.equal(module.a_kq.b, before)
