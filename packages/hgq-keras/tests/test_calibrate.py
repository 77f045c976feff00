"""`trace_minmax`: ranges from data, exactly once for each quantizer, or not at all."""

import re

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_core.quantizer import Mode
from hgq_keras import Quantizer, QuantizerConfig, QuantizerConfigScope, ebops, trace_minmax, uncalibrated
from hgq_keras._calibrate import quantizers
from hgq_keras.constraints import MinMax
from hgq_keras.layers import QAdd, QBatchNormalization, QDense, QUnaryFunctionLUT

X = np.random.default_rng(13).normal(size=(40, 5)).astype(np.float32)


def network():
    return keras.Sequential([keras.Input((5,)), QDense(4, activation="relu", name="first"), QDense(2, name="second")])


def ranges(model, array):
    return {v.path: array(v).copy() for q in quantizers(model) for v in q.non_trainable_variables}


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[path], second[path]) for path in first)


def test_it_returns_ebops_and_nothing_wraps_on_the_data(array, infer):
    model = network()
    assert trace_minmax(model, X) == ebops(model)
    results = trace_minmax(model, X, return_results=True, batch_size=16)
    np.testing.assert_array_equal(results, infer(model, X))


def test_batches_give_the_same_ranges_as_the_whole(array):
    model = network()
    trace_minmax(model, X)
    whole = ranges(model, array)
    trace_minmax(model, X, batch_size=7)
    assert same(ranges(model, array), whole)


def test_without_reset_ranges_only_grow(array):
    model = network()
    trace_minmax(model, X * np.float32(8))
    wide = ranges(model, array)
    trace_minmax(model, X, reset=False)
    assert same(ranges(model, array), wide)
    trace_minmax(model, X)
    assert not same(ranges(model, array), wide)


def test_a_dataset_of_which_only_the_inputs_are_used(array):
    class Batches(keras.utils.PyDataset):
        @property
        def num_batches(self):
            return 4

        def __getitem__(self, index):
            return X[index * 10 : index * 10 + 10], np.zeros(10)

    model = network()
    trace_minmax(model, X)
    whole = ranges(model, array)
    trace_minmax(model, Batches())
    assert same(ranges(model, array), whole)


def batches(kind):
    """The rows of X as batches of whatever ``fit`` takes; some twice, since only the extremes matter."""
    pairs = [(X[n : n + 10], np.zeros((10, 2), np.float32)) for n in (0, 10, 20, 30)]
    if kind == "pairs":
        return iter(pairs)
    if kind == "inputs":
        return (x for x, _ in pairs)
    if kind == "weighted":
        return ((x, y, np.ones(10)) for x, y in pairs)
    if kind == "iterable":
        return _Again(pairs)
    if kind == "tf.data":
        tf = pytest.importorskip("tensorflow")
        return tf.data.Dataset.from_tensor_slices((X, np.zeros((40, 2), np.float32))).batch(10)
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.zeros(40, 2))
    return torch.utils.data.DataLoader(data, batch_size=10, shuffle=True)


class _Again:
    """Gives the same batches each time that it is iterated."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


KINDS = ["pairs", "inputs", "weighted", "iterable", "tf.data", "DataLoader"]


@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_everything_that_fit_takes(kind, array, infer):
    model = network()
    trace_minmax(model, X)
    whole = ranges(model, array)
    assert trace_minmax(model, batches(kind)) == ebops(model)
    assert same(ranges(model, array), whole)


def test_a_generator_is_read_once_even_if_it_takes_several_passes(infer):
    model = chain(3)
    trace_minmax(model, FINE_THEN_COARSE, batch_size=2)
    whole = infer(model, FINE_THEN_COARSE)
    rows = ((row[None], None) for row in FINE_THEN_COARSE)
    np.testing.assert_array_equal(trace_minmax(model, rows, return_results=True), whole)
    np.testing.assert_array_equal(infer(model, FINE_THEN_COARSE), whole)


@pytest.mark.parametrize("shape", [(8, 4), (8,), (8, 5, 2), (8, 5, 1, 1)])
def test_data_of_another_shape_are_refused_by_name(shape):
    with pytest.raises(ShapeError, match=rf"input '.+' received shape {re.escape(str(shape))}, expected \(n, 5\)"):
        trace_minmax(network(), np.ones(shape))


@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 1)])
def test_a_last_axis_of_size_one_is_left_to_keras(shape):
    model = network()
    assert trace_minmax(model, np.ones(shape)) == ebops(model)


def test_a_generator_of_inputs_by_name():
    model = two_inputs(keyed=True)
    rows = (({"a": X[n : n + 10], "b": X[n : n + 10]}, None) for n in (0, 20))
    assert trace_minmax(model, rows) == ebops(model)


def test_an_endless_dataset_is_refused():
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(ConfigError, match=r"without an end; expected one that ends: dataset\.take"):
        trace_minmax(network(), tf.data.Dataset.from_tensors(X).repeat())


@pytest.mark.parametrize("parts", [[X], (X,)])
def test_a_list_has_one_array_for_each_input(parts, array):
    model = network()
    assert trace_minmax(model, parts) == ebops(model)
    with pytest.raises(ConfigError, match=r"has 2 input\(s\) and received a list of 1 arrays"):
        trace_minmax(two_inputs(keyed=False), [X])


# --- data that no allowed range holds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("batch_size", [64, 7])
def test_a_constraint_that_cuts_the_data_is_refused_and_nothing_changes(q_type, batch_size, array):
    conf = QuantizerConfig(q_type, "datalane", ic=MinMax(-4, 3))
    model = keras.Sequential([keras.Input((5,)), QDense(4, iq_conf=conf, name="first"), QDense(2, name="second")])
    fits = X * np.float32(7.5 / np.abs(X).max())
    trace_minmax(model, fits, batch_size=batch_size)
    before = ranges(model, array)
    said = r"quantizer 'first_iq': the calibration data need 5 integer bits and its constraint ic leaves 3.*scale"
    with pytest.raises(DataError, match=said):
        trace_minmax(model, fits * 4, batch_size=batch_size)
    assert same(ranges(model, array), before)
    assert not any(quantizer.mode(None) is Mode.CALIBRATE for quantizer in quantizers(model))
    assert uncalibrated(model) == []


def test_the_sum_inside_a_network_is_data_too():
    wide = QuantizerConfig("kif", "datalane", ic=None)
    model = keras.Sequential([keras.Input((5,)), QDense(4, iq_conf=wide, name="first"), QDense(2, name="second")])
    model.get_layer("first").kernel.assign(np.full((5, 4), 3.0))
    with pytest.raises(DataError, match=r"quantizer 'second_iq'.*2[4-9] integer bits.*leaves 23"):
        trace_minmax(model, np.full((3, 5), 2.0**22, np.float32))


def test_a_range_at_the_edge_of_its_constraint_that_holds_the_data_is_none_of_that(array, infer):
    conf = QuantizerConfig("kif", "datalane", ic=MinMax(-4, 3), f0=2)
    model = keras.Sequential([keras.Input((2,)), QDense(1, iq_conf=conf)])
    x = np.array([[7.75, -8.0], [0.0, 0.0]], np.float32)
    results = trace_minmax(model, x, return_results=True)
    assert array(model.layers[0].iq.kif[1]).max() == 3
    np.testing.assert_array_equal(infer(model, x), results)


def test_two_inputs_and_two_outputs(array):
    a, b = keras.Input((5,)), keras.Input((5,))
    both = QAdd()([a, b])
    model = keras.Model([a, b], [QDense(2)(both), QUnaryFunctionLUT("tanh")(both)])
    first, second = trace_minmax(model, [X, X * 2], return_results=True, batch_size=16)
    assert (first.shape, second.shape) == ((40, 2), (40, 5))


def test_every_quantizer_is_found_once():
    shared = QDense(5, enable_oq=True)
    x = keras.Input((5,))
    inner = keras.Sequential([keras.Input((5,)), shared, QBatchNormalization()])
    model = keras.Model(x, QAdd()([inner(x), shared(x)]))
    found = quantizers(model)
    assert len(found) == len(set(map(id, found))) == 4 + 3 + 2


def test_layers_inside_a_wrapper_are_found(array):
    """A wrapper is no model, but what it holds is quantized all the same, and built for each of the three steps."""
    model = keras.Sequential(
        [keras.Input((3, 5)), keras.layers.TimeDistributed(QDense(2, enable_oq=True, name="inside"))]
    )
    assert len(quantizers(model)) == 4
    assert ebops(model) == 3 * (5 * 2 * 8 * 8 + 2 * 8)


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (np.full((3, 5), np.nan, np.float32), DataError, "NaN or infinity; clean the data"),
        (np.full((3, 5), np.inf, np.float32), DataError, "NaN or infinity; clean the data"),
        (np.zeros((0, 5), np.float32), DataError, "no data to calibrate on"),
        ([X, X[:3]], ConfigError, "different lengths"),
        ([], DataError, "no data to calibrate on"),
        ({}, DataError, "no data to calibrate on"),
        (None, DataError, "received NoneType; expected an array"),
        ("X", DataError, "received str; expected an array"),
        (3.0, DataError, "received float; expected an array"),
        ([X, X], ConfigError, r"has 1 input\(s\) and received a list of 2 arrays"),
        ((row for row in X[:0]), DataError, "no data to calibrate on: 0 batches"),
        (iter([X, X * np.float32(np.nan)]), DataError, "NaN or infinity; clean the data"),
        ([[1.0], [1.0, 2.0], "x"], DataError, "received str; expected an array"),
        ([[[1.0], [1.0, 2.0]]], DataError, "received list, which is no array"),
        (X[:, :3], ShapeError, "received shape"),
        (X[:, :1], ShapeError, "received shape"),
    ],
)
def test_data_that_cannot_be_used_change_nothing(data, kind, said, array):
    model = network()
    trace_minmax(model, X)
    before = ranges(model, array)
    with pytest.raises(kind, match=said):
        trace_minmax(model, data)
    assert same(ranges(model, array), before)


def test_a_dataset_with_nan_changes_nothing(array):
    class Spoiled(keras.utils.PyDataset):
        @property
        def num_batches(self):
            return 2

        def __getitem__(self, index):
            return X if index == 0 else X * np.float32(np.nan)

    model = network()
    trace_minmax(model, X)
    before = ranges(model, array)
    with pytest.raises(DataError):
        trace_minmax(model, Spoiled())
    assert same(ranges(model, array), before)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "all", None, True])
def test_a_batch_has_at_least_one_row(batch_size, array):
    model = network()
    trace_minmax(model, X)
    before = ranges(model, array)
    with pytest.raises(ConfigError, match=r"batch_size: received .*, expected a positive integer"):
        trace_minmax(model, X, batch_size=batch_size)
    assert same(ranges(model, array), before)


@pytest.mark.parametrize(("number", "kind", "said"), [(0, DataError, "0 batches"), (None, ConfigError, "an end")])
def test_a_dataset_without_batches_or_end_changes_nothing(number, kind, said, array):
    class Batches(keras.utils.PyDataset):
        num_batches = number

        def __getitem__(self, index):
            return X

    model = network()
    trace_minmax(model, X)
    before = ranges(model, array)
    with pytest.raises(kind, match=said):
        trace_minmax(model, Batches())
    assert same(ranges(model, array), before)


def test_nan_in_a_quantizer_of_its_own_is_refused():
    x = keras.Input((5,))
    model = keras.Model(x, Quantizer("kif", "datalane", name="alone")(x))
    f = next(v for v in model.weights if v.name == "f")
    f.assign(np.full(f.shape, np.nan))
    with pytest.raises(DataError, match=r"layer 'alone'.*contains NaN or infinity"):
        trace_minmax(model, X)


def two_inputs(keyed):
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    y = QDense(2)(QAdd()([a, b]))
    return keras.Model({"b": b, "a": a} if keyed else [b, a], {"y": y, "sum": QAdd()([a, b])})


@pytest.mark.parametrize("keyed", [True, False])
def test_inputs_and_outputs_by_name(keyed, array):
    model = two_inputs(keyed)
    inputs = {"a": X, "b": X * np.float32(16)}
    results = trace_minmax(model, inputs, return_results=True, batch_size=16)
    expected = model(inputs, training=False)
    assert sorted(results) == ["sum", "y"]
    for name, result in results.items():
        np.testing.assert_array_equal(result, array(expected[name]))
    largest = [float(q.array_kif[1].max()) for q in quantizers(model) if q.name.endswith(("iq_0", "iq_1"))]
    assert sorted(largest) == [2.0, 2.0, 6.0, 6.0]


@pytest.mark.parametrize("keyed", [True, False])
def test_inputs_by_a_wrong_name_change_nothing(keyed, array):
    model = two_inputs(keyed)
    before = ranges(model, array)
    with pytest.raises(ConfigError, match=r"received inputs \['a', 'c'\], expected \['a', 'b'\]; \['b'\] missing"):
        trace_minmax(model, {"a": X, "c": X})
    assert same(ranges(model, array), before)


def test_a_model_that_is_not_built():
    with pytest.raises(ConfigError, match=r"not built.*call it on data"):
        trace_minmax(keras.Sequential([QDense(2)]), X)


def test_calibration_leaves_weights_and_statistics_alone(array):
    model = keras.Sequential([keras.Input((5,)), QBatchNormalization(), QDense(2)])
    before = {v.path: array(v).copy() for v in model.weights if v.path.rsplit("/", 1)[1] not in ("i", "k")}
    trace_minmax(model, X)
    after = {v.path: array(v) for v in model.weights if v.path in before}
    assert same(before, after)


def test_progress_is_shown_on_request(capsys):
    trace_minmax(network(), X, verbose=1)
    assert "calibrating" in capsys.readouterr().out


# --- bits shared between integer and fraction: a wider range is a coarser grid ----------------------------------------


def chain(length):
    """Sums of two inputs that cancel; every layer rounds its input to 4 bits."""
    with QuantizerConfigScope(place="datalane", default_q_type="kbi", overflow_mode="WRAP", b0=4):
        layers = [QDense(1, activation="relu", use_bias=False, kernel_initializer="ones") for _ in range(length)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.layers[0].kernel.assign([[1.0], [-1.0]])
    return model


FINE_THEN_COARSE = np.array([[0.45, 0.2], [7.2, 14.0]], np.float32)


@pytest.mark.parametrize("length", [2, 3, 5])
def test_a_grid_that_a_later_batch_makes_coarser_is_calibrated_again(length, infer):
    """Rounded to 4 bits below 8 or 16 the first row is 0.5 - 0: more than the finer grid of its own range shows."""
    model = chain(length)
    trace_minmax(model, FINE_THEN_COARSE, batch_size=2)
    whole = infer(model, FINE_THEN_COARSE)
    results = trace_minmax(model, FINE_THEN_COARSE, batch_size=1, return_results=True)
    np.testing.assert_array_equal(infer(model, FINE_THEN_COARSE), whole)
    np.testing.assert_array_equal(results, whole)


def test_ranges_that_never_settle_are_refused_and_put_back(array):
    class Growing(keras.Layer):
        """Twice as large at each call."""

        def __init__(self):
            super().__init__()
            self.factor = self.add_weight(shape=(), initializer="ones", trainable=False)

        def call(self, x):
            self.factor.assign(self.factor * 2.0)
            return x * self.factor

    with QuantizerConfigScope(place="datalane", default_q_type="kbi", overflow_mode="WRAP", b0=4):
        model = keras.Sequential([keras.Input((5,)), Growing(), QDense(2)])
    before = ranges(model, array)
    with pytest.raises(ConfigError, match=r"ranges still grow after \d+ passes.*reset"):
        trace_minmax(model, X)
    assert same(ranges(model, array), before)
