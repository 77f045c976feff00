"""Declarations, traced: the list of slots, shapes, what is refused, and what an unknown step is."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.declarations import FUNCTIONS
from hgq_core.conformance.numpy_backend import NumpyQuantizer
from hgq_core.conformance.numpy_layers import NumpyLayer
from hgq_core.cost import ebops
from hgq_core.errors import ConfigError, DataError, GraphError, ShapeError, UnsupportedError
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import Add, Clip, Input, Relu
from hgq_core.layers import (
    Convolution,
    Dense,
    EinsumDense,
    FrameworkFunction,
    Layered,
    Merge,
    Pooling,
    Softmax,
    UnaryFunction,
    Values,
    check_fused,
    fused_inputs,
    inner_axis,
    trace,
)
from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY
from hgq_core.spec import KBI, KIF, Dummy, Float

DATA = KIF(i0=2, f0=2, overflow_mode=Overflow.SAT, homogeneous_axis=(0,))
WEIGHT = KBI(b0=4, i0=1, is_weight=True)


# --- slots ---


def test_slots_are_the_only_list_of_quantizers_and_weights():
    program = trace(Layered(Dense(3), enable_oq=True), (5,))
    assert {name: (slot.shape, slot.place, slot.constant) for name, slot in program.quantizers.items()} == {
        "iq": ((5,), "datalane", False),
        "kq": ((5, 3), "weight", True),
        "bq": ((3,), "bias", True),
        "oq": ((3,), "datalane", False),
    }
    assert {name: (slot.shape, slot.start) for name, slot in program.weights.items()} == {
        "kernel": ((5, 3), "kernel"),
        "bias": ((3,), "zeros"),
    }
    assert program.weight_quantizers == ("kq", "bq")


def test_what_is_declared_inside_has_its_path():
    program = trace(Softmax(), (4,))
    assert list(program.quantizers) == ["exp/iq", "exp/oq", "inv/iq", "inv/oq"]
    assert {step.composite for step in program.steps} == {"", "softmax"}
    tables = {program.quantizers[name].overrides["k0"] for name in ("exp/oq", "inv/oq")}
    assert tables == {0}


def test_each_input_has_a_quantizer_of_its_own():
    program = trace(Layered(Merge(Add())), (4,), (2, 4))
    assert list(program.quantizers) == ["iq_0", "iq_1"]
    assert program.output_shape == (2, 4)


def test_two_slots_of_one_name_are_refused():
    def twice(t, x):
        return t.quantized("q", t.quantized("q", x))

    with pytest.raises(ConfigError, match="two parts of the layer are called 'q'"):
        trace(twice, (3,))


def test_a_result_is_one_value():
    with pytest.raises(ConfigError, match=r"the declaration returned None, expected one value"):
        trace(lambda t, x: None, (3,))


def test_sizes_are_fixed():
    with pytest.raises(ShapeError, match=r"received shape \(None, 3\), expected fixed sizes"):
        trace(Dense(3), (None, 3))


def test_data_of_fewer_axes_are_aligned_behind_the_batch():
    program = trace(lambda t, x, y: t.op(Add(), x, y), (3,), (2, 3))
    x, y = np.ones((5, 3)), np.ones((5, 2, 3))
    assert Values(NUMPY, None).read(program, [x, y]).shape == (5, 2, 3)


@pytest.mark.parametrize(
    ("declaration", "shape", "message"),
    [
        (Dense(3), (), "expected .batch, ..., n."),
        (EinsumDense("bi,io->ob", (4, 3)), (4,), "batch axis"),
        (EinsumDense("bi,io->bo", (5, 3)), (4,), "axis 'i' is 4 in one operand and 5 in the other"),
        (Convolution(2, (3,), (1,), "valid", (1,)), (5,), "expected .batch, n, channels."),
        (Convolution(2, (3,), (1,), "valid", (1,)), (2, 1), "larger than the data"),
        (Convolution(2, (3,), (1,), "valid", (1,), groups=2), (5, 3), "3 channels cannot be divided into 2 groups"),
        (Pooling("max", (2, 2), (2, 2), "valid"), (4, 4), "expected .batch, .2 sizes, channels."),
        (Softmax((0, 0)), (4,), "expected different axes"),
        (Softmax((1,)), (4,), "expected different axes"),
        (Dense(3, parallelization_factor=4), (2, 3), "expected -1 or 1 to 2, the number of instances"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(declaration, shape, message):
    with pytest.raises((ShapeError, ConfigError), match=message):
        trace(declaration, shape)


# --- readings ---


@dataclass(frozen=True)
class Unheard:
    """A step without a rule."""


def test_a_kind_of_step_without_a_rule_is_an_error_in_every_reading():
    program = trace(lambda t, x: t.op(Relu(), x), (3,))
    strange = replace(program.steps[1], kind=Unheard())
    program = replace(program, steps=(program.steps[0], strange))
    with pytest.raises(GraphError, match="Unheard is no step that Values knows"):
        Values(NUMPY, None).read(program, [np.ones((1, 3))])


def made(kind="dense", options=None, weights=None, widths=None, shape=(4,), **quantizers):
    layer = Layer(kind, options or {}, quantizers, weights or {}, widths or {})
    return NumpyLayer(layer, [shape], NumpyQuantizer)


def graph_of(layer, shape=(4,)):
    builder = GraphBuilder()
    return builder.build([layer.emit(builder, "layer", [builder.add(Input(shape), name="x")])])


def dense(**quantizers):
    weights = {"kernel": np.arange(8.0).reshape(4, 2) / 8, "bias": np.array([0.5, -0.25])}
    return made(options={"units": 2}, weights=weights, **quantizers)


def test_nodes_are_named_after_their_slots_and_labelled_with_their_layer():
    graph = graph_of(dense(iq=DATA, kq=WEIGHT, bq=WEIGHT, oq=DATA))
    assert [node.name for node in graph] == [
        "x", "layer/iq", "layer/kernel", "layer/contract", "layer/bias", "layer/add", "layer/oq",
    ]  # fmt: skip
    assert {node.label for node in graph} == {"", "layer"}


def test_a_number_without_a_format_costs_nothing_whatever_stands_before_it():
    layer = dense(iq=Dummy(), kq=WEIGHT, bq=WEIGHT)
    bias_alone = float(np.sum(layer.quantizers["bq"].bits()))
    assert layer.ebops() == bias_alone
    builder = GraphBuilder()
    x = builder.add(Input((4,)), name="x")
    before = made(kind="softmax", iq=DATA, **dict.fromkeys(("exp/iq", "exp/oq", "inv/iq", "inv/oq"), DATA))
    y = before.emit(builder, "before", [x])
    graph = builder.build([layer.emit(builder, "layer", [y])])
    assert ebops(graph) == pytest.approx(before.ebops() + bias_alone)


def test_a_weight_that_is_no_number_is_refused_by_name():
    layer = dense(iq=DATA, kq=WEIGHT, bq=WEIGHT)
    layer.weights["bias"][0] = np.nan
    with pytest.raises(DataError, match="layer 'layer': its bias contains NaN or infinity"):
        graph_of(layer)


def test_a_minifloat_has_no_node():
    with pytest.raises(UnsupportedError, match="quantizer 'iq' of layer 'layer' is a minifloat"):
        graph_of(dense(iq=Float(homogeneous_axis=(0,)), kq=WEIGHT, bq=WEIGHT))


# --- tables ---


def table(**quantizers):
    return made(kind="unary_lut", options={"function": "tanh"}, **quantizers)


def test_a_table_holds_the_function_on_every_input():
    layer = table(iq=DATA, oq=DATA)
    x = np.linspace(-5, 5, 40).reshape(10, 4)
    assert np.array_equal(run(graph_of(layer), x), layer.forward([x], "infer"))


@pytest.mark.parametrize(
    ("quantizers", "message"),
    [
        ({"oq": DATA}, "a table needs enable_iq=True and enable_oq=True"),
        ({"iq": Dummy(), "oq": DATA}, "its quantizers are 'dummy'"),
        ({"iq": replace(DATA, i0=11, f0=11), "oq": DATA}, r"a table of 2\*\*23 entries is too large"),
    ],
)
def test_what_no_table_can_be_made_of_is_refused(quantizers, message):
    with pytest.raises(UnsupportedError, match=message):
        graph_of(table(**quantizers))


def test_a_function_of_the_framework_trains_and_is_not_exported():
    program = trace(UnaryFunction(FrameworkFunction(FUNCTIONS["tanh"]), enable_oq=False), (3,))
    x = np.ones((2, 3))
    assert np.array_equal(Values(NUMPY, None).read(program, [x]), np.tanh(x))
    layer = dense(iq=DATA, kq=WEIGHT, bq=WEIGHT)
    layer.program = program
    with pytest.raises(UnsupportedError, match="has no node of the Graph"):
        graph_of(layer, (3,))


# --- activations ---


@pytest.mark.parametrize(("activation", "limits"), [(Relu(), (0, np.inf)), (Clip(-1.0, 1.0), (-1, 1)), (None, None)])
def test_an_activation_is_a_node_that_costs_nothing(activation, limits):
    program = trace(Dense(2, activation=activation), (3,))
    last = program.steps[program.output]
    assert (last.kind == activation and last.share == 0.0) if limits else isinstance(last.kind, Add)


# --- layers inside ---


class Held:
    """A layer of a framework, as far as a trace knows it."""

    def traced_shape(self, *shapes):
        return shapes[0]


def test_a_layer_inside_takes_data_and_no_weights():
    with pytest.raises(ConfigError, match="part 'held': received a weight, expected data"):
        trace(lambda t, x: t.op(Add(), x, t.call("held", Held(), t.weight("w", "wq", (3,)))), (3,))


# --- arguments that both front ends check ---


@pytest.mark.parametrize(("axis", "inner"), [(1, 0), (2, 1), (-1, 1), (-2, 0)])
def test_axes_of_data_are_counted_without_the_batch_axis(axis, inner):
    assert inner_axis(axis, 3, "axis") == inner


@pytest.mark.parametrize("axis", [0, -3, 3, -4])
def test_the_batch_axis_and_axes_that_data_lack_are_refused(axis):
    with pytest.raises(ConfigError, match=f"^axis: received {axis}, expected an axis of data with 3 axes, and not the"):
        inner_axis(axis, 3, "axis")


@pytest.mark.parametrize("fuse", ["q", "KV", None, 1, ["kv"]])
def test_what_fuses_nothing_known_is_refused(fuse):
    with pytest.raises(ConfigError, match=r"^fuse: received .*, expected one of \('none', 'kv', 'qkv'\)"):
        fused_inputs(fuse)


@pytest.mark.parametrize(("fuse", "right"), [("none", "xyz xyy xxx"), ("kv", "xyy xxx"), ("qkv", "xxx")])
def test_what_is_fused_is_one_tensor(fuse, right):
    tensors = {name: np.zeros(2) for name in "xyz"}  # equal, but not the same
    for names in ("xyz", "xyy", "xxx", "xxy", "xyx"):
        query, value, key = (tensors[name] for name in names)
        if fuse == "none" or names in right.split():
            check_fused(fuse, query, value, key, "layer")
        else:
            with pytest.raises(ConfigError, match=rf"^layer: received different tensors, .* fuse='{fuse}'"):
                check_fused(fuse, query, value, key, "layer")
