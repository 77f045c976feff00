"""Attention of tables: what conformance does not see."""

from __future__ import annotations

import copy

import pytest
import torch

import hgq_torch
from hgq_core.errors import ConfigError
from hgq_core.graph import run
from hgq_torch.nn import QMultiheadAttentionT


def test_a_set_has_no_order() -> None:
    torch.manual_seed(0)
    layer, x = QMultiheadAttentionT(4, 2), torch.randn(8, 5, 4)
    hgq_torch.calibrate(layer.eval(), x)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert torch.equal(layer(x)[:, order], layer(x[:, order]))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("of_tables", [False, True])
def test_maps_of_positions_with_and_without_kernels(shared: bool, of_tables: bool) -> None:
    torch.manual_seed(0)
    layer = QMultiheadAttentionT(
        4, 2, proj_positions=3, share_proj_positions=shared, tables_of_positions=of_tables, batch_norm=True
    )
    x = torch.randn(16, 5, 4)
    layer(x)
    hgq_torch.calibrate(layer.eval(), x)
    assert torch.equal(torch.as_tensor(run(hgq_torch.to_graph(layer, x[:2]), x.numpy())).float(), layer(x))
    assert (("kv_positions_weight" if shared else "key_positions_weight") in layer.state_dict()) is not of_tables


def test_it_learns() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 5, 4)
    y = torch.tanh(x.mean(1, keepdim=True) - x)
    layer = QMultiheadAttentionT(4, 2, batch_norm=True)
    optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layer(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


def test_a_file_gives_it_back() -> None:
    layer = QMultiheadAttentionT(4, 2, proj_positions=2)
    other = copy.deepcopy(layer)
    x = torch.randn(3, 5, 4)
    layer(x)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer.eval()(x), other.eval()(x))


def test_what_it_refuses() -> None:
    with pytest.raises(ConfigError, match="not a function of one number"):
        QMultiheadAttentionT(4, 2, function=lambda x: torch.softmax(x, -1))
    with pytest.raises(ConfigError, match="divisor of embed_dim"):
        QMultiheadAttentionT(5, 2)
    with pytest.raises(ConfigError, match="toq: received a Quantizer"):
        QMultiheadAttentionT(4, 2, toq=hgq_torch.Quantizer("kif"))
