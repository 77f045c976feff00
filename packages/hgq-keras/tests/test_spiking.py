"""Spiking layers: membranes by hand, the gradient of a spike, what is learned, and what is refused."""

import keras
import numpy as np
import pytest
from keras import ops

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph import run
from hgq_keras import QuantizerConfigScope, to_graph
from hgq_keras.layers import QLIF, ATan, LIFCell, QLIFCell, QSimpleSNN, SpikingNeuralCell

INPUT = np.array([0.75, 0.75, 0.0, 1.5, 1.5], "float32")
# Membranes by hand with a threshold of 1; a membrane that fired is reset at the next step.
BY_HAND = {
    (1.0, "subtract"): [0, 1, 0, 1, 1],  # 0.75, 1.5, 0.5, 2.0, 2.5
    (1.0, "zero"): [0, 1, 0, 1, 0],  # 0.75, 1.5, 0, 1.5, 0
    (1.0, "none"): [0, 1, 1, 1, 1],
    (0.5, "subtract"): [0, 1, 0, 1, 1],  # 0.75, 1.125, -0.4375, 1.28125, 1.140625
}


def unquantized(**options):
    with QuantizerConfigScope(default_q_type="dummy"):
        return QLIF(1, return_sequences=True, return_state=True, **options)


@pytest.mark.parametrize(("beta", "reset"), BY_HAND)
def test_membranes_integrate_fire_and_are_reset(beta, reset):
    spikes, _ = unquantized(beta=beta, reset_mechanism=reset)(INPUT[None, :, None])
    assert ops.convert_to_numpy(spikes)[0, :, 0].tolist() == BY_HAND[beta, reset]


def test_a_cell_goes_through_the_same_membranes():
    cell, states = LIFCell(1, beta=0.5), [np.zeros((1, 1), "float32")]
    seen = []
    for x in INPUT:
        _, states = cell(x.reshape(1, 1), states)
        seen.append(float(ops.convert_to_numpy(states[0])[0, 0]))
    assert seen == [0.75, 1.125, -0.4375, 1.28125, 1.140625]
    _, states = SpikingNeuralCell(1)(np.full((1, 1), 0.75, "float32"), [np.ones((1, 1), "float32")])
    assert ops.convert_to_numpy(states[0]).tolist() == [[1.75]]


def test_the_highest_membranes_alone_fire_under_inhibition():
    layer = QSimpleSNN(3, inhibition=True, return_sequences=True)
    spikes = layer(np.array([[[1.5, 2.0, 0.5], [1.5, 1.5, 0.0]]], "float32"), training=True)
    # After the first step 1.5, 1.0 (2.0 less the threshold), 0.5 are left; then 3.0, 2.5, 0.5.
    assert ops.convert_to_numpy(spikes)[0].tolist() == [[0, 1, 0], [1, 0, 0]]


def test_graded_spikes_are_the_number_that_is_learned():
    layer = QLIF(2, graded_spikes_factor=0.75, learn_graded_spikes_factor=True, learn_beta=True, learn_threshold=True)
    spikes = layer(np.full((1, 3, 2), 2.0, "float32"))
    assert set(np.unique(ops.convert_to_numpy(spikes))) == {0.75}
    trained = {variable.path.rpartition("/")[2] for variable in layer.trainable_variables}
    assert {"leak", "level", "grade"} <= trained
    fixed = QLIF(2)
    fixed.build((None, 3, 2))
    assert not {"leak", "level", "grade"} & {v.path.rpartition("/")[2] for v in fixed.trainable_variables}


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("options", [{}, {"spike_grad": ATan(4.0)}, {"surrogate_disable": True}])
def test_training_lowers_the_loss_by_the_surrogate_alone(options):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6, 4)).astype("float32")
    y = (x.sum((1, 2)) > 0).astype("float32")[:, None]
    model = keras.Sequential(
        [keras.Input((6, 4)), keras.layers.Dense(5), QLIF(5, return_sequences=True, **options), keras.layers.Flatten()]
    )
    model.compile(keras.optimizers.Adam(0.05), lambda t, p: ops.mean((t - ops.mean(p, -1, keepdims=True)) ** 2))
    before = ops.convert_to_numpy(model.layers[0].kernel).copy()
    losses = model.fit(x, y, epochs=8, batch_size=16, verbose=0).history["loss"]
    moved = np.any(ops.convert_to_numpy(model.layers[0].kernel) != before)
    assert moved == ("surrogate_disable" not in options)
    assert (losses[-1] < 0.9 * losses[0]) == moved


def test_the_gradient_of_a_spike_is_that_of_the_arc_tangent():
    if keras.backend.backend() != "torch":
        pytest.skip("the gradient by hand is taken in PyTorch; the rule is the same code on every backend")
    x = ops.convert_to_tensor(np.array([-0.5, 0.0, 0.25], "float32")).requires_grad_()
    ATan(2.0)(x).sum().backward()
    assert np.allclose(x.grad.numpy(), 1 / (1 + (np.pi * np.array([-0.5, 0.0, 0.25])) ** 2))


def test_its_graph_spikes_as_it_does():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((7, 3)), QLIF(3, beta=0.75, return_sequences=True)])
    x = np.random.default_rng(0).normal(size=(32, 7, 3)).astype("float32") * 2
    y = model.predict(x, verbose=0)
    assert 0.05 < y.mean() < 0.95
    assert np.array_equal(run(to_graph(model), x), y)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: QLIF(3, reset_mechanism="halve"), ConfigError, "reset_mechanism: received 'halve', expected one of"),
        (lambda: QLIF(3, threshold=float("nan")), ConfigError, "threshold: received nan"),
        (lambda: QLIF(3, spike_grad=2.0), ConfigError, "spike_grad: received 2.0, expected a function"),
        (lambda: QLIF(3)(np.ones((2, 4, 5), "float32")), ShapeError, "layer 'qlif.*received 5 features, expected 3"),
        (lambda: LIFCell(3, iq_conf=None), ConfigError, "LIFCell: received iq_conf"),
        (lambda: QLIFCell(3)(np.ones((2, 4, 3), "float32"), [np.ones((2, 3), "float32")]), ShapeError, "received rows"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
