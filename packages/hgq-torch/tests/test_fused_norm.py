"""Folded batch normalisation: equal to PyTorch's layers in wide formats, in training and at inference."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hgq_core.errors import ConfigError
from hgq_core.spec import Dummy
from hgq_torch import nn as qnn

WIDE: dict[str, Any] = {"iq": Dummy(), "kq": Dummy(), "bq": Dummy(), "enable_ebops": False}


@pytest.mark.parametrize("make", [qnn.QLinearBatchNorm, qnn.QBatchNormLinear])
def test_equals_the_float_layers(make: Any) -> None:
    torch.manual_seed(0)
    after = make is qnn.QLinearBatchNorm
    ours, linear = make(5, 4, **WIDE), torch.nn.Linear(5, 4, bias=not after)
    norm = torch.nn.BatchNorm1d(4 if after else 5)
    with torch.no_grad():
        linear.weight.copy_(ours.weight)
        if not after:
            linear.bias.copy_(ours.bias)
    theirs = torch.nn.Sequential(linear, norm) if after else torch.nn.Sequential(norm, linear)
    x = torch.randn(32, 5) * 2 + 1
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.running_var, norm.running_var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-4)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="eps"):
        qnn.QLinearBatchNorm(5, 4, eps=0.0)
    with pytest.raises(ConfigError, match="none of the kernel"):
        qnn.QEinsumDenseBatchNorm("bti,io->bto", (3, 4), "t", input_shape=(3, 5))
