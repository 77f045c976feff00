"""Random graphs over most operations, for laws that hold for all of them."""

import numpy as np
import pytest
from hypothesis import settings

from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

settings.register_profile("hgq-core", deadline=None, max_examples=40)
settings.load_profile("hgq-core")


def formats(rng, shape, widest):
    k, i, f = rng.integers(0, 2, shape), rng.integers(-1, widest, shape), rng.integers(-1, widest, shape)
    return Formats.of(k, i, f)


def step(rng, b, x):
    shape = b.shape(x)
    quantize = op.Quantize(formats(rng, shape, 4), list(Round)[rng.integers(7)], list(Overflow)[rng.integers(3)])
    constant = op.Constant.of(rng.integers(-7, 8, shape[-1:]) / 4)
    kernel = op.Constant.of(rng.integers(-7, 8, (shape[-1], 3)) / 4)
    choices = [
        lambda: b.add(quantize, x),
        lambda: b.add(quantize, x),
        lambda: b.add(op.Relu(), x),
        lambda: b.add(op.Add(), x, b.add(constant)),
        lambda: b.add(op.Multiply(), b.add(constant), x),
        lambda: b.add(op.Subtract(), x, b.add(op.Negate(), x)),
        lambda: b.add(op.Contract("abi,io->abo" if len(shape) == 2 else "bi,io->bo"), x, b.add(kernel)),
        lambda: b.add(op.Contract("bij,bkj->bik"), x, x) if len(shape) == 2 else b.add(op.Multiply(), x, x),
        lambda: b.add(op.Select(), b.add(op.Compare("<="), x, b.add(constant)), x, b.add(constant)),
        lambda: b.add(op.Clip(-1.5, 2.25), x),
        lambda: b.add(op.Reduce(["sum", "max", "min"][rng.integers(3)], (0,), keepdims=True), x),
        lambda: b.add(op.Concatenate(0), x, x),
        lambda: b.add(op.Pool("sum", (2,), (1,), ((1, 0),)), x) if len(shape) == 2 else b.add(op.Negate(), x),
        lambda: b.add(op.Gather(rng.integers(0, shape[0], 2), 0), x),
    ]
    return choices[rng.integers(len(choices))]()


def build(seed, steps=5, widest=5):
    """A graph of a declared input, and a batch of representable numbers for it."""
    rng = np.random.default_rng(seed)
    shape = [(3,), (2, 3)][rng.integers(2)]
    declared = formats(rng, shape, widest)
    b = GraphBuilder()
    x = b.add(op.Input(shape, declared))
    for _ in range(steps):
        x = step(rng, b, x)
    units = rng.uniform(size=(40, *shape)) * (declared.highest - declared.lowest) + declared.lowest
    units[:2] = declared.lowest, declared.highest
    return b.build([x]), np.floor(np.ldexp(units, declared.f)) * declared.step * declared.alive


@pytest.fixture(scope="session")
def random_graph():
    return build
