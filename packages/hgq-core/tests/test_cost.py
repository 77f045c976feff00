"""EBOPs against loops: every product, sum and comparison by itself."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core import cost
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph import ops as op
from hgq_core.linear import Contract, Convolve, Pool
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY


def bits(seed, *shape, shared=()):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 9, [1 if n in shared else size for n, size in enumerate(shape)]).astype(float)


@given(st.integers(0, 1), st.integers(-6, 6), st.integers(-6, 6))
def test_counted_bits(k, i, f):
    counted = {mode: float(cost.counted_bits(NUMPY, float(k), float(i), float(f), mode)) for mode in Overflow}
    if k + i + f <= 0:
        assert set(counted.values()) == {0.0}
    else:
        assert counted == {Overflow.WRAP: i + f, Overflow.SAT_SYM: i + f, Overflow.SAT: i + f + k}


@pytest.mark.parametrize("equation", ["bi,io->bo", "bti,io->bto", "bij,bjk->bik", "bi,o->bio", "bij,ijo->bo"])
@pytest.mark.parametrize("shared", [(), (1,), (0, 1)])
def test_a_contraction_costs_every_product_of_widths(equation, shared):
    sizes = {"b": 1, "i": 3, "t": 2, "j": 4, "k": 2, "o": 5}
    first, second, _ = Contract(equation).terms
    a, b = (bits(n, *(sizes[c] for c in term), shared=shared) for n, term in enumerate((first, second)))
    full_a, full_b = (np.broadcast_to(x, [sizes[c] for c in t]) for x, t in ((a, first), (b, second)))
    letters, expected = sorted(set(first + second)), 0
    for values in product(*(range(sizes[c]) for c in letters)):
        at = dict(zip(letters, values, strict=True))
        expected += full_a[tuple(at[c] for c in first)] * full_b[tuple(at[c] for c in second)]
    assert cost.contraction_cost(NUMPY, Contract(equation), a, b, sizes) == expected


@given(st.data())
def test_a_convolution_costs_every_tap_that_meets_data(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    n, window, groups = draw(5, 7), draw(1, 3), draw(1, 2)
    op_ = Convolve(
        (draw(1, 2),), ((draw(0, 2), draw(0, 2)),), (draw(1, 2),), groups, transposed=data.draw(st.booleans())
    )
    x, kernel = bits(1, 1, n, 2 * groups), bits(2, window, 2, 2 * groups)
    size = op_.shape((1, n, 2 * groups), kernel.shape)[1]
    (s,), ((before, _),), (d,) = op_.strides, op_.pads, op_.dilation
    expected = 0
    for place, tap, c, o in product(range(n if op_.transposed else size), range(window), range(2), range(2 * groups)):
        other = place * s + tap * d - before
        if 0 <= other < (size if op_.transposed else n):
            expected += x[0, place if op_.transposed else other, o // 2 * 2 + c] * kernel[tap, c, o]
    assert cost.convolution_cost(NUMPY, op_, x, kernel, (n,), kernel.shape) == expected


def quantized(b, shape, modes=(Round.RND, Overflow.SAT)):
    rng = np.random.default_rng(7)
    formats = Formats.of(rng.integers(0, 2, shape), rng.integers(0, 4, shape), rng.integers(-2, 3, shape))
    return b.add(op.Quantize(formats, *modes), b.add(op.Input(shape)))


def one(shape, operation, *constants, **options):
    """EBOPs of one operation on quantized data, and the widths of that data."""
    b = GraphBuilder()
    x = quantized(b, shape)
    graph = b.build([b.add(operation, x, *(b.add(c) for c in constants), **options)])
    f = graph[x].op.formats
    return cost.ebops(graph), np.where(f.alive, np.maximum(f.i + f.f, 0) + f.k, 0)


def test_one_affine_map_costs_the_same_however_it_is_written():
    values, counted = np.ones((3, 4)), bits(0, 3, 4).astype(int)
    dense = one((5, 3), Contract("bti,io->bto"), op.Constant.of(values, counted))[0]
    einsum = one((5, 3), Contract("bti,oi->bto"), op.Constant.of(values.T, counted.T))[0]
    conv = one((5, 3), Convolve((1,), ((0, 0),), (1,)), op.Constant.of(values[None], counted[None]))[0]
    assert dense == einsum == conv > 0


def test_a_bias_costs_its_bits_at_every_position():
    got, _ = one((5, 3), op.Add(), op.Constant.of(np.ones(3), [1, 2, 4]))
    assert got == 5 * (1 + 2 + 4)


@pytest.mark.parametrize(("kind", "weight"), [("max", 1.0), ("sum", 0.65)])
def test_pooling_padding_costs_nothing(kind, weight):
    got, x = one((5, 2), Pool(kind, (3,), (2,), ((1, 1),)))
    windows = [[x[t, c] for t in range(2 * p - 1, 2 * p + 2) if 0 <= t < 5] for p in range(3) for c in range(2)]
    assert got == pytest.approx(weight * sum(sum(w) - min(w) for w in windows))


@pytest.mark.parametrize(("kind", "weight"), [("max", 1.0), ("min", 1.0), ("sum", 0.65)])
def test_a_reduction_costs_all_but_the_smallest(kind, weight):
    got, x = one((5, 2), op.Reduce(kind, (0,)))
    assert got == pytest.approx(weight * sum(x[:, c].sum() - x[:, c].min() for c in range(2)))


@given(st.integers(2, 4))
def test_a_merge_costs_all_but_the_smallest_operand(n):
    parts = [bits(seed, 1, 3, 2, shared=(seed % 3,)) for seed in range(n)]
    full = [np.broadcast_to(p, (1, 3, 2)) for p in parts]
    cells = [[p[cell] for p in full] for cell in np.ndindex(1, 3, 2)]
    expected = sum(sum(c) - min(c) for c in cells)
    assert cost.merge_cost(NUMPY, parts, (3, 2), 1.0) == expected
    assert cost.merge_cost(NUMPY, parts, (3, 2), cost.ADDER) == pytest.approx(0.65 * expected)
    assert cost.product_cost(NUMPY, parts, (3, 2)) == sum(np.prod(c) for c in cells)


@pytest.mark.parametrize(
    ("operation", "weight"), [(op.Add(), 0.65), (op.Subtract(), 0.65), (op.Maximum(), 1), (op.Compare("<"), 1)]
)
def test_merges_in_a_graph(operation, weight):
    b = GraphBuilder()
    x, y = (b.add(op.Quantize(Formats.of(1, [2, n], 1), "RND", "SAT_SYM"), b.add(op.Input((2,)))) for n in (3, 1))
    assert cost.ebops(b.build([b.add(operation, x, y)])) == pytest.approx(weight * (3 + 4))


@given(st.integers(0, 8), st.integers(0, 8))
def test_a_table_costs_what_it_stores(w_in, w_out):
    got = cost.lookup_cost(NUMPY, np.full((1, 3), float(w_in)), np.full((1, 1), float(w_out)), (3,))
    assert got == pytest.approx(3 * 1e-4 * 2**w_in * w_out)


def test_moves_cost_nothing_and_carry_widths_on():
    b = GraphBuilder()
    x = quantized(b, (2, 3))
    moved = b.add(op.Transpose((1, 0)), b.add(op.Pad(((1, 0), (0, 0))), x))
    graph = b.build([b.add(op.Reduce("max", (0, 1)), moved)])
    f = graph[x].op.formats
    assert cost.ebops(graph) == np.where(f.alive, np.maximum(f.i + f.f, 0) + f.k, 0).sum()


def test_factors_and_labels():
    b = GraphBuilder()
    x = quantized(b, (3,))
    first = b.add(Contract("bi,io->bo"), x, b.add(op.Constant.of(np.eye(3), np.eye(3))), label="one", ebops_factor=0.5)
    y = b.add(op.Add(), first, b.add(op.Constant.of([1.0], [2])), label="one")
    free = b.add(op.Reduce("sum", (0,)), x, label="free", ebops_factor=0)
    graph = b.build([y, free])
    f = graph[x].op.formats
    widths = np.where(f.alive, np.maximum(f.i + f.f, 0) + f.k, 0)
    assert cost.ebops_by_label(graph) == {"one": widths.sum() / 2 + 3 * 2}
    assert cost.ebops(graph) == widths.sum() / 2 + 3 * 2


def test_a_scan_costs_its_body_at_every_step():
    body = GraphBuilder()
    x, state = quantized(body, (2,)), body.add(op.Input((2,), Formats.of(1, 3, 3)))
    new = body.add(op.Maximum(), x, body.add(op.Quantize(Formats.of(1, 9, 0), "RND", "SAT_SYM"), state))
    inner = body.build([new, new])
    b = GraphBuilder()
    sequence, start = b.add(op.Input((4, 2))), b.add(op.Input((2,)))
    assert cost.ebops(b.build([b.add(op.Scan(inner, 4), sequence, start)])) == 4 * cost.ebops(inner) > 0
