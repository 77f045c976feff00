"""Which steps of a program a front end may run as one, and what it is told of them."""

import pytest

from hgq_core.graph.ops import Add, Contract, Convolve, Relu, Transpose
from hgq_core.layers import ChannelsFirst, Convolution, Dense, EinsumDense, Layered, trace
from hgq_core.layers.patterns import Chain, joined


def traced(declaration, *shape):
    return trace(Layered(declaration, True, True), shape)


def kinds(program):
    return [type(step.kind).__name__ for step in program.steps]


def test_a_dense_layer_is_one_chain_between_its_input_and_the_quantizer_of_its_output():
    program = traced(Dense(3, activation=Relu()), 2, 4)
    (found,) = [step.kind for step in joined(program, lambda chain: chain).steps if isinstance(step.kind, Chain)]
    assert (found.data, found.kernel, found.bias) == ("iq", ("kq", "kernel"), ("bq", "bias"))
    assert isinstance(found.operation, Contract)
    assert (found.moved, found.relu, found.features) == (None, True, (4, 3))
    assert kinds(joined(program, lambda chain: chain)) == ["Feed", "Chain", "Quantized"]


def test_a_convolution_takes_the_permutation_before_it_and_leaves_that_behind_it():
    program = traced(ChannelsFirst(Convolution(6, (3, 2), (1, 1), "same", (1, 1), groups=2)), 4, 5, 7)
    fresh = joined(program, lambda chain: chain)
    assert kinds(fresh) == ["Feed", "Chain", "Transpose", "Quantized"]
    found = fresh.steps[1].kind
    assert found.moved == Transpose((1, 2, 0))
    assert isinstance(found.operation, Convolve)
    assert (found.relu, found.features) == (False, (2, 6))
    assert fresh.steps[1].shape == (5, 7, 6)


def _read_again(t, x):
    return t.op(Add(), x, Dense(4)(t, x))


def _bias_of_rows(t, x):
    return EinsumDense("bti,io->bto", (4, 3), (2, 1))(t, x)


@pytest.mark.parametrize(
    ("declaration", "kept"),
    [
        (_read_again, ["Contract", "Add", "Add"]),
        (EinsumDense("bti,it->bt", (4, 2)), ["Contract"]),
        (_bias_of_rows, ["Add"]),
    ],
    ids=["data that are read again", "another contraction", "a bias along another axis"],
)
def test_what_is_no_chain_stays(declaration, kept):
    program = traced(declaration, 2, 4)
    names = kinds(joined(program, lambda chain: chain))
    assert [name for name in names if name in ("Contract", "Add")] == kept


def test_a_front_end_may_leave_a_chain_as_it_is():
    program = traced(Dense(3), 4)
    assert joined(program, lambda chain: None) is program
