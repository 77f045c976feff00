"""What hls4ml's compiled project computes equals ``run(graph)``, bit for bit, inputs beyond every range included."""

import numpy as np
import pytest

from hgq_core.errors import DataError, FileError, ShapeError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import (
    Add,
    Clip,
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
    Reshape,
    Slice,
    Subtract,
    Transpose,
)
from hgq_core.modes import Overflow, Round
from hgq_hw.hls4ml import lower


class Net:
    """A GraphBuilder with shorter words and random weights and widths, dead elements among them."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.builder = GraphBuilder()

    def __call__(self, op, *inputs, label=""):
        return self.builder.add(op, *inputs, label=label)

    def weights(self, *shape):
        return self.builder.add(Constant.of(np.round(self.rng.normal(0, 8, shape)) / 8))

    def const(self, values):
        return self.builder.add(Constant.of(values))

    def quantize(self, x, k=1, rounding=Round.RND, overflow=Overflow.WRAP, low=-1, high=4):
        shape = self.builder.shape(x)
        formats = Formats.of(k, self.rng.integers(low, high, shape), self.rng.integers(-1, 4, shape))
        return self(Quantize(formats, rounding, overflow), x)

    def shared(self, x, k=1, rounding=Round.RND, overflow=Overflow.WRAP):
        return self(Quantize(Formats.of(k, 2, 3), rounding, overflow), x)

    def dense(self, x, units):
        return self(Contract("bi,io->bo"), x, self.weights(*self.builder.shape(x), units))

    def biased(self, x):
        return self(Add(), x, self.weights(self.builder.shape(x)[-1]))


def check(folder, outputs, net, shape, n=400, scale=3.0, **options):
    graph = net.builder.build([outputs] if isinstance(outputs, str) else outputs)
    model = lower(graph, folder, **options)
    model.compile()
    x = net.rng.normal(0, scale, (n, *shape))
    got, want = model.predict(x), run(graph, x)
    for y, expected in zip(
        got if isinstance(got, tuple) else [got], want if isinstance(want, tuple) else [want], strict=True
    ):
        assert y.shape == expected.shape
        assert np.count_nonzero(y != expected) == 0
    return model


def dense_network(net):
    x = net.quantize(net(Input((6,))))
    y = net.quantize(net(Relu(), net.biased(net.dense(x, 5))), k=0)
    return net.dense(net.quantize(y, rounding=Round.TRN), 3)


def test_dense_relu_dense(tmp_path):
    net = Net()
    model = check(tmp_path / "p", dense_network(net), net, (6,))
    assert model.predict(np.zeros((1, 6))).shape == (1, 3)
    assert model.predict(np.zeros((0, 6))).shape == (0, 3)
    with pytest.raises(DataError, match="NaN"):
        model.predict(np.full((1, 6), np.nan))
    with pytest.raises(ShapeError, match="expected"):
        model.predict(np.zeros((1, 7)))


def convolution_network(net):
    x = net.quantize(net(Input((6, 6, 2))))
    y = net.biased(net(Convolve((1, 1), ((1, 1), (1, 1)), (1, 1)), x, net.weights(3, 3, 2, 4)))
    y = net.quantize(net(Relu(), y), k=0)
    y = net(Reshape((36,)), net(Pool("max", (2, 2), (2, 2), ((0, 0), (0, 0))), y))
    return net.dense(net.quantize(y, k=0, rounding=Round.RND_CONV, overflow=Overflow.SAT), 3)


def test_convolution_same_maximum_flatten_dense(tmp_path):
    net = Net()
    check(tmp_path / "p", convolution_network(net), net, (6, 6, 2))


@pytest.mark.slow
def test_every_rounding_and_overflow(tmp_path):
    net = Net()
    x = net.quantize(net(Input((6,))))
    y = [net.quantize(net.dense(x, 7), 1, r, o, low=-2, high=3) for r in Round for o in Overflow]
    check(tmp_path / "p", y, net, (6,))


@pytest.mark.slow
def test_quantizers_in_a_row_behind_moves_and_all_dead(tmp_path):
    net = Net()
    x = net.quantize(net(Input((3, 4))))
    y = net(Contract("bij,jk->bik"), x, net.weights(4, 5))
    twice = net.shared(net.shared(y, 1, Round.RND, Overflow.SAT), 1, Round.TRN, Overflow.WRAP)
    turned = net.quantize(net(Transpose((1, 0)), net(Relu(), y)), 1, Round.RND_INF, low=0, high=2)
    joined = net.quantize(net(Concatenate(0), twice, y), 1, Round.TRN_ZERO, low=0, high=2)
    dead = net(Quantize(Formats.of(1, -2, 1), Round.RND, Overflow.SAT), y)
    check(tmp_path / "p", [twice, turned, joined, dead, net(Reshape((15,)), y), y, y], net, (3, 4))


@pytest.mark.slow
def test_merges(tmp_path):
    net = Net()
    x = net.quantize(net(Input((6,))))
    y = net.quantize(net.dense(x, 6))
    outputs = [net(op(), y, x) for op in (Add, Subtract, Multiply, Maximum, Minimum)]
    outputs += [
        net(Add(), y, x, y, net.weights(6)),
        net(Maximum(), y, net.weights(6)),
        net(Minimum(), y, net.weights(1)),
    ]
    check(tmp_path / "p", outputs, net, (6,))


@pytest.mark.slow
def test_batch_normalisation_clip_and_negation(tmp_path):
    net = Net()
    x = net.quantize(net(Input((4, 3))))
    per_channel = net.quantize(net(Add(), net(Multiply(), x, net.weights(3)), net.weights(3)))
    per_element = net(Add(), net(Multiply(), x, net.weights(4, 3)), net.weights(3))
    check(tmp_path / "p", [per_channel, per_element, net(Negate(), x), net(Clip(-1.0, 1.5), x)], net, (4, 3))


@pytest.mark.slow
def test_lookup_shared_and_per_element(tmp_path):
    net = Net()
    x = net.quantize(net(Input((6,))))
    formats = Formats.of(1, 4, 3).broadcast_to((6,))  # wider than what reaches it
    table = Lookup(formats, (net.rng.integers(-8, 8, 256),), 2, np.zeros(6, dtype=np.int64))
    wide = net(Quantize(formats, Round.RND, Overflow.WRAP), x)
    own = Formats.of(1, [-1, 0, 1, 2, 1, 0], [0, 1, 2, 0, 2, 1])
    tables = tuple(net.rng.integers(-8, 8, 2**width) for width in own.width)
    each = net(Lookup(own, tables, 2, np.arange(6)), net(Quantize(own, Round.TRN, Overflow.SAT), x))
    check(tmp_path / "p", [net(table, wide), net(table, net(Relu(), wide)), each], net, (6,))


@pytest.mark.slow
def test_averages_and_sums(tmp_path):
    net = Net()
    x = net.quantize(net(Input((6, 6, 2))))
    none = ((0, 0), (0, 0))
    two, three = (net(Pool("sum", (n, n), (n, n), none), x) for n in (2, 3))
    outputs = [
        net(Multiply(), two, net.const(0.25)),
        net(Pool("sum", (2, 2), (2, 2), none), net(Negate(), x)),
        net(Multiply(), three, net.const(0.109375)),
        net(Pool("sum", (3, 3), (2, 2), ((1, 1), (1, 1))), x),
    ]
    check(tmp_path / "p", outputs, net, (6, 6, 2))


@pytest.mark.slow
def test_padded_maxima_and_reductions(tmp_path):
    net = Net()
    x = net.quantize(net(Input((5, 6, 2))))
    padded = Pool("max", (3, 3), (2, 2), ((1, 1), (0, 1)))
    outputs = [
        net(padded, x),
        net(padded, net(Relu(), x)),
        net(Reduce("min", (0, 1)), x),
        net(Reduce("sum", (0, 1, 2)), x),
    ]
    check(tmp_path / "p", outputs, net, (5, 6, 2))


@pytest.mark.slow
def test_one_axis_causal_grouped_dilated(tmp_path):
    net = Net()
    x = net.quantize(net(Input((7, 4))))
    causal = net.quantize(
        net.biased(net(Convolve((2,), ((2, 0),), (1,)), x, net.weights(3, 4, 4))), 0, Round.RND, Overflow.SAT
    )
    outputs = [
        net(Pool("max", (2,), (2,), ((0, 1),)), causal),
        net(Pool("sum", (2,), (2,), ((0, 0),)), causal),
        net(Convolve((1,), ((1, 1),), (2,), 2), x, net.weights(2, 2, 6)),
        net(Convolve((2,), ((1, 1),), (1,), 1, True), x, net.weights(3, 4, 2)),
    ]
    check(tmp_path / "p", outputs, net, (7, 4))


@pytest.mark.slow
def test_contractions(tmp_path):
    net = Net()
    x = net.quantize(net(Input((3, 4))))
    outputs = [
        net(Contract("bij,jk->bik"), x, net.weights(4, 3)),
        net(Add(), net(Contract("bij,ik->bjk"), x, net.weights(3, 3)), net.weights(4, 3)),
        net(Contract("bij,ij->bi"), x, net.weights(3, 4)),
        net(Contract("bij,o->bijo"), x, net.weights(2)),
        net(Contract("bij,bkj->bik"), x, x),
        net(Contract("bij,bkj->b"), x, x),
    ]
    check(tmp_path / "p", outputs, net, (3, 4))


@pytest.mark.slow
def test_moves(tmp_path):
    net = Net()
    x = net.quantize(net(Input((2, 3, 2))))
    outputs = [
        net(Transpose((2, 0, 1)), x),
        net(Concatenate(1), x, x, x),
        net(Slice((0, 1, 0), (2, 3, 2), (1, 1, 1)), x),
        net(Pad(((1, 0), (0, 2), (0, 0))), x),
        net(Gather(np.array([2, 0, 0]), 1), x),
        net(Multiply(), x, net(Reduce("sum", (1,), True), x)),
        x,
    ]
    check(tmp_path / "p", outputs, net, (2, 3, 2))


@pytest.mark.slow
def test_two_inputs_one_already_fixed(tmp_path):
    net = Net()
    real = net.quantize(net(Input((4,))))
    fixed = net(Input((4,), Formats.of(1, [2, 1, 0, 3], [2, 0, 3, -1])))
    graph = net.builder.build([net.shared(net(Add(), real, fixed)), net.quantize(fixed, low=0, high=2)])
    model = lower(graph, tmp_path / "p")
    model.compile()
    a = net.rng.normal(0, 5, (300, 4))
    b = np.ldexp(net.rng.integers(-2, 2, (300, 4)) * 1.0, [-2, 0, -3, 1])
    for got in (model.predict(a, b), model.predict([a, b])):
        for y, expected in zip(got, run(graph, a, b), strict=True):
            assert np.array_equal(y, expected)
    with pytest.raises(DataError, match="not representable"):
        model.predict(a, b + 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["Resource", "distributed_arithmetic"])
def test_strategies(tmp_path, strategy):
    net = Net()
    check(tmp_path / "p", convolution_network(net), net, (6, 6, 2), strategy=strategy)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["Resource", "distributed_arithmetic"])
def test_strategies_on_contractions(tmp_path, strategy):
    net = Net()
    x = net.quantize(net(Input((3, 4))))
    y = net.quantize(net(Contract("bij,jk->bik"), x, net.weights(4, 4)))
    check(tmp_path / "p", net(Contract("bij,bkj->bik"), y, x), net, (3, 4), strategy=strategy)


def shared_network(net):
    x = net.shared(net(Input((6, 6, 2))))
    y = net.biased(net(Convolve((1, 1), ((1, 1), (1, 1)), (1, 1)), x, net.weights(3, 3, 2, 4)))
    y = net.shared(net(Relu(), y), 0, Round.RND_CONV, Overflow.SAT)
    y = net.shared(net(Reshape((36,)), net(Pool("max", (2, 2), (2, 2), ((0, 0), (0, 0))), y)), 0)
    y = net.dense(y, 3)
    return net.shared(y, 1, Round.RND, Overflow.SAT_SYM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "io_type"),
    [("Vivado", "io_parallel"), ("Vitis", "io_stream"), ("Quartus", "io_parallel"), ("Catapult", "io_parallel")],
)
def test_one_format_for_a_tensor(tmp_path, backend, io_type):
    net = Net()
    check(tmp_path / "p", shared_network(net), net, (6, 6, 2), backend=backend, io_type=io_type)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["Quartus", "Catapult"])
def test_pools_with_one_format_for_a_tensor(tmp_path, backend):
    net = Net()
    x = net.shared(net(Input((4, 6, 2))))
    none = ((0, 0), (0, 0))
    outputs = [
        net.shared(net(Pool("sum", (2, 2), (2, 2), none), x)),
        net(Multiply(), net(Pool("sum", (2, 2), (2, 2), none), x), net.const(0.25)),
        net(Pool("sum", (2, 3), (2, 3), none), x),
        net(Pool("sum", (2, 2), (1, 2), ((1, 0), (0, 0))), x),
        net(Pool("max", (2, 2), (2, 2), none), x),
    ]
    check(tmp_path / "p", outputs, net, (4, 6, 2), backend=backend)


@pytest.mark.slow
def test_stream_sums_over_windows_that_overlap_or_reach_over_the_edge(tmp_path):
    net = Net()
    x = net.shared(net(Input((4, 4, 2))))
    y = net.shared(net(Pool("sum", (2, 2), (1, 1), ((0, 0), (0, 0))), x))
    check(
        tmp_path / "p",
        net.shared(net(Pool("sum", (2, 2), (2, 2), ((1, 0), (0, 0))), y)),
        net,
        (4, 4, 2),
        io_type="io_stream",
    )


@pytest.mark.slow
def test_stream_average_normalisation_and_table(tmp_path):
    net = Net()
    x = net.shared(net(Input((6, 6, 2))))
    y = net.shared(net(Convolve((1, 1), ((1, 1), (1, 1)), (1, 1)), x, net.weights(3, 3, 2, 4)))
    y = net(Multiply(), net(Pool("sum", (2, 2), (2, 2), ((0, 0), (0, 0))), y), net.const(0.25))
    y = net.shared(net(Add(), net(Multiply(), net.shared(y), net.weights(4)), net.weights(4)))
    shape = net.builder.shape(y)
    table = Lookup(
        Formats.of(1, 2, 3).broadcast_to(shape), (net.rng.integers(-8, 8, 64),), 2, np.zeros(shape, dtype=np.int64)
    )
    check(tmp_path / "p", net(table, y), net, (6, 6, 2), io_type="io_stream")


@pytest.mark.parametrize("place", ["p", "my projects/p"])
def test_a_project_knows_its_own_place_and_no_other(tmp_path, monkeypatch, place):
    """It is written elsewhere and moved; a relative folder stays relative."""
    monkeypatch.chdir(tmp_path)
    net = Net()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    check(place, dense_network(net), net, (6,), n=20)
    files = [path for path in (tmp_path / place).rglob("*") if path.is_file()]
    assert not [path for path in files if b".hgq-hw-" in path.read_bytes()]
    assert f"OutputDir: {place}" in (tmp_path / place / "hls4ml_config.yml").read_text()
    assert [path.name for path in (tmp_path / place).parent.glob(".*")] == []


@pytest.mark.slow
def test_catapult_s_project_finds_its_weights_in_its_own_place(tmp_path):
    net = Net()
    check(tmp_path / "p", net.dense(net.shared(net(Input((6,)))), 3), net, (6,), n=20, backend="Catapult")
    assert str(tmp_path / "p" / "firmware" / "weights") in (tmp_path / "p" / "hgq_design_bridge.cpp").read_text()


def test_a_project_is_replaced_as_a_whole(tmp_path):
    net = Net()
    graph = net.builder.build([dense_network(net)])
    lower(graph, tmp_path / "p").write()
    (tmp_path / "p" / "firmware" / "of_the_old_project.h").touch()
    first = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "p").rglob("*.h")}
    model = lower(graph, tmp_path / "p", force=True)
    model.model_graph.write = lambda: (_ for _ in ()).throw(OSError("no space left"))
    with pytest.raises(FileError, match="no space left"):
        model.write()
    assert {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "p").rglob("*.h")} == first
    lower(graph, tmp_path / "p", force=True).write()
    assert not (tmp_path / "p" / "firmware" / "of_the_old_project.h").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
