"""Layer normalisation: what conformance does not see."""

import pytest
import torch
from torch import nn

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.scope import QuantizerConfigScope
from hgq_torch import nn as qnn

X = torch.randn(8, 5, 6, generator=torch.Generator().manual_seed(0)) * 2 + 1


@pytest.mark.parametrize("shape", [6, (6,), (5, 6)])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"elementwise_affine": False}])
def test_with_wide_formats_it_is_the_layer_of_pytorch(shape, options):
    with QuantizerConfigScope(q_type=("kif", "kbi"), i0=8, f0=16):
        layer = qnn.QLayerNorm(shape, eps=0.1, **options).eval()
    equals(layer, nn.LayerNorm(shape, eps=0.1, **options))


@pytest.mark.parametrize("shape", [6, (5, 6)])
@pytest.mark.parametrize("affine", [False, True])
def test_with_wide_formats_the_rms_norm_is_that_of_pytorch(shape, affine):
    with QuantizerConfigScope(q_type=("kif", "kbi"), i0=8, f0=16):
        layer = qnn.QRMSNorm(shape, eps=0.1, elementwise_affine=affine).eval()
    equals(layer, nn.RMSNorm(shape, eps=0.1, elementwise_affine=affine))


def equals(layer: nn.Module, other: nn.Module) -> None:
    """A layer has the weights of PyTorch's, here random ones, and gives what it gives."""
    with torch.no_grad():
        for name, weight in other.named_parameters():
            getattr(layer, name).copy_(nn.init.uniform_(weight, -2, 2))
    torch.testing.assert_close(layer(X), other(X), atol=2e-3, rtol=0)


def test_refusals():
    with pytest.raises(ShapeError, match="expected"):
        qnn.QLayerNorm(4)(X)
    with pytest.raises(ConfigError, match="eps: received 0, expected a finite number above 0"):
        qnn.QLayerNorm(6, eps=0)
