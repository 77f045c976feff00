"""Verification finds nothing where designs are right, and names the first tensor that differs where they are not."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
from hw_graphs import convolutional, dense, merged
from hw_random_graphs import random_graph

from hgq_core.errors import (
    ConfigError,
    DataError,
    MissingDependencyError,
    ShapeError,
    ToolError,
    UnsupportedError,
    VerificationError,
)
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, run
from hgq_core.graph.ops import Add, Compare, Constant, Contract, Input, Multiply, Negate, Quantize, Subtract
from hgq_core.modes import Overflow, Round
from hgq_hw import da4ml, vectors, verify


def with_another_weight(graph: Graph, name: str) -> Graph:
    def changed(node):
        weights = node.op.values.copy()
        weights.flat[0] += 0.25
        return dataclasses.replace(node, op=Constant.of(weights))

    return Graph(tuple(changed(node) if node.name == name else node for node in graph), graph.outputs)


def test_an_equal_design_passes():
    graph = dense()
    outcome = verify(graph, da4ml.lower(graph))
    assert (outcome.level, outcome.mismatches) == ("emulator", 0)
    assert outcome.compared == outcome.vectors * 3 > 1000


@pytest.mark.parametrize(
    ("name", "first"), [("dense_0/constant", "dense_0/contract"), ("dense_1/constant", "dense_1/contract")]
)
def test_the_first_tensor_that_differs_is_named(name, first):
    graph = dense()
    with pytest.raises(
        VerificationError, match=rf"first tensor that differs is '{first}'.*expected .* the design gives"
    ):
        verify(with_another_weight(graph, name), da4ml.lower(graph))


def test_an_error_planted_in_the_logic_is_found():
    graph = dense()
    design = da4ml.lower(graph)
    ops = [op._replace(data=op.data + 1) if op.opcode == 4 else op for op in design.comb.ops]
    broken = dataclasses.replace(design, comb=design.comb._replace(ops=ops))
    with pytest.raises(VerificationError, match="every tensor inside agrees"):
        verify(graph, broken)


def test_a_design_of_another_shape_is_refused():
    with pytest.raises(VerificationError, match="another graph"):
        verify(dense((6, 8, 3)), da4ml.lower(dense((6, 8, 4))))


def test_data_may_be_given():
    graph = dense()
    assert verify(graph, da4ml.lower(graph), np.zeros((7, 6))).vectors == 7


def test_no_vectors_are_no_verification():
    graph = dense()
    with pytest.raises(DataError, match="at least one"):
        verify(graph, da4ml.lower(graph), np.zeros((0, 6)))


def test_outputs_that_are_constant_are_compared_too():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)))
    known = builder.add(Constant.of([1.0, -2.5]))
    graph = builder.build([builder.add(Negate(), x), known, builder.add(Add(), known, known)])
    design = da4ml.lower(graph)
    assert verify(graph, design, np.zeros((7, 2))).compared == 7 * 6
    with pytest.raises(VerificationError, match=r"expected 1\.25, the design gives 1\.0"):
        verify(with_another_weight(graph, known), design)


@pytest.mark.parametrize("level", ["synthesis", "RTL"])
def test_an_unknown_level_is_refused(level):
    graph = dense()
    with pytest.raises(ConfigError, match="emulator"):
        verify(graph, da4ml.lower(graph), level=level)


class TestVectors:
    def test_corners_steps_ties_and_outliers_are_there(self):
        builder = GraphBuilder()
        x = builder.add(Input((1,)))
        graph = builder.build([builder.add(Quantize(Formats.of(1, 2, 1), Round.RND, Overflow.WRAP), x)])
        (x,) = vectors(graph)
        for value in (-4, 3.5, 0, 0.5, -0.5, -3.5, 3, 4, -4.5, 0.25, -0.25):
            assert value in x
        assert x.max() > 8
        assert x.min() < -8

    def test_a_fixed_point_input_gets_only_what_it_holds(self):
        builder = GraphBuilder()
        x = builder.add(Input((3,), Formats.of([0, 1, 0], [2, 0, -3], [1, 3, 2])))
        graph = builder.build([x])
        run(graph, *vectors(graph))  # raises DataError otherwise

    def test_the_seed_decides(self):
        graph = merged()
        assert np.array_equal(vectors(graph, seed=4)[0], vectors(graph, seed=4)[0])
        assert not np.array_equal(vectors(graph, seed=4)[0], vectors(graph, seed=5)[0])

    def test_data_comes_first(self):
        data = np.full((5, 4), 0.125)
        assert np.array_equal(vectors(merged(), data)[0][:5], data)

    def test_data_of_a_wrong_shape_is_refused(self):
        with pytest.raises(ShapeError, match="'x'"):
            vectors(merged(), np.zeros((5, 3)))

    def test_inputs_have_as_many_rows_as_each_other(self):
        builder = GraphBuilder()
        graph = builder.build(
            [builder.add(Input((1,), Formats.of(1, 2, 1))), builder.add(Input((2,), Formats.of(0, 2, 1)))]
        )
        a, b = vectors(graph, (np.zeros((3, 1)), np.zeros((3, 2))))
        assert len(a) == len(b)


@pytest.mark.usefixtures("simulator")
class TestRTL:
    def test_a_pipelined_dense_network(self):
        graph = dense(batch_norm=True)
        before = dict(os.environ)
        assert verify(graph, da4ml.lower(graph, latency_cutoff=3), level="rtl").mismatches == 0
        assert dict(os.environ) == before

    def test_branches_saturation_and_a_table(self):
        graph = merged()
        assert verify(graph, da4ml.lower(graph), level="rtl").mismatches == 0

    def test_no_python_on_the_path_is_needed(self, monkeypatch, tmp_path):
        for name in ("python", "python3"):
            (tmp_path / name).write_text("#!/bin/sh\nexit 9\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        graph = dense()
        assert verify(graph, da4ml.lower(graph), level="rtl").mismatches == 0

    @pytest.mark.slow
    def test_a_pipelined_comparison_of_scaled_numbers(self):
        builder = GraphBuilder()
        x = builder.add(Input((1,), Formats.of(1, 2, 2)))
        scaled = builder.add(Multiply(), x, builder.add(Constant.of([1.25])))
        coarse = builder.add(Quantize(Formats.of(1, 0, 1), Round.RND_CONV, Overflow.WRAP), scaled)
        difference = builder.add(Subtract(), coarse, scaled)
        graph = builder.build([builder.add(Compare("=="), difference, y) for y in (difference, x)])
        assert verify(graph, da4ml.lower(graph, latency_cutoff=4), level="rtl").mismatches == 0

    @pytest.mark.slow
    def test_a_convolution(self):
        graph = convolutional()
        assert verify(graph, da4ml.lower(graph, latency_cutoff=4), level="rtl").mismatches == 0

    @pytest.mark.slow
    def test_a_design_large_enough_for_a_precompiled_header(self):
        graph = dense((16, 64, 32, 32, 5))
        assert verify(graph, da4ml.lower(graph, latency_cutoff=5), level="rtl").mismatches == 0

    @pytest.mark.slow
    def test_every_mode_in_hardware(self):
        for round_mode, overflow in zip(Round, [*Overflow, *Overflow, *Overflow], strict=False):
            graph = dense((3, 4), round_mode=round_mode, overflow=overflow)
            design = da4ml.lower(graph, input_formats=Formats.of(1, 4, 6))
            x = np.random.default_rng(0).integers(-(2**10), 2**10, size=(500, 3)) / 64
            assert verify(graph, design, x, level="rtl").mismatches == 0

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", [0, 2, 256, 510, 3045, 3209])
    def test_random_graphs(self, seed):
        graph = random_graph(seed)
        design = da4ml.lower(graph, latency_cutoff=3 if seed % 2 else None)
        assert verify(graph, design, vectors(graph, random=60), level="rtl").mismatches == 0


@pytest.mark.usefixtures("compiler")
def test_the_vitis_code_in_a_compiler():
    graph = merged()
    assert verify(graph, da4ml.lower(graph), level="csim").mismatches == 0


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_a_very_coarse_saturation_in_a_compiler():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 28, 0)))
    product = builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of([[1023.0], [1021.0]])))
    graph = builder.build([builder.add(Quantize(Formats.of(1, 39, -32), Round.RND, Overflow.SAT), product)])
    assert verify(graph, da4ml.lower(graph), level="csim").mismatches == 0


class TestMissingTools:
    def test_a_missing_compiler_is_named_with_its_remedy(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        graph = dense()
        for level in ("rtl", "csim"):
            with pytest.raises(ToolError, match=r"g\+\+.*apt-get install"):
                verify(graph, da4ml.lower(graph), level=level)

    def test_a_missing_simulator_is_named_with_its_remedy(self, monkeypatch):
        monkeypatch.setattr("hgq_hw._tools.find_spec", lambda name: None)
        graph = dense()
        with pytest.raises(MissingDependencyError, match=r"hgq-hw\[rtl\]"):
            verify(graph, da4ml.lower(graph), level="rtl")

    def test_ports_beyond_the_test_bench_are_refused(self):
        builder = GraphBuilder()
        graph = builder.build([builder.add(Input((2,), Formats.of(1, [20, 0], [0, 20])))])
        design = da4ml.lower(graph)
        with pytest.raises(UnsupportedError, match="'emulator' or 'csim'"):
            verify(graph, design, level="rtl")
        for level in ("emulator", "csim"):  # what the message advises works
            assert verify(graph, design, level=level).mismatches == 0

    def test_a_network_that_collapsed_is_refused(self):
        builder = GraphBuilder()
        x = builder.add(Input((2,)))
        graph = builder.build([builder.add(Quantize(Formats.of(0, -3, 1), Round.RND, Overflow.WRAP), x)])
        with pytest.raises(UnsupportedError, match="collapsed"):
            verify(graph, da4ml.lower(graph), level="rtl")
