"""A ``state_dict`` that an earlier version wrote loads, and gives what it gave."""

from pathlib import Path

import torch
from torch import nn

import hgq_torch
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
