"""Passes preserve what a graph computes, bit for bit, and leave a form that targets can take."""

from __future__ import annotations

import numpy as np
import pytest
from hw_graphs import convolutional, dense, merged
from hw_random_graphs import random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, run
from hgq_core.graph.ops import Constant, Contract, Input, Multiply, Quantize, Reshape, Subtract
from hgq_core.modes import Overflow, Round
from hgq_hw import canonical, vectors
from hgq_hw._split import split, with_input_formats
from hgq_hw.passes import PASSES


def values(graph, inputs):
    result = run(graph, *inputs)
    return result if isinstance(result, tuple) else (result,)


def same(a, b, inputs):
    return all(np.array_equal(x, y) for x, y in zip(values(a, inputs), values(b, inputs), strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.sampled_from(sorted(PASSES)), max_size=6))
def test_a_random_sequence_of_passes_preserves_a_random_graph(seed, names):
    graph = random_graph(seed)
    inputs = vectors(graph, seed=seed, random=40)
    passed = graph
    for name in names:
        passed = PASSES[name](passed)
    assert same(graph, passed, inputs)


@pytest.mark.parametrize("name", sorted(PASSES))
def test_every_pass_keeps_the_layers_that_were_never_calibrated(name):
    for graph in (dense(), convolutional(), merged()):
        marked = Graph(graph.nodes, graph.outputs, ("dense_0",))
        assert PASSES[name](marked).uncalibrated == ("dense_0",)


def test_both_sides_of_a_cut_keep_the_layers_that_were_never_calibrated():
    graph = dense()
    marked = Graph(graph.nodes, graph.outputs, ("dense_0",))
    for part in (split(marked).host, split(marked).core, with_input_formats(marked, Formats.of(1, 2, 8))):
        assert part.uncalibrated == ("dense_0",)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_a_name_that_survives_carries_the_same_tensor(seed):
    graph = random_graph(seed)
    form = canonical(graph)
    known = {node.name for node in form}
    names = tuple(n.name for n in graph if n.name in known and n.inputs and not isinstance(form[n.name].op, Constant))
    real = {n.name for n in graph.inputs if n.op.formats is None}
    names = tuple(name for name in names if not real.intersection(graph[name].inputs)) or graph.outputs
    if set(names) <= known:
        assert same(Graph(graph.nodes, names), Graph(form.nodes, names), vectors(graph, random=40))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_no_dead_format_is_left(seed):
    for node in canonical(random_graph(seed)):
        if isinstance(node.op, Quantize):
            assert node.op.formats.alive.all()
            symmetric = node.op.overflow is Overflow.SAT_SYM
            assert not (symmetric and np.any((node.op.formats.k == 1) & (node.op.formats.i + node.op.formats.f == 0)))


@pytest.mark.parametrize("graph", [dense(), convolutional(), merged(), dense(batch_norm=True)], ids=str)
def test_canonical_is_idempotent(graph):
    form = canonical(graph)
    again = canonical(form)
    assert [(n.name, type(n.op), n.inputs) for n in again] == [(n.name, type(n.op), n.inputs) for n in form]


def test_a_batch_norm_is_folded_into_kernel_and_bias():
    graph = dense(batch_norm=True)
    form = canonical(graph)
    assert any(isinstance(node.op, Multiply) for node in graph)
    assert not any(isinstance(node.op, Multiply) for node in form)
    assert same(graph, form, vectors(graph))


def test_a_scale_is_not_folded_across_a_quantizer():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)))
    x = builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of(np.eye(2) * 0.75)))
    x = builder.add(Quantize(Formats.of(1, 2, 1), Round.RND, Overflow.SAT), x)
    x = builder.add(Multiply(), x, builder.add(Constant.of([0.5, 3.0])))
    graph = builder.build([x])
    form = canonical(graph)
    assert any(isinstance(node.op, Multiply) for node in form)
    assert same(graph, form, vectors(graph))


def test_a_kernel_that_others_read_is_left_alone():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)))
    y = builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of(np.eye(2))), name="y")
    z = builder.add(Multiply(), y, builder.add(Constant.of([2.0, 4.0])), name="z")
    graph = builder.build([y, z])
    assert same(graph, canonical(graph), vectors(graph))


def test_dead_inputs_are_no_longer_read_by_the_kernel():
    builder = GraphBuilder()
    x = builder.add(Input((2, 2)))
    x = builder.add(Quantize(Formats.of(1, [[1, -3], [1, 1]], 2), Round.RND, Overflow.WRAP), x)
    x = builder.add(Reshape((4,)), x)
    x = builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of(np.ones((4, 3)))))
    graph = builder.build([x])
    form = canonical(graph)
    (kernel,) = [node.op.values for node in form if isinstance(node.op, Constant)]
    assert not any(isinstance(node.op, Multiply) for node in form)
    assert kernel[:, 0].tolist() == [1, 0, 1, 1]
    assert same(graph, form, vectors(graph))


def test_a_subtracted_constant_becomes_an_added_one():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)))
    graph = builder.build([builder.add(Subtract(), x, builder.add(Constant.of([0.5, -1.25])))])
    form = canonical(graph)
    assert not any(isinstance(node.op, Subtract) for node in form)
    assert same(graph, form, vectors(graph))


def test_a_quantizer_that_changes_nothing_is_left_out():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)), name="x")
    graph = builder.build([builder.add(Quantize(Formats.of(1, 4, 3), Round.RND, Overflow.WRAP), x)])
    assert canonical(graph).outputs == ("x",)
