"""What the prover says holds for every input, and where it says nothing there is an input that shows why."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.errors import GraphError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, prove, run, witness
from hgq_core.graph import ops as op
from hgq_core.graph.evaluate import evaluate_node
from hgq_core.graph.integers import IntegerArray
from hgq_core.modes import Overflow, Round


def every_value(graph, *inputs):
    """Each node with its exact values, batch first."""
    feed, values = iter(inputs), {}
    for node in graph:
        fed = isinstance(node.op, op.Input)
        values[node.name] = (
            IntegerArray.of(next(feed)) if fed else evaluate_node(node, [values[name] for name in node.inputs])
        )
        if not isinstance(node.op, op.Constant):
            yield node.name, IntegerArray.of(values[node.name])


@given(seed=st.integers(0, 10**6))
def test_every_value_is_a_member_of_the_proved_format(random_graph, seed):
    graph, x = random_graph(seed)
    proof = prove(graph)
    for name, got in every_value(graph, x):
        wide = proof.formats[name].broadcast_to(graph[name].shape)
        for row in got.integers:
            for n, k, i, f in zip(row.flat, wide.k.flat, wide.i.flat, wide.f.flat, strict=True):
                value, step = int(n) * Fraction(2) ** -got.fraction, Fraction(2) ** -int(f)
                assert (value / step).denominator == 1
                assert -int(k) * Fraction(2) ** int(i) <= value <= Fraction(2) ** int(i) - step


@given(seed=st.integers(0, 10**6))
def test_no_value_needs_more_bits_than_proved(random_graph, seed):
    graph, x = random_graph(seed)
    bits = prove(graph).bits
    for name, got in every_value(graph, x):
        for n in map(int, got.integers.flat):
            assert (abs(n) // (n & -n)).bit_length() <= bits[name] if n else True


def wrapped(source, target, real=False):
    b = GraphBuilder()
    x = b.add(op.Input((2,), None if real else Formats.of(*source)))
    y = b.add(op.Quantize(Formats.of(*target), Round.RND, Overflow.WRAP), x, name="q", label="layer")
    return b.build([y])


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        ((1, 3, 2), (1, 3, 2), "proved"),
        ((1, 3, 2), (1, 4, 0), "proved"),
        ((1, 3, 2), (1, 3, 0), "possible"),  # 7.75 rounds to 8
        ((1, 3, 2), (0, 4, 2), "possible"),  # -1 has no place
        ((0, 3, 2), (0, 3, 4), "proved"),
        ((1, 3, 2), (1, [3, 2], 2), "possible"),  # in the second element only
    ],
)
def test_wrap_is_proved_or_possible(source, target, verdict):
    graph = wrapped(source, target)
    proof = prove(graph)
    assert proof.overflow == {"q": verdict}
    assert [(f.node, f.label, f.kind) for f in proof.findings] == [("q", "layer", "overflow")] * (verdict == "possible")
    k, i, f = source
    every = np.arange(-k * 2 ** (i + f), 2 ** (i + f)) * 2.0**-f
    far = np.abs(run(graph, np.stack([every, every], axis=1)) - every[:, None]) > 1
    assert far.any() == (verdict == "possible")


def test_a_real_input_may_always_wrap():
    assert prove(wrapped(None, (1, 9, 9), real=True)).overflow == {"q": "possible"}


@pytest.mark.parametrize(
    "operation",
    [op.Subtract(), op.Clip(0, 1), op.Reduce("sum", (0,)), op.Contract("bi,bi->b"), op.Add()],
)
def test_arithmetic_on_a_real_edge_is_refused_before_it_happens(operation):
    b = GraphBuilder()
    x = b.add(op.Relu(), b.add(op.Input((2,))), label="front")
    operands = (x, x) if isinstance(operation, op.Add | op.Subtract | op.Contract) else (x,)
    graph = b.build([b.add(operation, *operands, label="layer")])
    with pytest.raises(GraphError, match=r"\(layer 'layer'\) acts on an input that is not quantized"):
        run(graph, np.ones((1, 2)))


def wide_dot(terms=64, spread=0):
    """Ten bits times ten bits, added up: 26 bits; ``spread`` more between the first weights and the others."""
    b = GraphBuilder()
    x = b.add(op.Input((terms,), Formats.of(0, 10, 0)))
    w = np.where(np.arange(terms) < 2, 2.0**spread, 1.0) * 1023
    y = b.add(op.Contract("bi,io->bo"), x, b.add(op.Constant.of(w[:, None])), name="dot", label="wide")
    return b.build([y]), w.astype(np.float32)


def summed_in_float32(x, w):
    total = np.float32(0)
    for a, b in zip(x.astype(np.float32), w, strict=True):
        total = np.float32(total + np.float32(a * b))
    return float(total)


def test_a_dot_product_that_is_too_wide_for_float32_is_found_and_float32_is_wrong_there():
    graph, w = wide_dot()
    proof = prove(graph)
    assert not proof.float32_exact
    assert proof.exact_in(53)
    (finding,) = proof.findings
    assert (finding.node, finding.label, finding.kind, finding.bits) == ("dot", "wide", "inexact", 26)
    (x,) = witness(graph, finding).witness
    assert x.shape == (1, 64)
    assert summed_in_float32(x[0], w) != run(graph, x)[0, 0] == sum(int(v) * 1023 for v in x[0])


def test_a_narrow_dot_product_has_no_finding():
    assert prove(wide_dot(terms=16)[0]).float32_exact


def partial(kind):
    """``a + b - a`` in this order: the result fits into float32, ``a + b`` with its 25 bits does not."""
    b = GraphBuilder()
    pair = b.add(op.Input((2,), Formats.of(0, [12, 0], [0, 13])))
    x = b.add(op.Gather(np.array([0, 1, 0]), 0), pair)
    signs = np.array([1.0, 1.0, -1.0])
    flipped = b.add(op.Multiply(), x, b.add(op.Constant.of(signs)))
    match kind:
        case "add":
            return b.build([b.add(op.Add(), *(b.add(op.Slice((n,), (n + 1,), (1,)), flipped) for n in range(3)))])
        case "sum":
            return b.build([b.add(op.Reduce("sum", (0,), keepdims=True), flipped)])
        case "pool":
            column = b.add(op.Reshape((3, 1)), flipped)
            return b.build([b.add(op.Pool("sum", (3,), (1,), ((0, 0),)), column)])
        case "convolve":
            kernel = b.add(op.Constant.of(signs.reshape(3, 1, 1)))
            return b.build([b.add(op.Convolve((1,), ((0, 0),), (1,)), b.add(op.Reshape((3, 1)), x), kernel)])
    return b.build([b.add(op.Contract("bi,io->bo"), x, b.add(op.Constant.of(signs[:, None])))])


@pytest.mark.parametrize("kind", ["add", "sum", "pool", "convolve", "contract"])
def test_a_partial_sum_that_float32_rounds_has_a_witness_the_same_every_time(kind):
    graph = partial(kind)
    (finding,) = prove(graph).findings
    first, second = (witness(graph, finding) for _ in range(2))
    np.testing.assert_array_equal(first.witness, second.witness)
    (x,) = first.witness
    assert run(graph, x).ravel() == x[0, 1]
    a, b = x[0].astype(np.float32)
    assert not fits_float32(Fraction(x[0, 0]) + Fraction(x[0, 1]))
    assert a + b - a != b


def fits_float32(exact):
    return Fraction(float(np.float32(float(exact)))) == exact


def test_the_format_behind_a_real_input_gives_the_numbers_to_try():
    b = GraphBuilder()
    x = b.add(op.Quantize(Formats.of(0, 20, 0), Round.RND, Overflow.WRAP), b.add(op.Relu(), b.add(op.Input((1,)))))
    graph = b.build([b.add(op.Multiply(), x, x, name="square")])
    (finding,) = [f for f in prove(graph).findings if f.kind == "inexact"]
    ((x,),) = witness(graph, finding).witness
    assert not fits_float32(Fraction(x[0]) ** 2)


def test_a_bound_that_nothing_reaches_says_so():
    b = GraphBuilder()
    x = b.add(op.Input((1,), Formats.of(0, 20, 0)))
    graph = b.build([b.add(op.Subtract(), b.add(op.Multiply(), x, b.add(op.Constant.of(16.0))), x, name="n")])
    (finding,) = prove(graph).findings
    searched = witness(graph, finding)
    assert searched.witness is None
    assert "none of 256 representable inputs" in searched.detail


def test_a_finding_of_another_kind_stays_as_it_is():
    graph = wrapped((1, 3, 2), (1, 2, 2))
    (finding,) = prove(graph).findings
    assert witness(graph, finding) is finding


@pytest.mark.parametrize(("integer_bits", "verdict"), [(3, "possible"), (5, "proved")])
def test_wrap_inside_a_scan_is_judged_over_all_steps(integer_bits, verdict):
    body = GraphBuilder()
    x, state = (body.add(op.Input((1,), Formats.of(0, 2, 0))) for _ in range(2))
    target = Formats.of(0, integer_bits, 0)
    new = body.add(op.Quantize(target, Round.TRN, Overflow.WRAP), body.add(op.Add(), x, state), name="q")
    inner = body.build([new, new])
    b = GraphBuilder()
    inputs = [b.add(op.Input(shape, Formats.of(0, 2, 0))) for shape in ((4, 1), (1,))]
    proof = prove(b.build([b.add(op.Scan(inner, 4), *inputs, name="scan")]))
    assert proof.overflow == {"scan/q": verdict}
    assert [f.node for f in proof.findings] == ["scan"] * (verdict == "possible")


def test_a_coarse_constant_beside_a_zero_is_proved():
    """All steps above 1, so that the tensor's own unit is coarser than that of a zero."""
    builder = GraphBuilder()
    x = builder.add(op.Input((2,), Formats.of(1, 4, -2)))
    y = builder.add(op.Add(), x, builder.add(op.Constant.of([8.0, 0.0])))
    assert prove(builder.build([y])).float32_exact


def test_numbers_beyond_float32_inside_a_scan_are_seen():
    """The body divides by 2**140 and multiplies again: nothing of that shows outside of it."""
    body = GraphBuilder()
    x, state = (body.add(op.Input((1,), Formats.of(0, 2, 0))) for _ in range(2))
    down, up = (body.add(op.Constant.of([factor])) for factor in (2.0**-140, 2.0**140))
    small = body.add(op.Multiply(), body.add(op.Multiply(), x, down), up)
    inner = body.build([small, state])
    b = GraphBuilder()
    inputs = [b.add(op.Input(shape, Formats.of(0, 2, 0))) for shape in ((4, 1), (1,))]
    proof = prove(b.build([b.add(op.Scan(inner, 4), *inputs, name="scan")]))
    assert proof.exponents["scan"] == (-140, 141)  # 2**140 is a constant of 141 bits
    assert not proof.float32_exact
    assert proof.exact_in(53)
    assert [(f.node, f.kind) for f in proof.findings] == [("scan", "inexact")]
