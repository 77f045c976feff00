"""The rows of the Graph's table of kinds on torch tensors: values bit for bit, EBOPs and their derivatives."""

import numpy as np
import pytest
import torch

from hgq_core.conformance.graphs import GRAPHS, example
from hgq_core.conformance.rows import rows
from hgq_core.graph import ops as op
from hgq_core.graph import prove
from hgq_core.graph.kinds import KINDS, Operand, cost_of, counted_of, evaluate_operation, scanned
from hgq_core.ops import NUMPY
from hgq_torch._ops import TORCH

NO_TENSORS = {op.Input, op.Quantize, op.Lookup, op.Scan}
"""A program reads these from its own steps: they need quantizers, tables or a loop."""
ONE_OF_EACH = [name for name in GRAPHS if not name.startswith(("layer-", "quantize-"))]
EXACT = [name for name in ONE_OF_EACH if prove(example(name)[0]).float32_exact]


def tensors(arrays):
    return [None if x is None else TORCH.constant(np.asarray(x, np.float64)) for x in arrays]


def numbers(x):
    return None if x is None else np.asarray(x, np.float64)


@pytest.mark.parametrize("name", EXACT)
def test_values_costs_and_widths_are_those_of_numpy(name):
    for row in rows(name):
        node = row.node
        if type(node.op) not in NO_TENSORS:
            wanted, got = (
                evaluate_operation(NUMPY, node.op, row.values),
                evaluate_operation(TORCH, node.op, tensors(row.values)),
            )
            np.testing.assert_array_equal(numbers(got), wanted, node.name)
        rest = (row.operands, node.shape)
        wanted, got = cost_of(NUMPY, node.op, row.bits, *rest), cost_of(TORCH, node.op, tensors(row.bits), *rest)
        assert float(got) == pytest.approx(float(wanted), rel=1e-6), node.name
        wanted, got = counted_of(NUMPY, node.op, row.bits, *rest), counted_of(TORCH, node.op, tensors(row.bits), *rest)
        np.testing.assert_equal(numbers(got), wanted, node.name)


def test_every_kind_with_a_value_occurs():
    used = {type(row.node.op) for name in EXACT for row in rows(name)}
    assert used | NO_TENSORS == set(KINDS)


def test_steps_are_stacked():
    xs, h = tensors([np.arange(12.0).reshape(2, 3, 2), np.zeros((2, 2))])
    y = scanned(TORCH, op.Scan(None, 3, reverse=True), [xs, h], lambda x, s: (x + s, x + s))
    np.testing.assert_array_equal(numbers(y)[0], [[6, 9], [6, 8], [4, 5]])


def test_the_smallest_of_a_reduction_is_shared_by_all_that_tie():
    bits = torch.tensor([[3.0, 2.0, 2.0]], requires_grad=True)
    cost_of(TORCH, op.Reduce("max", (0,)), [bits], [Operand((3,))], ()).backward()
    assert bits.grad.tolist() == [[1.0, 0.5, 0.5]]


def test_costs_reach_every_width_that_they_count():
    data, kernel, bias = (torch.full(shape, 2.0, requires_grad=True) for shape in ((1, 3), (3, 2), (2,)))
    x, y = Operand((3,)), Operand((2,))
    weights, added = Operand((3, 2), constant=True), Operand((2,), constant=True)
    products = cost_of(TORCH, op.Contract("bi,io->bo"), [data, kernel], [x, weights], (2,))
    (products + cost_of(TORCH, op.Add(), [None, bias], [y, added], (2,))).backward()
    assert (data.grad.tolist(), kernel.grad.tolist(), bias.grad.tolist()) == ([[4.0] * 3], [[2.0] * 2] * 3, [1.0] * 2)
