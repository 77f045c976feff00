"""Dense layers and convolutions of trained tables: what conformance does not see."""

from __future__ import annotations

import pytest
import torch

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph import run
from hgq_torch import to_graph
from hgq_torch.nn import QConvT1d, QConvT2d, QEinsumDenseT, QLinearT


@pytest.mark.parametrize("batch_norm", [False, True])
def test_results_do_not_depend_on_the_batch_and_are_those_of_the_graph(batch_norm: bool) -> None:
    torch.manual_seed(0)
    layer = QLinearT(5, 3, batch_norm=batch_norm)
    x = torch.randn(67, 5)
    layer(x)
    layer.eval()
    whole = layer(x)
    assert torch.equal(whole, torch.cat([layer(x[a:b]) for a, b in ((0, 1), (1, 8), (8, 67))]))
    assert torch.equal(torch.as_tensor(run(to_graph(layer, x[:2]), x.numpy())).float(), whole)


@pytest.mark.parametrize("inputs", [4, 64])
def test_a_layer_of_many_inputs_learns_as_one_of_few(inputs: int) -> None:
    torch.manual_seed(0)
    x = torch.rand(2048, inputs) * 2 - 1
    y = torch.sin(3 * x) @ torch.randn(inputs, 1) / inputs**0.5
    layer = QLinearT(inputs, 1)
    optimizer = torch.optim.Adam(layer.parameters(), 5e-3)
    for _ in range(120):
        rows = torch.randint(0, 2048, (256,))
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(layer(x[rows]), y[rows]).backward()
        optimizer.step()
    assert torch.nn.functional.mse_loss(layer.eval()(x), y) < 0.5 * y.var()


def test_an_edge_of_no_bits_adds_nothing() -> None:
    layer = QLinearT(2, 1)
    layer(torch.randn(4, 2))
    layer.eval()
    with torch.no_grad():
        layer.toq.assign(b=torch.tensor([[[0.0, 7.0]]]))
    a, b = layer(torch.tensor([[0.5, 0.25], [-1.0, 0.25]]))
    assert torch.equal(a, b)


def test_what_it_refuses() -> None:
    with pytest.raises(ConfigError, match="enable_iq"):
        QLinearT(4, 3, enable_iq=False)
    with pytest.raises(ConfigError, match="not a function of one number"):
        QLinearT(4, 3, function=lambda x: torch.softmax(x, -1))
    with pytest.raises(ConfigError, match="input_shape"):
        QLinearT(4, 3, input_shape=(3,))
    with pytest.raises(ConfigError, match="summed over"):
        QEinsumDenseT("bi,i->bi", (3,), input_shape=(3,))


def test_the_cost_and_its_derivative_to_the_widths() -> None:
    layer = QLinearT(1, 1, bias=False, enable_ebops=True)
    layer(torch.randn(4, 1))
    with torch.no_grad():
        layer.iq.assign(k=1.0, i=2.0, f=4.0)  # 7 bits with the sign: 2**(7 - 5) tables of 5 inputs
        layer.toq.assign(k=1.0, b=5.0)
    cost = layer.ebops()
    assert cost.item() == 4 * 6 / 2 + 6
    cost.backward()
    of_input, of_output = (dict(q.named_parameters()) for q in (layer.iq, layer.toq))
    assert of_output["b"].grad is not None
    assert of_output["b"].grad.item() == pytest.approx(4 / 2 + 1)
    assert of_input["f"].grad is not None
    assert of_input["f"].grad.item() == pytest.approx(4 * 0.693147 * 6 / 2, rel=1e-4)


def test_a_window_of_one_position_is_a_dense_layer() -> None:
    """One law of the cost: the same map costs the same, however it is written."""
    torch.manual_seed(0)
    dense, conv = QLinearT(3, 2, input_shape=(5, 3), enable_ebops=True), QConvT1d(3, 2, 1, enable_ebops=True)
    x = torch.randn(8, 5, 3)
    conv(x.mT)
    with torch.no_grad():
        for given, taken in zip(dense.parameters(), conv.parameters(), strict=True):
            taken.copy_(given.reshape(taken.shape))
    dense.train(), conv.train()
    assert torch.equal(dense(x), conv(x.mT).mT)
    dense.eval(), conv.eval()
    assert torch.equal(dense(x), conv(x.mT).mT)
    assert dense.ebops() == conv.ebops() > 0


@pytest.mark.parametrize("groups", [1, 2])
def test_shapes_are_those_of_pytorchs_convolution(groups: int) -> None:
    x = torch.randn(2, 4, 9, 8)
    for options in ({}, {"stride": 2, "padding": 1}, {"dilation": (2, 1), "padding": (0, 1)}, {"padding": "same"}):
        given = {"groups": groups, **options}
        theirs = torch.nn.Conv2d(4, 6, 3, **given)(x)  # type: ignore[arg-type]  # of one option each
        assert QConvT2d(4, 6, 3, **given)(x).shape == theirs.shape  # type: ignore[arg-type]


def test_a_convolution_is_built_by_its_first_data_and_a_file_says_the_shape() -> None:
    layer, other = QConvT1d(2, 3, 2, batch_norm=True), QConvT1d(2, 3, 2, batch_norm=True)
    x = torch.randn(16, 2, 6)
    layer(x)
    layer.eval()
    other.load_state_dict(layer.state_dict())
    other.eval()
    assert torch.equal(layer(x), other(x))


def test_a_convolution_learns() -> None:
    torch.manual_seed(0)
    x = torch.rand(1024, 2, 6) * 2 - 1
    y = torch.nn.functional.conv1d(torch.sin(3 * x), torch.randn(2, 2, 3) / 6**0.5)
    layer = QConvT1d(2, 2, 3)
    optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
    for _ in range(100):
        rows = torch.randint(0, 1024, (128,))
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(layer(x[rows]), y[rows]).backward()
        optimizer.step()
    assert torch.nn.functional.mse_loss(layer.eval()(x), y) < 0.3 * y.var()


def test_what_a_convolution_refuses() -> None:
    with pytest.raises(ConfigError, match="enable_iq"):
        QConvT1d(4, 3, 2, enable_iq=False)
    with pytest.raises(ConfigError, match="groups"):
        QConvT2d(4, 3, 2, groups=2)
    with pytest.raises(ConfigError, match="padding_mode"):
        QConvT1d(4, 3, 2, padding_mode="reflect")
    with pytest.raises(ShapeError, match="channels first"):
        QConvT1d(4, 3, 2)(torch.zeros(2, 3, 4))
