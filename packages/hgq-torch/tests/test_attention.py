"""Attention: what conformance does not see."""

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.scope import QuantizerConfigScope
from hgq_torch import nn as qnn

X = torch.randn(8, 5, 8, generator=torch.Generator().manual_seed(0))
PERMUTED = torch.tensor([3, 1, 4, 0, 2])


class OfItself(nn.Module):
    """Attention of a set to itself."""

    def __init__(self, **options):
        super().__init__()
        self.heads = qnn.QMultiheadAttention(8, 2, **options)

    def forward(self, x):
        return self.heads(x, x, x)


def copied(layer: qnn.QMultiheadAttention, other: nn.MultiheadAttention) -> None:
    """Give a layer the weights of PyTorch's."""
    with torch.no_grad():
        for n, (name, size) in enumerate((("q", 8), ("k", layer.kdim), ("v", layer.vdim))):
            weight = getattr(other, f"{name}_proj_weight")
            weight = other.in_proj_weight[8 * n : 8 * n + 8] if weight is None else weight
            getattr(layer, f"{name}_proj_weight").copy_(weight.view(2, 4, size))
            getattr(layer, f"{name}_proj_bias").copy_(other.in_proj_bias[8 * n : 8 * n + 8].view(2, 4))
        layer.out_proj_weight.copy_(other.out_proj.weight.view(8, 2, 4))
        layer.out_proj_bias.copy_(other.out_proj.bias)


@pytest.mark.parametrize("sizes", [{}, {"kdim": 3, "vdim": 6}])
@pytest.mark.parametrize("masked", [False, True])
def test_with_wide_formats_it_is_the_layer_of_pytorch(sizes, masked):
    mask = torch.ones(5, 4, dtype=torch.bool).triu(2) if masked else None
    other = nn.MultiheadAttention(8, 2, batch_first=True, **sizes).eval()
    nn.init.normal_(other.in_proj_bias)
    with QuantizerConfigScope(q_type=("kif", "kbi"), i0=6, f0=16):
        layer = qnn.QMultiheadAttention(8, 2, attn_mask=mask, **sizes).eval()
    copied(layer, other)
    key, value = (torch.randn(8, 4, n) for n in (sizes.get("kdim", 8), sizes.get("vdim", 8)))
    expected = other(X, key, value, attn_mask=mask, need_weights=False)[0]
    torch.testing.assert_close(layer(X, key, value), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(layer(X[0], key[0], value[0]), expected[0], atol=2e-3, rtol=0)


@pytest.mark.parametrize("options", [{}, {"enable_oq": True}, {"enable_oq": True, "oq": {"f0": 4}}, {"fuse": "qkv"}])
def test_the_output_moves_with_the_elements_of_a_set(options):
    model = OfItself(**options)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(4):
        optimizer.zero_grad()
        (model(X) - X.flip(1)).square().mean().backward()
        optimizer.step()
    for _ in range(2):
        model.eval()
        assert torch.equal(model(X[:, PERMUTED]), model(X)[:, PERMUTED])
        hgq_torch.calibrate(model, [X * torch.arange(1, 6)[:, None]])


def test_a_granularity_that_is_given_is_kept():
    model = OfItself(iq={"homogeneous_axis": (0,)}, enable_oq=True, oq={"homogeneous_axis": (0,)})
    model(X)
    assert model.heads.query_iq.f.shape == (1, 5, 8)
    assert model.heads.oq.f.shape == (1, 5, 8)
    assert model.heads.query_oq.f.shape == (1, 1, 2, 4)
    with QuantizerConfigScope(place="datalane", heterogeneous_axis=()):
        model = OfItself()
    model(X)
    assert model.heads.query_iq.f.shape == (1, 1, 1)


def test_default_widths_serve_all_positions_of_two_axes():
    layer = qnn.QMultiheadAttention(8, 2)
    layer(*[torch.zeros(1, 2, 3, 8)] * 3)
    assert layer.query_iq.f.shape == (1, 1, 1, 8)
    assert layer.softmax_iq.f.shape == (1, 2, 1, 1, 1, 1)
    assert layer.softmax_exp_iq.spec.overflow_mode == "SAT"


def test_dropout_acts_in_training_only_and_is_not_exported():
    model = OfItself(dropout=0.5)
    assert not torch.equal(model(X), model(X))
    hgq_torch.calibrate(model, [X])
    model.eval()
    assert torch.equal(model(X), model(X))
    hgq_torch.to_graph(model, X)


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda: qnn.QMultiheadAttention(8, 3), ConfigError, "divisor"),
        (lambda: qnn.QMultiheadAttention(8, 2, dropout=1.0), ConfigError, "dropout"),
        (lambda: qnn.QMultiheadAttention(8, 2, batch_first=False), ConfigError, "batch_first"),
        (lambda: qnn.QMultiheadAttention(8, 2, fuse="q"), ConfigError, "fuse"),
        (lambda: qnn.QMultiheadAttention(8, 2, fuse="qkv")(X, X + 1), ConfigError, "fuse='qkv'"),
        (lambda: qnn.QMultiheadAttention(8, 2)(X, X, X[:, :3]), ShapeError, "do not fit"),
    ],
)
def test_what_it_does_not_take_is_refused(act, error, says):
    with pytest.raises(error, match=says):
        act()


@pytest.mark.parametrize("shared", [False, True])
def test_mapped_positions_are_attended_to(shared):
    with QuantizerConfigScope(q_type=("kif", "kbi"), i0=6, f0=16):
        layer = qnn.QMultiheadAttention(8, 2, proj_positions=3, share_proj_positions=shared, fuse="kv").eval()
        plain = qnn.QMultiheadAttention(8, 2).eval()
    layer(X, X)
    kernels = [layer.kv_positions_weight] * 2 if shared else [layer.key_positions_weight, layer.value_positions_weight]
    assert all(kernel.shape == (5, 3) and kernel.abs().min() > 0 for kernel in kernels)
    with torch.no_grad():
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            getattr(plain, f"{name}_weight").copy_(getattr(layer, f"{name}_weight"))
        key, value = (torch.einsum("bsx,sp->bpx", X, kernel) for kernel in kernels)
    torch.testing.assert_close(layer(X, X), plain(X, key, value), atol=2e-3, rtol=0)


def test_a_mask_of_mapped_positions_is_refused():
    with pytest.raises(ConfigError, match="fewer positions"):
        qnn.QMultiheadAttention(8, 2, proj_positions=3, is_causal=True)(X, X, X)
