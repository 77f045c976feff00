"""`Dataset`: what it gives out, in which order, and to whom."""

import keras
import numpy as np
import pytest

import hgq_keras
from hgq_core.errors import ConfigError, DataError
from hgq_keras import Dataset
from hgq_keras.layers import QDense

X = np.arange(22, dtype="float32").reshape(11, 2)
Y = np.arange(11, dtype="float32")


def rows(data):
    return [int(v) for n in range(len(data)) for v in keras.ops.convert_to_numpy(data[n][1])]


def model():
    return keras.Sequential([keras.Input((2,)), QDense(1)])


def test_batches_in_order():
    data = Dataset(X, Y, batch_size=4)
    assert len(data) == 3
    assert rows(data) == list(range(11))
    x, y = data[2]
    assert np.array_equal(keras.ops.convert_to_numpy(x), X[8:])
    assert np.array_equal(keras.ops.convert_to_numpy(y), Y[8:])


def test_shuffle_moves_rows_between_batches_in_each_epoch():
    keras.utils.set_random_seed(1)
    data = Dataset(X, Y, batch_size=4, shuffle=True)
    epochs = []
    for _ in range(3):
        epochs.append(rows(data))
        assert sorted(epochs[-1]) == list(range(11))
        for n in range(len(data)):
            x, y = (keras.ops.convert_to_numpy(part) for part in data[n])
            assert np.array_equal(x[:, 0], 2 * y)
        data.on_epoch_end()
    assert len({tuple(epoch) for epoch in epochs}) == 3
    # Not only the order of batches: the rows of a batch differ too.
    assert {frozenset(epochs[0][n : n + 4]) for n in (0, 4)} != {frozenset(epochs[1][n : n + 4]) for n in (0, 4)}


def test_the_seed_decides():
    orders = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        data = Dataset(X, Y, batch_size=4, shuffle=True)
        first = rows(data)
        data.on_epoch_end()
        orders.append(first + rows(data))
    assert orders[0] == orders[1] != orders[2]


def test_fit_reshuffles():
    keras.utils.set_random_seed(1)
    data = Dataset(X, Y, batch_size=4, shuffle=True)
    before = rows(data)
    net = model()
    net.compile("sgd", "mse")
    net.fit(data, epochs=1, verbose=0)
    assert rows(data) != before


def test_drop_last_drops_others_in_each_epoch():
    keras.utils.set_random_seed(1)
    data = Dataset(X, Y, batch_size=4, drop_last=True)
    seen = set()
    for _ in range(20):
        epoch = rows(data)
        assert len(epoch) == 8
        assert epoch == list(range(epoch[0], epoch[0] + 8))
        seen.add(epoch[0])
        data.on_epoch_end()
    assert seen == {0, 1, 2, 3}


def test_batch_sets_the_size():
    data = Dataset(X, Y)
    with pytest.raises(ConfigError, match=r"no batch size; give batch_size=, or call dataset.batch\(n\)"):
        len(data)
    assert data.batch(5) is data
    assert len(data) == 3


def test_fit_evaluate_and_predict_as_with_arrays():
    net = model()
    net.compile("sgd", "mse")
    data = Dataset(X / 32, Y / 16, batch_size=4)
    net.fit(data, epochs=1, verbose=0)
    hgq_keras.trace_minmax(net, X / 32, batch_size=4)
    assert net.evaluate(data, verbose=0) == pytest.approx(net.evaluate(X / 32, Y / 16, batch_size=4, verbose=0))
    assert np.array_equal(net.predict(data, verbose=0), net.predict(X / 32, batch_size=4, verbose=0))
    unlabelled = Dataset(X / 32, batch_size=4)
    assert np.array_equal(net.predict(unlabelled, verbose=0), net.predict(X / 32, batch_size=4, verbose=0))


@pytest.mark.parametrize("calibrate", [hgq_keras.trace_minmax, hgq_keras.calibrate])
def test_calibration_as_with_arrays(calibrate):
    net = model()
    calibrate(net, X)
    expected = [weight.numpy() if hasattr(weight, "numpy") else weight for weight in net.get_weights()]
    calibrate(net, X / 8)
    calibrate(net, Dataset(X, Y, batch_size=4))
    for received, value in zip(net.get_weights(), expected, strict=True):
        assert np.array_equal(received, value)


def test_several_inputs():
    data = Dataset({"a": X, "b": X[:, :1]}, [Y, Y], batch_size=4)
    x, y = data[1]
    assert {name: tuple(part.shape) for name, part in x.items()} == {"a": (4, 2), "b": (4, 1)}
    assert [tuple(part.shape) for part in y] == [(4,), (4,)]


def test_what_it_refuses():
    with pytest.raises(ConfigError, match=r"different lengths: \[11, 10\]"):
        Dataset(X, Y[:10])
    with pytest.raises(DataError, match="no rows"):
        Dataset(X[:0])
    with pytest.raises(ConfigError, match="batch_size"):
        Dataset(X, batch_size=0)
    with pytest.raises(IndexError, match="0 to 2"):
        Dataset(X, batch_size=4)[3]
