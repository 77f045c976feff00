"""Spiking modules: membranes by hand, the gradient of a spike, what is learned, and what is refused."""

import numpy as np
import pytest
import torch

import hgq_torch
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph import run
from hgq_core.spec import Dummy
from hgq_torch.nn import QLIF, QLIFCell

INPUT = torch.tensor([0.75, 0.75, 0.0, 1.5, 1.5])
# Membranes by hand with a threshold of 1; a membrane that fired is reset at the next step.
BY_HAND = {
    (1.0, "subtract"): [0, 1, 0, 1, 1],  # 0.75, 1.5, 0.5, 2.0, 2.5
    (1.0, "zero"): [0, 1, 0, 1, 0],  # 0.75, 1.5, 0, 1.5, 0
    (1.0, "none"): [0, 1, 1, 1, 1],
    (0.5, "subtract"): [0, 1, 0, 1, 1],  # 0.75, 1.125, -0.4375, 1.28125, 1.140625
}
FREE = dict.fromkeys(("iq", "sq", "lkq", "thq", "grq"), Dummy())


@pytest.mark.parametrize(("beta", "reset"), BY_HAND)
def test_membranes_integrate_fire_and_are_reset(beta, reset):
    module = QLIF(1, beta, batch_first=True, reset_mechanism=reset, **FREE)
    spikes, _ = module(INPUT[None, :, None])
    assert spikes[0, :, 0].tolist() == BY_HAND[beta, reset]


def test_a_cell_goes_through_the_same_membranes():
    cell, membrane = QLIFCell(1, **FREE), torch.zeros(1, 1)
    seen = []
    for x in INPUT:
        _, membrane = cell(x.reshape(1, 1), membrane)
        seen.append(float(membrane))
    assert seen == [0.75, 1.125, -0.4375, 1.28125, 1.140625]


def test_the_highest_membranes_alone_fire_under_inhibition():
    spikes, _ = QLIF(3, beta=1.0, inhibition=True)(torch.tensor([[1.5, 2.0, 0.5], [1.5, 1.5, 0.0]]))
    # After the first step 1.5, 1.0 (2.0 less the threshold), 0.5 are left; then 3.0, 2.5, 0.5.
    assert spikes.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_the_three_numbers_are_parameters_where_they_are_learned():
    learned = QLIF(2, graded_spikes_factor=0.75, learn_graded_spikes_factor=True, learn_beta=True, learn_threshold=True)
    spikes, _ = learned(torch.full((3, 1, 2), 2.0))
    assert spikes.unique().tolist() == [0.75]
    own = {"leak", "level", "grade"}
    assert own <= {name for name, _ in learned.named_parameters()}
    assert not own & {name for name, _ in QLIF(2).named_parameters()}


@pytest.mark.parametrize("alpha", [2.0, None], ids=["surrogate", "disabled"])
def test_the_gradient_of_a_spike_is_that_of_the_arc_tangent(alpha):
    module = QLIF(3, 1.0, surrogate_disable=alpha is None, **FREE).train()
    x = torch.tensor([[[0.5, 1.0, 1.25]]], requires_grad=True)
    module(x)[0].sum().backward()
    distance = np.array([-0.5, 0.0, 0.25])
    wanted = 1 / (1 + (np.pi * distance) ** 2) if alpha else 0 * distance
    assert np.allclose(0.0 if x.grad is None else x.grad.numpy()[0, 0], wanted)


def test_a_gradient_of_a_user_is_taken():
    module = QLIF(1, 1.0, spike_grad=lambda distance: 3.0 * distance, **FREE).train()
    x = torch.tensor([[[0.5]]], requires_grad=True)
    spikes, _ = module(x)
    spikes.sum().backward()
    assert (float(spikes.detach()), float(x.grad)) == (0.0, 3.0)


def test_its_graph_spikes_as_it_does():
    class Spikes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = QLIF(3, beta=0.75, batch_first=True)

        def forward(self, x):
            return self.lif(x)[0]

    model, x = Spikes(), torch.from_numpy(np.random.default_rng(0).normal(size=(32, 7, 3)).astype("float32") * 2)
    hgq_torch.calibrate(model, x)
    y = model.eval()(x).detach().numpy()
    assert 0.05 < y.mean() < 0.95
    assert np.array_equal(run(hgq_torch.to_graph(model, x), x.numpy()), y)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: QLIF(3, reset_mechanism="halve"), ConfigError, "QLIF: reset_mechanism: received 'halve'"),
        (lambda: QLIF(3, threshold=float("nan")), ConfigError, "QLIF: threshold: received nan"),
        (lambda: QLIF(3)(torch.ones(4, 2, 5)), ShapeError, r"QLIF: received a tensor of shape \(4, 2, 5\)"),
        (lambda: QLIFCell(3)(torch.ones(2, 5)), ShapeError, r"QLIFCell: received a tensor of shape \(2, 5\)"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
