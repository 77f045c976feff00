"""What da4ml's logic computes equals ``run(graph)``, bit for bit; what it cannot compute is refused by name."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from hw_graphs import convolutional, dense, merged
from hw_random_graphs import random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from hgq_core.errors import ConfigError, DataError, FileError, ShapeError, UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, load, run, save
from hgq_core.graph.ops import (
    Add,
    Broadcast,
    Compare,
    Constant,
    Contract,
    Input,
    Lookup,
    Maximum,
    Multiply,
    Negate,
    Quantize,
    Relu,
    Reshape,
    Subtract,
)
from hgq_core.modes import Overflow, Round
from hgq_hw import da4ml, vectors


def one_number(*, beside):
    """A graph with one number per row as an output, alone or beside another output."""
    builder = GraphBuilder()
    x = builder.add(Input((3,), Formats.of(1, 2, 1)))
    y = builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of([[1.0], [-2.0], [0.5]])))
    return builder.build([builder.add(Reshape(()), y), *([y] if beside else [])])


GRAPHS = {
    "dense": dense(),
    "dense with batch norm": dense(batch_norm=True),
    "convolution": convolutional(),
    "branches and table": merged(),
    "saturating": dense(seed=3, round_mode=Round.RND_CONV, overflow=Overflow.SAT_SYM),
}


def equal(graph, design, inputs):
    expected, received = run(graph, *inputs), design.predict(*inputs)
    pairs = zip(expected, received, strict=True) if isinstance(expected, tuple) else [(expected, received)]
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("latency_cutoff", [None, 3], ids=["combinational", "pipelined"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_the_logic_computes_the_graph(graph, latency_cutoff):
    design = da4ml.lower(graph, latency_cutoff=latency_cutoff)
    assert equal(graph, design, vectors(graph))
    assert design.cost > 0
    assert (design.latency > 1) == (design.reg_bits > 0) == (latency_cutoff is not None)


@pytest.mark.parametrize("latency_cutoff", [None, 1], ids=["combinational", "pipelined"])
@pytest.mark.parametrize("beside", [False, True])
def test_an_output_may_be_one_number_per_row(beside, latency_cutoff):
    graph = one_number(beside=beside)
    design = da4ml.lower(graph, latency_cutoff=latency_cutoff)
    assert equal(graph, design, vectors(graph))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_the_logic_computes_a_random_graph(seed):
    graph = random_graph(seed)
    design = da4ml.lower(graph, latency_cutoff=3 if seed % 4 == 0 else None)
    assert equal(graph, design, vectors(graph, seed=seed, random=40))


@pytest.mark.parametrize("seed", [0, 256, 336, 510, 3045, 3209])
def test_where_the_engine_alone_is_wrong_the_logic_is_right(seed):
    """Constants chosen against negated symbols, unsigned keys of multiplexers, stages without tables, known windows."""
    graph = random_graph(seed)
    for latency_cutoff in (None, 3):
        assert equal(graph, da4ml.lower(graph, latency_cutoff=latency_cutoff), vectors(graph, random=60))


@pytest.mark.parametrize("latency_cutoff", [None, 1.5, 4])
@pytest.mark.parametrize("seed", [33, 48, 69, 85])
def test_comparisons_of_scaled_tensors_survive_the_balancing_of_a_pipeline(seed, latency_cutoff):
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    x = builder.add(Input((3,), Formats.of(1, 2, 2)))
    scaled = builder.add(Multiply(), x, builder.add(Constant.of(rng.choice([-2.5, 0.375, 1.25], 3))))
    coarse = builder.add(Quantize(Formats.of(1, 1, [1, 0, -1]), Round.RND_CONV, Overflow.WRAP), scaled)
    difference = builder.add(Subtract(), coarse, scaled)
    kinds = ("==", "<", "<=", ">=", ">")
    outputs = [builder.add(Compare(kind), difference, y) for y in (difference, coarse, x) for kind in kinds]
    graph = builder.build(outputs)
    codes = np.random.default_rng(0).integers(-16, 16, size=(200, 3)) / 4
    assert equal(graph, da4ml.lower(graph, latency_cutoff=latency_cutoff), (codes,))


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("round_mode", Round)
@pytest.mark.parametrize("negated", [False, True], ids=["", "negated"])
def test_every_mode_is_exact_in_hardware(round_mode, overflow, negated):
    targets = [(k, i, f) for k in (0, 1) for i in range(-2, 8) for f in range(-3, 5)]
    for k, i, f in ((1, 3, 2), (0, 3, 2), (1, 1, 4), (1, 4, -1), (1, 0, 0), (0, 1, 0)):
        given_formats = Formats.of([k], [i], [f])
        builder = GraphBuilder()
        x = builder.add(Input((1,), given_formats))
        x = builder.add(Negate(), x) if negated else x
        x = builder.add(Broadcast((len(targets),)), x)
        graph = builder.build([builder.add(Quantize(Formats.of(*zip(*targets, strict=True)), round_mode, overflow), x)])
        codes = np.arange(2 ** int(given_formats.width[0])) * given_formats.step + given_formats.lowest
        assert equal(graph, da4ml.lower(graph), (codes[:, None],))


def test_the_first_quantizer_runs_on_the_host_by_default():
    graph = dense()
    design = da4ml.lower(graph)
    x = np.random.default_rng(0).normal(size=(50, 6)) * 10
    assert list(design.input_formats) == ["dense_0/quantize"]
    assert equal(graph, design, (x,))


def test_the_first_quantizer_is_hardware_when_the_input_has_a_format():
    graph = dense(round_mode=Round.RND_CONV, overflow=Overflow.SAT)
    design = da4ml.lower(graph, input_formats=Formats.of(1, 5, 6))
    x = np.random.default_rng(0).integers(-(2**11), 2**11, size=(200, 6)) / 64
    assert list(design.input_formats) == ["x"]
    assert equal(graph, design, (x,))


@pytest.mark.parametrize("wrong", [0.3, 64.0, np.nan], ids=["between steps", "out of range", "nan"])
def test_a_number_that_the_ports_cannot_carry_is_refused(wrong):
    design = da4ml.lower(dense(), input_formats=Formats.of(1, 5, 6))
    x = np.zeros((3, 6))
    x[2, 4] = wrong
    with pytest.raises(DataError, match="x"):
        design.predict(x)


def test_a_wrong_shape_is_refused():
    with pytest.raises(ShapeError, match=r"\(2, 5\)"):
        da4ml.lower(dense()).predict(np.zeros((2, 5)))


def test_an_empty_batch_gives_an_empty_batch():
    assert da4ml.lower(dense()).predict(np.zeros((0, 6))).shape == (0, 3)


def test_a_kernel_wider_than_float32_is_exact():
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.add(Input((4,), Formats.of(1, 3, 2)))
    kernel = rng.integers(-(2**30), 2**30, size=(4, 3)) / 2**20
    graph = builder.build([builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of(kernel)))])
    assert equal(graph, da4ml.lower(graph), vectors(graph))


@pytest.mark.parametrize("equation", ["bij,bkl->bkj", "bij,bkl->b", "bij,jl->bl", "bij,kl->bjl"])
def test_a_contraction_may_sum_an_axis_that_one_operand_has_alone(equation):
    rng = np.random.default_rng(3)
    builder = GraphBuilder()
    operands = [builder.add(Input((2, 3), Formats.of(1, 2, 2)))]
    second, output = equation.partition(",")[2].split("->")
    if second[0] == "b":
        operands.append(builder.add(Input((2, 3), Formats.of(1, 1, 3))))
    else:
        sizes = (3, 2) if second[0] == "j" else (2, 3)
        operands.append(builder.add(Constant.of(rng.integers(-9, 10, sizes) / 4)))
    y = builder.add(Contract(equation), *operands)
    graph = builder.build([builder.add(Reshape((1,)), y) if output == "b" else y])
    inputs = vectors(graph, random=50)
    assert np.array_equal(da4ml.lower(graph).predict(*inputs), run(graph, *inputs))


@pytest.mark.parametrize("latency_cutoff", [None, 2], ids=["combinational", "pipelined"])
@pytest.mark.parametrize("bits", [31, 32, 33, 40, 46])
def test_numbers_of_more_than_32_bits_are_emulated_exactly(bits, latency_cutoff):
    """They enter, leave, wrap, are rectified and chosen; what they should be is computed with Python's integers."""
    half = 2 ** (bits - 1)
    builder = GraphBuilder()
    x, y = (builder.add(Input((1,), Formats.of(1, bits - 17, 16))) for _ in range(2))
    wrapped = builder.add(Quantize(Formats.of(1, bits - 17, 16), Round.TRN, Overflow.WRAP), builder.add(Add(), x, y))
    outputs = [builder.add(Relu(), x), builder.add(Maximum(), x, y), wrapped, builder.add(Negate(), x)]
    graph = builder.build(outputs)
    draws = random.Random(bits)
    pairs = [(draws.randrange(-half, half), draws.randrange(-half, half)) for _ in range(200)]
    pairs += [(-half, -half), (half - 1, half - 1), (-half, half - 1), (0, -half)]
    expected = [(max(a, 0), max(a, b), (a + b + half) % (2 * half) - half, -a) for a, b in pairs]
    columns = (np.array(column, dtype=np.float64)[:, None] / 2**16 for column in zip(*pairs, strict=True))
    received = da4ml.lower(graph, latency_cutoff=latency_cutoff).predict(*columns)
    assert np.array_equal(np.concatenate(received, axis=1) * 2**16, np.array(expected, dtype=np.float64))


@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.SAT_SYM])
@pytest.mark.parametrize("f", [-38, -34, -33, -32, -31, -20])
@pytest.mark.parametrize("k", [0, 1])
def test_a_very_coarse_saturation_is_exact(k, f, overflow):
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 28, 0)))
    product = builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of([[1023.0], [1021.0]])))
    graph = builder.build([builder.add(Quantize(Formats.of(k, 39, f), Round.RND, overflow), product)])
    for latency_cutoff in (None, 3):
        assert equal(graph, da4ml.lower(graph, latency_cutoff=latency_cutoff), vectors(graph))


def test_a_choice_that_no_back_end_can_align_is_refused():
    builder = GraphBuilder()
    x = builder.add(Input((1,), Formats.of(1, 44, -36)))
    scaled = builder.add(Multiply(), x, builder.add(Constant.of([3.0 * 2**-5])))
    graph = builder.build([builder.add(Maximum(), scaled, builder.add(Constant.of([2.0**36])))])
    with pytest.raises(UnsupportedError, match="cannot align"):
        da4ml.lower(graph)


def test_a_table_holds_exactly_the_trained_integers():
    table = np.array([0, -3, 2**20 + 1, 7, 7, 5, -(2**25), 1])
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 1, 1)))
    formats = Formats.of(1, 1, 1).broadcast_to((2,))
    graph = builder.build([builder.add(Lookup(formats, (table,), 10, np.zeros(2, int)), x)])
    x = (np.arange(-4, 4) / 2)[:, None].repeat(2, axis=1)
    assert np.array_equal(da4ml.lower(graph).predict(x)[:, 0] * 2**10, table[np.arange(-4, 4) % 8])


def test_an_unquantized_layer_is_refused_by_name():
    builder = GraphBuilder()
    x = builder.add(Input((2,)))
    kernel = builder.add(Constant.of(np.eye(2)))
    graph = builder.build([builder.add(Contract("bi,io->bo"), x, kernel, label="first_dense")])
    with pytest.raises(UnsupportedError, match="first_dense"):
        da4ml.lower(graph)


def test_an_unquantized_output_is_refused():
    builder = GraphBuilder()
    graph = builder.build([builder.add(Input((2,)), name="x")])
    with pytest.raises(UnsupportedError, match="not quantized"):
        da4ml.lower(graph)


def test_a_constant_with_too_many_fraction_bits_is_refused_by_name():
    builder = GraphBuilder()
    x = builder.add(Input((1,), Formats.of(1, 3, 2)))
    graph = builder.build([builder.add(Multiply(), x, builder.add(Constant.of([2.0**-40]), label="tiny"))])
    with pytest.raises(UnsupportedError, match="tiny"):
        da4ml.lower(graph)


def test_widths_beyond_what_the_engine_computes_exactly_are_refused():
    builder = GraphBuilder()
    x = builder.add(Input((1,), Formats.of(1, 30, 0)))
    graph = builder.build([builder.add(Multiply(), x, x)])
    with pytest.raises(UnsupportedError, match="48"):
        da4ml.lower(graph)


@pytest.mark.parametrize(
    "options",
    [{"solver": {"hard_cd": 2}}, {"latency_cutoff": 0}, {"input_formats": {"y": Formats.of(1, 2, 2)}}],
    ids=str,
)
def test_an_unknown_option_is_refused(options):
    with pytest.raises(ConfigError):
        da4ml.lower(dense(), **options)


def test_solver_options_reach_the_engine():
    graph = dense((16, 16, 4))
    assert da4ml.lower(graph, solver={"hard_dc": 0}).delay <= da4ml.lower(graph).delay


@pytest.mark.parametrize(("language", "suffix"), [("verilog", "v"), ("vhdl", "vhd"), ("vitis", "hh")])
def test_a_project_is_written(tmp_path, language, suffix):
    path = da4ml.lower(dense(), latency_cutoff=3).write(tmp_path / "project", language=language, name="net")
    assert (path / "src" / f"net.{suffix}").exists()
    assert (path / "interface.json").exists()


def test_a_saved_graph_gives_the_same_verilog(tmp_path):
    graph = convolutional()
    save(graph, tmp_path / "graph.hgq.npz")
    for name, source in (("direct", graph), ("loaded", load(tmp_path / "graph.hgq.npz"))):
        da4ml.lower(source, latency_cutoff=3).write(tmp_path / name)
    direct, loaded = (sorted((tmp_path / name / "src").rglob("*.*")) for name in ("direct", "loaded"))
    assert [path.name for path in direct] == [path.name for path in loaded]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(direct, loaded, strict=True) if a.is_file())


def test_a_foreign_folder_is_kept_unless_forced(tmp_path):
    design = da4ml.lower(dense())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(FileError, match="force"):
        design.write(tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    design.write(tmp_path / "thesis", force=True)
    design.write(tmp_path / "thesis")  # our own is replaced without asking
    assert not (tmp_path / "thesis" / "chapter.tex").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


@pytest.mark.parametrize("options", [{"language": "systemc"}, {"name": "1net"}, {"name": "module"}], ids=str)
def test_nothing_is_written_for_a_wrong_option(tmp_path, options):
    with pytest.raises(ConfigError):
        da4ml.lower(dense()).write(tmp_path / "project", **options)
    assert not list(tmp_path.iterdir())


def test_a_design_is_a_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        da4ml.lower(dense()).latency_cutoff = 3


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_an_element_that_never_changes_goes_through_a_table_as_a_constant(value):
    """A range that calibration never saw alive lies 2**-32 below 1, where the constant has no step of its own."""
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)))
    y = builder.add(
        Add(), builder.add(Multiply(), x, builder.add(Constant.of([1.0, 0.0]))), builder.add(Constant.of([0.0, value]))
    )
    fine = Formats.of([1, 0], [2, 0 if value else -32], [2, 4 if value else 36])
    y = builder.add(Quantize(fine, Round.RND, Overflow.WRAP), y)
    tables = (np.arange(32), np.arange(16)[::-1])
    y = builder.add(Lookup(fine, tables, 3, np.array([0, 1])), y)
    graph = builder.build([y])
    inputs = np.arange(-16, 16)[:, None] / 4 * np.ones(2)
    np.testing.assert_array_equal(da4ml.lower(graph).predict(inputs), run(graph, inputs))
