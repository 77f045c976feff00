"""A product or convolution with bias and ReLU is one step on PyTorch, and gives what its steps give, bit for bit."""

import keras
import numpy as np
import pytest

from hgq_core.graph.ops import Add, Relu
from hgq_core.layers import ChannelsFirst, Convolution, Dense, EinsumDense
from hgq_core.layers.patterns import Chain
from hgq_keras.layers import QLayer

BACKEND = keras.backend.backend()


class Declared(QLayer):
    """A layer of the declaration that is given."""

    def __init__(self, declaration, **options):
        super().__init__(enable_iq=True, **options)
        self.declared = declaration

    def declaration(self):
        return self.declared


def _parts(t, x):
    """Two dense parts, each of data that it quantizes itself."""
    y = t.call("a", Dense(3, activation=Relu()), t.quantized("aq", x))
    return t.call("b", Dense(2, use_bias=False), t.quantized("bq", y))


def _reused(t, x):
    """The data of a product is read again."""
    return t.op(Add(), x, Dense(4)(t, x))


CASES = {
    "dense": (Dense(3), (4,), 1),
    "dense-relu": (Dense(3, activation=Relu()), (2, 4), 1),
    "no-bias": (Dense(3, use_bias=False, activation=Relu()), (4,), 1),
    "parts": (_parts, (4,), 2),
    "reused": (_reused, (4,), 0),
    "other-contraction": (EinsumDense("bti,it->bt", (4, 2)), (2, 4), 0),
    "conv1d": (Convolution(3, (2,), (2,), "causal", (1,)), (7, 4), 1),
    "conv2d": (Convolution(4, (2, 3), (1, 2), ((1, 0), (0, 2)), (2, 1), 2, activation=Relu()), (5, 6, 4), 1),
    "conv2d-first": (ChannelsFirst(Convolution(3, (3, 2), (1, 1), "same", (1, 1), use_bias=False)), (2, 5, 4), 1),
}


def chains(layer):
    return [step.kind for step in layer._running.steps if isinstance(step.kind, Chain)]


def gradients(layer, x, g):
    """The output in training, and the gradients of all that is trained."""
    values = [variable.value for variable in layer.trainable_variables]
    layer.zero_grad()
    y = layer(x, training=True)
    y.backward(g)
    return y.detach(), [value.grad.clone() for value in values]


@pytest.mark.skipif(BACKEND != "torch", reason="XLA fuses the steps itself")
@pytest.mark.parametrize("name", CASES)
def test_a_chain_is_its_steps(name):
    import torch

    declaration, shape, number = CASES[name]
    keras.utils.set_random_seed(0)
    fused, plain = Declared(declaration), Declared(declaration)
    for layer in (fused, plain):
        layer.build((None, *shape))
    plain.set_weights(fused.get_weights())
    plain._running = plain.program
    assert len(chains(fused)) == number
    x = torch.randn(33, *shape) * 3
    # Whole numbers, so that sums of products are exact in whatever order a processor takes them.
    g = torch.randint(-1, 2, fused(x, training=True).shape).float()
    plain(x, training=True)
    (y, ours), (expected, theirs) = (gradients(layer, x, g) for layer in (fused, plain))
    assert torch.equal(y, expected)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-4)
    with torch.no_grad():
        assert torch.equal(fused(x, training=False), plain(x, training=False))
    np.testing.assert_equal(fused.get_weights(), plain.get_weights())


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs chains as one step")
def test_xla_gets_the_program_as_it_was_traced():
    layer = Declared(Dense(3, activation=Relu()))
    layer.build((None, 4))
    assert layer._running is layer.program
