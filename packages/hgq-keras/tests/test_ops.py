"""The rows of the Graph's table of kinds on Keras tensors: values bit for bit, EBOPs and their derivatives."""

import keras
import numpy as np
import pytest

from hgq_core.conformance.graphs import GRAPHS, example
from hgq_core.conformance.rows import rows
from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.graph import prove
from hgq_core.graph.kinds import KINDS, cost_of, counted_of, evaluate_operation, scanned
from hgq_core.ops import NUMPY
from hgq_keras._ops import KERAS

NO_TENSORS = {op.Input, op.Quantize, op.Lookup, op.Scan}
"""A program reads these from its own steps: they need quantizers, tables or a loop."""
ONE_OF_EACH = [name for name in GRAPHS if not name.startswith(("layer-", "quantize-"))]
EXACT = [name for name in ONE_OF_EACH if prove(example(name)[0]).float32_exact]


def tensors(arrays):
    return [None if x is None else KERAS.constant(np.asarray(x, np.float64)) for x in arrays]


def numbers(x):
    return None if x is None else np.asarray(keras.ops.convert_to_numpy(x), np.float64)


def can(operation):
    """What Keras' convolution and pooling take on every backend; the layers ask for nothing else."""
    if isinstance(operation, op.Convolve):
        return not operation.transposed and 1 in (max(operation.strides), max(operation.dilation))
    return not isinstance(operation, op.Pool) or operation.kind == "sum" or not any(map(any, operation.pads))


@pytest.mark.parametrize("name", EXACT)
def test_values_costs_and_widths_are_those_of_numpy(name):
    for row in rows(name):
        node = row.node
        if type(node.op) not in NO_TENSORS and can(node.op):
            wanted, got = (
                evaluate_operation(NUMPY, node.op, row.values),
                evaluate_operation(KERAS, node.op, tensors(row.values)),
            )
            np.testing.assert_array_equal(numbers(got), wanted, node.name)
        rest = (row.operands, node.shape)
        wanted, got = cost_of(NUMPY, node.op, row.bits, *rest), cost_of(KERAS, node.op, tensors(row.bits), *rest)
        assert float(got) == pytest.approx(float(wanted), rel=1e-6), node.name
        wanted, got = counted_of(NUMPY, node.op, row.bits, *rest), counted_of(KERAS, node.op, tensors(row.bits), *rest)
        np.testing.assert_equal(numbers(got), wanted, node.name)


def test_every_kind_with_a_value_occurs():
    used = {type(row.node.op) for name in EXACT for row in rows(name)}
    assert used | NO_TENSORS == set(KINDS)


MOVES = {
    "reshape": op.Reshape((6, 1)),
    "broadcast": op.Broadcast((4, 2, 3)),
    "reduce": op.Reduce("max", (1,)),
    "transpose": op.Transpose((1, 0)),
    "gather": op.Gather(np.array([2, 0]), 1),
    "clip": op.Clip(-0.5, 1.25),
    "compare": op.Compare("<="),
    "select": op.Select(),
}


class Node(keras.layers.Layer):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def call(self, x):
        return evaluate_operation(KERAS, self.operation, [x] * int(KINDS[type(self.operation)].arity[0]))


@pytest.mark.parametrize("name", MOVES)
def test_a_batch_of_unknown_size(name):
    x = np.random.default_rng(0).integers(-8, 9, (5, 2, 3)) / 4
    inputs = keras.Input((2, 3))
    model = keras.Model(inputs, Node(MOVES[name])(inputs))
    wanted = evaluate_operation(NUMPY, MOVES[name], [x] * int(KINDS[type(MOVES[name])].arity[0]))
    assert model.output_shape == (None, *wanted.shape[1:])
    np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)


def test_steps_are_stacked():
    xs, h = tensors([np.arange(12.0).reshape(2, 3, 2), np.zeros((2, 2))])
    y = scanned(KERAS, op.Scan(None, 3, reverse=True), [xs, h], lambda x, s: (x + s, x + s))
    np.testing.assert_array_equal(numbers(y)[0], [[6, 9], [6, 8], [4, 5]])


def test_what_keras_cannot_do_is_refused():
    (x,) = tensors([np.zeros((1, 4, 2))])
    with pytest.raises(UnsupportedError, match=r"max pooling with pads \(\(1, 1\),\)"):
        KERAS.pool(x, op.Pool("max", (3,), (2,), ((1, 1),)))


def test_a_transposed_convolution_with_groups_dilation_and_cuts():
    rng = np.random.default_rng(1)
    x, kernel = rng.integers(-9, 9, (2, 4, 3, 4)) / 4, rng.integers(-9, 9, (3, 2, 2, 6)) / 8
    operation = op.Convolve((2, 3), ((1, 2), (0, 1)), (2, 1), groups=2, transposed=True)
    wanted = evaluate_operation(NUMPY, operation, [x, kernel])
    np.testing.assert_array_equal(numbers(evaluate_operation(KERAS, operation, tensors([x, kernel]))), wanted)
