"""The pattern of a dense step is found in any program, and gives what its steps give one by one, bit for bit."""

import copy
from itertools import product

import pytest
import torch

import hgq_torch
from hgq_core.graph.ops import Add, Multiply, Relu
from hgq_core.layers import ChannelsFirst, Convolution, Dense, EinsumDense
from hgq_torch import nn as qnn
from hgq_torch._slots import Layout, Turn
from hgq_torch.kernels.fuse import Pattern


class Declared(qnn.QModule):
    """A layer of the declaration that is given, whose kernels are stored as PyTorch stores them, or as declared."""

    def __init__(self, declaration, axes=2, *, as_declared=False):
        super().__init__(enable_iq=True)
        self.declared = declaration
        turn = Turn.of((axes - 1, axes - 2, *range(axes - 2)))
        parts = [] if as_declared else ["", "a/", "b/"]
        self.layouts = {f"{part}kernel": Layout(f"{part}weight".replace("/", "_"), turn) for part in parts}

    def declaration(self):
        return self.declared


def _gated(t, x):
    """Two dense parts, each of data that it quantizes itself, and their product."""
    a = t.call("a", Dense(3, activation=Relu()), t.quantized("aq", x))
    b = t.call("b", Dense(3, use_bias=False), t.quantized("bq", x))
    return t.op(Multiply(), t.quantized("cq", a), t.quantized("dq", b))


def _reused(t, x):
    """The data of a product is read again."""
    return t.op(Add(), x, Dense(4)(t, x))


def _two_windows(t, x):
    """Two convolutions, each of data that it quantizes itself, that are parts of one layer."""
    y = t.call("a", Convolution(3, (2,), (1,), "causal", (1,), activation=Relu()), x)
    return t.call("b", Convolution(2, (3,), (2,), "same", (1,)), t.quantized("bq", y))


def _summed(t, x):
    """A bias that is no vector of the output's last axis."""
    return EinsumDense("bti,io->bto", (4, 3), (2, 1))(t, x)


CASES = {
    "dense": (Dense(3), (4,), 1),
    "dense-relu": (Dense(3, activation=Relu()), (2, 4), 1),
    "dense-no-bias": (Dense(3, use_bias=False, activation=Relu()), (4,), 1),
    "parts": (_gated, (4,), 2),
    "reused": (_reused, (4,), 0),
    "other-bias": (_summed, (2, 4), 1),
    "square": (Dense(4, activation=Relu()), (4,), 1),
    "conv1d": (Convolution(3, (2,), (2,), "valid", (1,)), (7, 4), 1),
    "conv1d-parts": (_two_windows, (6, 2), 2),
    "conv2d": (Convolution(4, (2, 3), (1, 2), ((1, 0), (0, 2)), (2, 1), 2, activation=Relu()), (5, 6, 4), 1),
    "conv2d-first": (ChannelsFirst(Convolution(3, (3, 2), (1, 1), "same", (1, 1), use_bias=False)), (2, 5, 4), 1),
    "other-contraction": (EinsumDense("bti,it->bt", (4, 2)), (2, 4), 0),
}


def patterns(module):
    return [step.kind for step in module.made.running.steps if isinstance(step.kind, Pattern)]


def one_by_one(module):
    other = copy.deepcopy(module)
    other.made.running = other.made.program
    return other


def made(name, **options):
    """The layer of a case, built, and how many patterns it has."""
    declaration, shape, number = CASES[name]
    module = Declared(declaration, {"1": 3, "2": 4}.get(name.removeprefix("conv")[:1], 2), **options)
    module.build(shape)
    return module, shape, number


@pytest.mark.parametrize("as_declared", [False, True], ids=["PyTorch's layout", "the declared layout"])
@pytest.mark.parametrize("name", CASES)
def test_a_pattern_is_its_steps(name, as_declared):
    fused, shape, number = made(name, as_declared=as_declared)
    assert len(patterns(fused)) == number
    assert all(pattern.plan is not None for pattern in patterns(fused))
    with torch.no_grad():
        for path, quantizer in fused.own_quantizers().items():
            for width in ("b", "f"):
                if width in quantizer.trained:
                    stored = getattr(quantizer, width)
                    stored.copy_(torch.rand_like(stored) * 5 - 0.5)
            assert path
    plain = one_by_one(fused)
    x = torch.randn(33, *shape) * 3
    for training, step in product((True, False), range(2)):
        outputs = [module.train(training)(x * (step + 1)) for module in (fused, plain)]
        assert torch.equal(*outputs)
        if not training:
            continue
        # Whole numbers, so that sums of products are exact in whatever order a processor takes them.
        g = torch.randint_like(outputs[0], -1, 2)
        for module, y in zip((fused, plain), outputs, strict=True):
            module.zero_grad()
            y.backward(g)
        for (path, a), b in zip(fused.named_parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=2e-4, msg=lambda m, n=path: f"{n}: {m}")
        for (path, a), b in zip(fused.named_buffers(), plain.buffers(), strict=True):
            assert torch.equal(a, b), path


def test_only_a_layer_that_is_one_pattern_has_its_cost():
    models = {name: made(name)[0] for name in CASES}
    alone = {name for name, model in models.items() if model.made.pattern is not None and model.made.pattern.plan.cost}
    # The data of "dense-relu" have two axes, with widths along both.
    assert alone == {"dense", "dense-no-bias", "square"}
    models |= {f"{name}, as declared": made(name, as_declared=True)[0] for name in CASES}
    for model in models.values():
        hgq_torch.set_beta(model, 1.0)
        expected = model.ebops() + model.regularization()
        torch.testing.assert_close(hgq_torch.ebops_loss(model), expected)


@pytest.mark.parametrize(("name", "calls"), [("dense", 3), ("conv2d", 3)])
def test_a_hook_on_a_quantizer_is_called_at_every_step(name, calls):
    module, shape, _ = made(name)
    x = torch.randn(5, *shape)
    seen = []
    for quantizer in module.own_quantizers().values():
        quantizer.register_forward_hook(lambda *_: seen.append(1))
    for count, training in enumerate((True, False, False), start=1):
        with torch.set_grad_enabled(training):
            module.train(training)(x)
        assert len(seen) == count * calls
