"""The rewriting for hls4ml is exact, its records hold what hls4ml wants, what cannot work is refused before writing."""

import subprocess
import sys

import numpy as np
import pytest
from hw_graphs import dense

from hgq_core.errors import (
    ConfigError,
    DataError,
    FileError,
    MissingDependencyError,
    ToolError,
    UnsupportedError,
)
from hgq_core.formats import FixedPoint, Formats
from hgq_core.graph import Graph, GraphBuilder, run
from hgq_core.graph.ops import (
    Add,
    Broadcast,
    Clip,
    Compare,
    Concatenate,
    Constant,
    Contract,
    Convolve,
    Gather,
    Input,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Negate,
    Pad,
    Pool,
    Quantize,
    Reduce,
    Relu,
    Repeat,
    Reshape,
    Select,
    Slice,
    Subtract,
    Transpose,
)
from hgq_core.modes import Overflow, Round
from hgq_hw import check
from hgq_hw.hls4ml import lower
from hgq_hw.hls4ml.boundary import effective, split
from hgq_hw.hls4ml.legal import legalize
from hgq_hw.hls4ml.records import Options, records
from hgq_hw.hls4ml.types import HLSType, covering, narrowed

PARALLEL = Options(fuse=False, stream=False, plain=False, target="Vitis io_parallel")
STREAM = Options(fuse=True, stream=True, plain=False, target="Vitis io_stream")


def weights(*shape, seed=1):
    return Constant.of(np.round(np.random.default_rng(seed).normal(0, 8, shape)) / 8)


def graph_of(build, shape, *, k=1, per_element=True):
    """A graph of one real input, one quantizer and what ``build`` adds."""
    rng = np.random.default_rng(7)
    builder = GraphBuilder()
    x = builder.add(Input(shape), name="x")
    i, f = (rng.integers(0, 3, shape), rng.integers(0, 3, shape)) if per_element else (2, 2)
    q = builder.add(Quantize(Formats.of(k, i, f), Round.RND, Overflow.WRAP), x, label="first")
    return builder.build([build(builder, q)])


def of(operation, *constants, both=False):
    """Builds one operation on the data and constants."""

    def build(builder, x):
        others = [builder.add(constant) for constant in constants]
        return builder.add(operation, x, *([x] if both else []), *others)

    return build


def compared(kind):
    """Builds a comparison of the data with their rows in another order."""
    return lambda builder, x: builder.add(Compare(kind), x, builder.add(Gather(np.array([1, 0]), 0), x))


NO_PADS = ((0, 0), (0, 0))
CASES = {
    "dense": (of(Contract("bi,io->bo"), weights(4, 5)), (4,)),
    "einsum with a letter of its own": (of(Contract("bij,jk->bi"), weights(4, 5)), (3, 4)),
    "einsum to a scalar": (of(Contract("bij,ji->b"), weights(4, 3)), (3, 4)),
    "einsum of data and data": (of(Contract("bij,bkj->bik"), both=True), (3, 4)),
    "einsum of data and data to a scalar": (of(Contract("bij,bij->b"), both=True), (3, 4)),
    "grouped, dilated, strided convolution": (
        of(Convolve((2, 1), ((1, 1), (0, 2)), (1, 2), 2), weights(3, 2, 2, 6)),
        (7, 6, 4),
    ),
    "transposed convolution": (of(Convolve((2,), ((1, 1),), (1,), 1, True), weights(3, 4, 6)), (5, 4)),
    "transposed convolution of an image": (
        of(Convolve((2, 3), ((1, 2), (0, 4)), (2, 1), 2, True), weights(3, 2, 2, 4)),
        (3, 4, 4),
    ),
    "transposed convolution that is cut at both ends": (
        of(Convolve((3, 2), ((4, 5), (3, 0)), (1, 1), 1, True), weights(2, 2, 2, 2)),
        (5, 4, 2),
    ),
    "transposed convolution that no matrix could hold": (
        of(Convolve((2, 2), ((1, 1), (1, 1)), (1, 1), 1, True), weights(4, 4, 4, 4)),
        (10, 10, 4),
    ),
    "transposed convolution over three axes": (
        of(Convolve((2, 1, 1), ((0, 0),) * 3, (1, 1, 1), 1, True), weights(2, 2, 1, 2, 2)),
        (2, 2, 2, 2),
    ),
    "convolution over three axes": (
        of(Convolve((1, 1, 1), ((0, 0),) * 3, (1, 1, 1)), weights(2, 2, 2, 2, 3)),
        (3, 3, 3, 2),
    ),
    "padded maximum": (of(Pool("max", (3, 3), (2, 2), ((1, 1), (0, 1)))), (5, 6, 2)),
    "overlapping sum": (of(Pool("sum", (3, 3), (2, 2), ((1, 1), (0, 1)))), (5, 6, 2)),
    "sum over tiles": (of(Pool("sum", (3, 2), (3, 2), NO_PADS)), (6, 6, 2)),
    "sum over three axes": (of(Pool("sum", (2, 2, 2), (1, 1, 1), ((0, 0),) * 3)), (3, 3, 3, 2)),
    "clip": (of(Clip(-1.0, 1.5)), (6,)),
    "maximum with a constant": (of(Maximum(), weights(6)), (2, 6)),
    "minimum of data": (of(Minimum(), both=True), (2, 6)),
    **{f"comparison {kind}": (compared(kind), (2, 6)) for kind in ("<", "<=", "==", ">=", ">")},
    "comparison with a constant": (of(Compare(">="), weights(6)), (2, 6)),
    "choice": (lambda b, x: b.add(Select(), x, b.add(Negate(), x), b.add(Constant.of(0.5))), (6,)),
    "choice by a comparison": (lambda b, x: b.add(Select(), compared("<")(b, x), x, b.add(weights(6))), (2, 6)),
    "choice of constants": (lambda b, x: b.add(Select(), x, b.add(Constant.of(2.0)), b.add(Constant.of(-0.5))), (6,)),
    "negate": (of(Negate()), (6,)),
    "three factors": (of(Multiply(), weights(4), both=True), (3, 4)),
    "subtract a constant": (of(Subtract(), weights(6)), (2, 6)),
    "minimum over axes": (of(Reduce("min", (0, 2), True)), (2, 3, 4)),
    "sum over axes": (of(Reduce("sum", (0, 2))), (2, 3, 4)),
    "sum over all axes": (of(Reduce("sum", (0, 1))), (2, 3)),
    "maximum over all axes": (of(Reduce("max", (0, 1))), (2, 3)),
    "slice": (of(Slice((0, 1), (2, 9), (1, 2))), (3, 7)),
    "pad": (of(Pad(((1, 0), (0, 2)))), (3, 7)),
    "repeat": (of(Repeat(2, 1)), (3, 4)),
    "broadcast": (of(Broadcast((3, 4))), (1, 4)),
    "gather": (of(Gather(np.array([2, 0, 0]), 0)), (3, 4)),
    "concatenate": (of(Concatenate(1), both=True), (3, 4, 2)),
    "transpose": (of(Transpose((1, 0))), (3, 4)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("k", [0, 1])
def test_rewriting_is_exact(name, k):
    build, shape = CASES[name]
    graph = graph_of(build, shape, k=k)
    x = np.random.default_rng(0).normal(0, 3, (40, *shape))
    boundary = split(graph)
    legal = legalize(boundary.hardware)
    assert np.array_equal(run(legal.graph, run(boundary.host, x)), run(graph, x))


def test_a_constant_minus_data():
    def build(builder, x):
        return builder.add(Subtract(), builder.add(weights(6)), x)

    graph = graph_of(build, (2, 6))
    x = np.random.default_rng(0).normal(0, 3, (40, 2, 6))
    boundary = split(graph)
    assert np.array_equal(run(legalize(boundary.hardware).graph, run(boundary.host, x)), run(graph, x))


def heterogeneous_lookup(builder, x):
    rng = np.random.default_rng(3)
    formats = Formats.of(1, [-1, 0, 1, 2, 1, 0], [0, 1, 2, 0, 2, 1])
    q = builder.add(Quantize(formats, Round.TRN, Overflow.SAT), x)
    tables = tuple(rng.integers(-8, 8, 2**width) for width in formats.width)
    return builder.add(Lookup(formats, tables, 2, np.arange(6)), q, label="act")


def test_a_table_per_element_becomes_a_table_per_group():
    graph = graph_of(heterogeneous_lookup, (6,))
    x = np.random.default_rng(0).normal(0, 3, (200, 6))
    boundary = split(graph)
    legal = legalize(boundary.hardware)
    assert np.array_equal(run(legal.graph, run(boundary.host, x)), run(graph, x))
    tables = [node for node in legal.graph if isinstance(node.op, Lookup)]
    assert len(tables) == 5  # the element without bits is a constant
    assert all(len(node.op.tables) == 1 for node in tables)


@pytest.mark.parametrize(("table_idxs", "remedy"), [(None, "share the table"), ((6, 5), "use da4ml")])
def test_more_tables_than_hls4ml_has_functions_for_are_refused(table_idxs, remedy):
    def build(builder, x, number):
        q = builder.add(Quantize(Formats.of(1, 3, 3), Round.TRN, Overflow.SAT), x)
        tables = tuple(np.full(2**7, n) for n in range(number))
        return builder.add(Lookup(Formats.of([1] * number, 3, 3), tables, 0, np.arange(number), None, table_idxs), q)

    legalize(split(graph_of(lambda builder, x: build(builder, x, 256), (256,))).hardware)
    graph = graph_of(lambda builder, x: build(builder, x, 257), (257,))
    with pytest.raises(UnsupportedError, match=f"257 different tables, expected at most 256.*{remedy}"):
        legalize(split(graph).hardware)


# --- boundary ---------------------------------------------------------------------------------------------------------


def test_the_host_quantizes_and_equal_quantizers_are_one_input():
    builder = GraphBuilder()
    x = builder.add(Input((3,)), name="x")
    flat = builder.add(Reshape((3, 1)), x)
    twice = [builder.add(Quantize(Formats.of(1, 2, 3), Round.RND, Overflow.WRAP), flat) for _ in range(2)]
    other = builder.add(Quantize(Formats.of(1, 1, 1), Round.RND, Overflow.SAT), x)
    graph = builder.build([builder.add(Add(), *twice), other])
    boundary = split(graph)
    assert [node.shape for node in boundary.hardware.inputs] == [(3, 1), (3,)]
    values = np.random.default_rng(0).normal(0, 5, (20, 3))
    for a, b in zip(run(boundary.hardware, *run(boundary.host, values)), run(graph, values), strict=True):
        assert np.array_equal(a, b)


def test_dead_elements_have_no_format():
    formats = effective(Formats.of([1, 1, 0], [0, -2, 1], [0, 1, 1]), Overflow.SAT_SYM)
    assert formats.width.tolist() == [0, 0, 2]
    assert effective(Formats.of(1, 0, 0), Overflow.SAT).width.tolist() == 1


def test_a_real_output_is_refused():
    builder = GraphBuilder()
    x = builder.add(Input((3,)))
    with pytest.raises(UnsupportedError, match="not quantized"):
        split(builder.build([builder.add(Relu(), x)]))


def test_real_and_fixed_do_not_mix():
    builder = GraphBuilder()
    x = builder.add(Input((3,)))
    q = builder.add(Quantize(Formats.of(1, 2, 2), Round.RND, Overflow.WRAP), x)
    y = builder.add(Maximum(), x, q, label="mixer")
    with pytest.raises(UnsupportedError, match="mixer"):
        split(builder.build([y]))


# --- types ------------------------------------------------------------------------------------------------------------


def test_types_are_written_as_hls4ml_reads_them():
    assert str(HLSType(FixedPoint(1, 2, 3))) == "fixed<6,3>"
    assert str(HLSType(FixedPoint(0, -1, 3), Round.RND_CONV, Overflow.SAT_SYM)) == "ufixed<2,-1,RND_CONV,SAT_SYM>"
    assert covering(Formats.of([0, 1, 1], [4, 1, -9], [0, 2, 2])) == FixedPoint(1, 4, 2)
    assert covering(Formats.of(0, 0, 0)) == FixedPoint(0, 1, 0)


@pytest.mark.parametrize("rounding", list(Round))
@pytest.mark.parametrize("overflow", list(Overflow))
def test_narrowing_does_not_change_what_the_quantizer_gives(rounding, overflow):
    full = FixedPoint(1, 4, 4)
    quantize = Quantize(Formats.of([1, 0], [1, 2], [2, 1]), rounding, overflow)
    part = narrowed(full, quantize)
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 4, 4)))
    cut = builder.add(Quantize(Formats.of(part.k, part.i, part.f), Round.TRN, Overflow.WRAP), x)
    graph = builder.build([builder.add(quantize, cut), builder.add(quantize, x)])
    every = np.arange(-256, 256) / 16
    through, direct = run(graph, np.stack([every, every], axis=1))
    assert np.array_equal(through, direct)


# --- records ----------------------------------------------------------------------------------------------------------


def network(builder, x):
    def layer(name, x, kernel, bias, formats):
        y = builder.add(Contract("bi,io->bo"), x, builder.add(kernel), label=name)
        y = builder.add(Add(), y, builder.add(bias), label=name)
        return builder.add(Quantize(formats, Round.RND_INF, Overflow.SAT_SYM), builder.add(Relu(), y), label=name)

    y = layer("fc1", x, weights(6, 4), weights(4), Formats.of([0, 1, 0, 1], [2, 0, -2, 1], [2, 0, 1, 3]))
    return builder.add(Contract("bi,io->bo"), y, builder.add(weights(4, 3)), label="fc2")


def test_records_of_a_dense_network():
    graph = graph_of(network, (6,))
    written = records(legalize(split(graph).hardware).graph, PARALLEL)
    assert [record["class_name"] for record in written.layers] == [
        "InputLayer",
        "Dense",
        "Activation",
        "FixedPointQuantizer",
        "Dense",
    ]
    dense, mask = written.layers[1], written.layers[3]
    assert (dense["n_in"], dense["n_out"], dense["bias_data"].shape) == (6, 4, (4,))
    k, bits, integer = mask["mask_kbi"]
    assert bits.tolist() == [[4, 0, 0, 5]]  # dead by width, and SAT_SYM with only a sign bit
    assert not k[bits == 0].any()
    assert not integer[bits == 0].any()
    assert (mask["RND"], mask["SAT"]) == ("RND_INF", "SAT_SYM")
    assert written.outputs == [written.layers[-1]["name"]]


def test_names_are_identifiers_of_their_own():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)), name="double")
    y = builder.add(Relu(), x, name="A/b")
    z = builder.add(Add(), y, x, name="a.b")
    written = records(legalize(builder.build([z])).graph, PARALLEL)
    assert [record["name"] for record in written.layers] == ["double_node", "a_b", "a_b_2"]


def test_an_output_that_is_read_again_gets_a_layer_of_its_own():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)))
    y = builder.add(Relu(), x)
    z = builder.add(Add(), y, x)
    written = records(legalize(builder.build([y, z, z, x])).graph, PARALLEL)
    assert len(set(written.outputs)) == 4


@pytest.mark.parametrize("backend", ["Vitis", "Quartus"])
@pytest.mark.parametrize(
    ("strides", "pads"), [((2, 2), ((1, 0), (0, 0))), ((1, 1), NO_PADS)], ids=["padded", "overlapping"]
)
def test_a_maximum_that_would_abort_the_simulation_of_a_stream_is_refused(tmp_path, strides, pads, backend):
    def build(builder, x):
        pooled = builder.add(Pool("max", (2, 2), strides, pads), x, label="peak")
        return builder.add(Quantize(Formats.of(1, 1, 2), Round.TRN, Overflow.WRAP), pooled)

    graph = graph_of(build, (4, 4, 2), per_element=False)
    with pytest.raises(UnsupportedError, match=r"Pool 'peak/pool' of layer 'peak'.*strides.*io_parallel"):
        lower(graph, tmp_path / "p", backend=backend, io_type="io_stream")
    assert not (tmp_path / "p").exists()
    (issue,) = (issue for issue in check(graph, f"hls4ml:{backend}:io_stream") if issue.severity == "error")
    assert issue.label == "peak"
    lower(graph, tmp_path / "p", backend=backend)


@pytest.mark.parametrize("op", [Pool("sum", (2, 2), (2, 2), NO_PADS), Pool("sum", (2, 3), (2, 3), NO_PADS)], ids=str)
def test_back_ends_without_exact_averages_get_a_convolution(op):
    graph = graph_of(of(op), (4, 6, 2), per_element=False)
    boundary = split(graph)
    legal = legalize(boundary.hardware, plain=True).graph
    assert any(isinstance(node.op, Convolve) for node in legal)
    x = np.random.default_rng(0).normal(0, 3, (40, 4, 6, 2))
    sums = tile_sums(run(boundary.host, x), op.window)
    assert np.array_equal(run(legal, run(boundary.host, x)), sums)


def tile_sums(x, window):
    """Sums over tiles, by slices."""
    return sum(x[:, a :: window[0], b :: window[1]] for a in range(window[0]) for b in range(window[1]))


def test_a_stream_has_one_format_for_a_tensor():
    graph = graph_of(network, (6,))
    with pytest.raises(UnsupportedError, match=r"fc1.*format per element.*io_parallel"):
        records(legalize(split(graph).hardware).graph, STREAM)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_importing_does_not_import_hls4ml():
    code = "import sys, hgq_hw.hls4ml; sys.exit('hls4ml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"backend": "vitiss"}, ConfigError),
        ({"backend": "oneAPI"}, UnsupportedError),
        ({"io_type": "io_serial"}, ConfigError),
        ({"strategy": "fast"}, ConfigError),
        ({"strategy": "distributed_arithmetic", "reuse_factor": 2}, ConfigError),
        ({"project_name": "my project"}, ConfigError),
        ({"reuse_factor": 0}, ConfigError),
        ({"clock_period": 0}, ConfigError),
    ],
)
def test_unknown_options(tmp_path, option, error):
    with pytest.raises(error, match="expected"):
        lower(graph_of(network, (6,)), tmp_path, **option)


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileError, match="not written by"):
        lower(graph_of(network, (6,)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_output_wider_than_a_double_is_refused(tmp_path):
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 30, 30)))
    with pytest.raises(UnsupportedError, match="61 bits"):
        lower(builder.build([builder.add(Relu(), x)]), tmp_path)


def test_an_output_that_is_constant_is_refused_by_name():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 2, 2)))
    graph = builder.build([builder.add(Relu(), x), builder.add(Constant.of([1.0, 2.0]), label="known")])
    (issue,) = (issue for issue in check(graph, "hls4ml:vitis") if issue.severity == "error")
    assert issue.label == "known"
    assert "does not depend on any input" in issue.problem


def test_missing_hls4ml(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "hls4ml"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hls4ml", None)
    with pytest.raises(MissingDependencyError, match=r"hgq-hw\[hls4ml\]"):
        lower(graph_of(network, (6,)), tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_missing_compiler(tmp_path, monkeypatch):
    model = lower(graph_of(network, (6,)), tmp_path / "project")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"g\+\+.*apt-get"):
        model.compile()
    assert not (tmp_path / "project").exists()


def test_predict_before_compile(tmp_path):
    model = lower(graph_of(network, (6,)), tmp_path / "project")
    with pytest.raises(ToolError, match="compile"):
        model.predict(np.zeros((1, 6)))


def test_write_is_repeatable_and_nothing_is_written_before(tmp_path):
    folder = tmp_path / "project"
    model = lower(graph_of(network, (6,)), folder)
    assert not folder.exists()
    assert model.write() == folder
    assert (folder / "firmware" / "hgq_design.cpp").is_file()
    lower(graph_of(network, (6,)), folder).write()


def test_dataerror_is_a_value_error():
    assert issubclass(DataError, ValueError)


def test_the_layers_that_were_never_calibrated_are_known_on_both_sides_and_behind_the_rewriting():
    graph = dense()
    marked = Graph(graph.nodes, graph.outputs, ("dense_0",))
    boundary = split(marked)
    for part in (boundary.host, boundary.hardware, legalize(boundary.hardware).graph):
        assert part.uncalibrated == ("dense_0",)


@pytest.mark.parametrize("name", ["vitis", "VITIS", "Vivado", "vivado", "quartus"])
def test_names_of_back_ends_are_taken_in_any_case(tmp_path, name):
    builder = GraphBuilder()
    x = builder.add(Quantize(Formats.of(1, 2, 3), Round.RND, Overflow.WRAP), builder.add(Input((2,))))
    model = lower(builder.build([builder.add(Relu(), x)]), tmp_path / "p", backend=name)
    assert model.model_graph.config.get_config_value("Backend").lower() == name.lower()


@pytest.mark.parametrize(("name", "says"), [("Vitus", "did you mean 'Vitis'"), (None, "expected"), ("", "expected")])
def test_an_unknown_back_end_is_refused(tmp_path, name, says):
    with pytest.raises(ConfigError, match=says):
        lower(dense(), tmp_path / "p", backend=name)


def test_a_foreign_folder_is_replaced_by_force_only(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.tex").touch()
    with pytest.raises(FileError, match="force=True"):
        lower(dense(), tmp_path / "p")
    lower(dense(), tmp_path / "p", force=True).write()
    assert not (tmp_path / "p" / "thesis.tex").exists()
    lower(dense(), tmp_path / "p").write()
