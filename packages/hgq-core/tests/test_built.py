"""What a graph refuses when it is built, and what EBOPs counts of one that was written by hand."""

import numpy as np
import pytest

from hgq_core.cost import ebops
from hgq_core.errors import ConfigError, FormatError, GraphError, ShapeError
from hgq_core.formats import Formats
from hgq_core.granularity import Granularity
from hgq_core.graph import GraphBuilder, load, run, save
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

FORMATS = Formats.of(1, 2, 3)


def one(shape, operation, *constants):
    b = GraphBuilder()
    x = b.add(op.Input(shape, FORMATS))
    return b.build([b.add(operation, x, *(b.add(c) for c in constants))])


REFUSED = {
    "a kernel larger than its data": ((2, 1), op.Convolve((1,), ((0, 0),), (1,)), np.ones((5, 1, 1)), "does not fit"),
    "a stride for one of two axes": (
        (4, 4, 1),
        op.Convolve((1, 1), ((0, 0),), (1, 1)),
        np.ones((2, 2, 1, 1)),
        "a pair of pads, for each spatial axis",
    ),
    "indices with two axes": ((3,), op.Gather(np.array([[0, 1]]), 0), None, "expected a list of 0 to 2"),
    "an index out of range": ((3,), op.Gather(np.array([9]), 0), None, "expected a list of 0 to 2"),
    "an axis given twice": ((3,), op.Reduce("sum", (0, 0)), None, "given twice"),
    "negative padding": ((3,), op.Pad(((-1, 0),)), None, "cut with a Slice"),
    "an unknown reduction": ((3,), op.Reduce("mean", (0,)), None, "expected one of.*sum"),
    "two sign bits": (
        (3,),
        op.Quantize(Formats(np.array(2), np.array(2), np.array(1)), Round.RND, Overflow.SAT),
        None,
        "k is the sign bit",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_impossible_operation_is_refused_when_it_is_added(name):
    shape, operation, kernel, words = REFUSED[name]
    constants = () if kernel is None else (op.Constant.of(kernel),)
    with pytest.raises((GraphError, ShapeError), match=words):
        one(shape, operation, *constants)


def adding(shape=(1,)):
    b = GraphBuilder()
    x, state = b.add(op.Input(shape)), b.add(op.Input(shape))
    y = b.add(op.Add(), x, state)
    return b.build([y, y])


@pytest.mark.parametrize(
    "shapes", [((2, 1), (1,)), ((5, 1), (1,)), ((4, 1),), ((4, 3), (1,)), ((4, 1), (3,)), ((4, 1), (1,), (1,))]
)
def test_a_scan_fits_its_sequence_and_its_states(shapes):
    b = GraphBuilder()
    inputs = [b.add(op.Input(shape, FORMATS)) for shape in shapes]
    with pytest.raises(ShapeError, match=r"Scan of 4 step\(s\) received a sequence"):
        b.add(op.Scan(adding(), 4), *inputs)


def test_a_single_number_is_a_constant_like_others(tmp_path):
    graph = one((1,), op.Multiply(), op.Constant.of(3.0))
    save(graph, tmp_path / "graph.hgq.npz")
    assert load(tmp_path / "graph.hgq.npz") == graph
    assert run(graph, [[1.0]]) == 3.0


@pytest.mark.parametrize(
    "constant", [op.Constant(np.array([1.5]), np.array([0])), op.Constant(np.array([1]), np.array([2000]))]
)
def test_a_constant_is_integers_that_float64_can_hold(constant):
    with pytest.raises(GraphError, match="expected integers with at most 1000"):
        one((1,), op.Add(), constant)


@pytest.mark.parametrize(
    ("parts", "words"), [((1, 1e30, 3), "whole numbers of at most"), (([1, 1], [1, 2, 3], 3), "do not broadcast")]
)
def test_formats_that_cannot_be(parts, words):
    with pytest.raises(FormatError, match=words):
        Formats.of(*parts)


def test_axes_and_blocks_that_cannot_be():
    with pytest.raises(ConfigError, match=r"heterogeneous_axis: received 0, expected a tuple"):
        Granularity(heterogeneous_axis=0)
    with pytest.raises(ConfigError, match=r"blocks of 2\.5"):
        Granularity(heterogeneous_axis=(1,), blocks={1: 2.5}).resolve((None, 5))
    with pytest.raises(ConfigError, match="fixed size along every axis but one"):
        Granularity(heterogeneous_axis=(2,), blocks={2: 2}).resolve((None, None, 4))
    assert Granularity(homogeneous_axis=(np.int64(0),)).resolve((None, 3)).width_shape == (1, 3)


class TestEBOPs:
    """A kernel of 2 x 2 with 3 bits each behind two numbers with 5 bits: 2 * 2 * 5 * 3 = 60."""

    def contraction(self, *before, formats=FORMATS):
        b = GraphBuilder()
        x = b.add(op.Input((2,), formats))
        for operation in before:
            x = b.add(operation, x) if not isinstance(operation, tuple) else b.add(operation[0], x, b.add(operation[1]))
        kernel = b.add(op.Constant.of(np.ones((2, 2)), bits=np.full((2, 2), 3)))
        return b.build([b.add(op.Contract("bi,io->bo"), x, kernel)])

    def test_the_format_of_an_input_counts(self):
        assert ebops(self.contraction()) == 60

    def test_limits_signs_and_free_constants_leave_widths_alone(self):
        quantize = op.Quantize(FORMATS, Round.RND, Overflow.WRAP)
        affine = ((op.Multiply(), op.Constant.of([2.0])), (op.Add(), op.Constant.of([0.5])))
        for before in ([op.Relu()], [op.Negate()], [op.Clip(0, 1)], affine):
            assert ebops(self.contraction(quantize, *before, formats=None)) == 60

    def test_a_sum_of_data_and_a_constant_counts_both(self):
        b = GraphBuilder()
        x, y = (
            b.add(op.Quantize(FORMATS, Round.RND, Overflow.WRAP), b.add(op.Input((2,)), name=name + "in"))
            for name in "xy"
        )
        bias = b.add(op.Constant.of(np.ones(2), bits=np.full(2, 3)))
        assert ebops(b.build([b.add(op.Add(), x, y, bias)])) == 2 * 3 + 0.65 * (2 * 5)
