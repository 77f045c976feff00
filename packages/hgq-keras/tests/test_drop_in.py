"""What users of the nearest peer met as a defect, one test for each: code written for it has to be right here.

The numbers in the names are those of the list that the project keeps of them.
"""

import keras
import numpy as np
import pytest

import hgq_keras
from hgq_core.cost import ebops as graph_ebops
from hgq_core.errors import ConfigError, UnsupportedError
from hgq_keras.callbacks import BetaPID, FreeEBOPs, ParetoFront
from hgq_keras.config import HardSigmoidConfig, HardTanhConfig, QuantizerConfig, QuantizerConfigScope
from hgq_keras.constraints import Max
from hgq_keras.layers import (
    QBatchNormalization,
    QBatchNormDense,
    QConv1D,
    QConv2D,
    QDense,
    QEinsumDense,
    QEinsumDenseBatchnorm,
    QSoftmax,
    Quantizer,
    QUnaryFunctionLUT,
)

X = (np.arange(60, dtype="float32").reshape(10, 6) - 29) / 16


def dense_model(*units):
    return keras.Sequential([keras.Input((6,)), *(QDense(n) for n in units)])


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("place", ["weight", "datalane", "bias"])
def test_1_a_minifloat_is_made_from_its_name(place):
    quantizer = Quantizer("float", place)
    assert np.isfinite(numbers(quantizer(X, training=True))).all()


def test_2_s_rnd_is_symmetric_and_stochastic_rounding_is_random_in_training_and_nowhere_else():
    options = {"f0": 0, "i0": 4, "overflow_mode": "SAT", "homogeneous_axis": None, "heterogeneous_axis": ()}
    x = np.full((4000, 1), 0.25, "float32")
    symmetric = Quantizer("kif", "datalane", round_mode="S_RND", **options)
    assert not numbers(symmetric(x, training=True)).any()
    np.testing.assert_array_equal(numbers(symmetric(np.array([[-3.5]], "float32"), training=False)), [[-4.0]])
    quantizer = Quantizer("kif", "datalane", stochastic=True, **options)
    assert 0.15 < numbers(quantizer(x, training=True)).mean() < 0.35
    assert not numbers(quantizer(x, training=False)).any()


def test_3_a_norm_without_center_adds_nothing():
    layer = QBatchNormalization(center=False, scale=False)
    assert not numbers(layer(np.zeros((4, 3), "float32"), training=False)).any()


def test_7_layers_of_a_nested_model_are_counted():
    inner = dense_model(4, 3)
    model = keras.Sequential([keras.Input((6,)), inner])
    total = hgq_keras.trace_minmax(model, X)
    assert total == hgq_keras.ebops(model) == graph_ebops(hgq_keras.to_graph(model)) > 0
    logs = {}
    counter = FreeEBOPs()
    counter.set_model(model)
    counter.on_epoch_end(0, logs)
    assert logs["ebops"] == total


def test_8_results_of_several_outputs_have_their_own_shapes():
    x = keras.Input((6,))
    model = keras.Model(x, [QDense(4)(x), QDense(2)(x)])
    first, second = hgq_keras.trace_minmax(model, X, return_results=True)
    assert (first.shape, second.shape) == ((10, 4), (10, 2))


def test_11_noise_of_factor_0_under_a_scaler_is_the_input():
    quantizer = Quantizer(QuantizerConfig("kif", "datalane", scaler=4.0, qnoise_factor=0.0))
    x = np.array([[1.0, 0.3]], "float32")
    np.testing.assert_allclose(numbers(quantizer(x, training=True)), x)


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
def test_12_a_constraint_of_integer_bits_holds_under_wrap(q_type):
    quantizer = Quantizer(q_type, "datalane", overflow_mode="WRAP", ic=Max(1))
    quantizer(np.full((2, 1), 7.0, "float32"), training=True)
    assert float(numbers(quantizer._i).max()) <= 1


def test_14_configurations_that_are_given_stay_as_they_are():
    conf = QuantizerConfig("kif", "datalane")
    table = QuantizerConfig("kbi", "table")
    before = [dict(one) for one in (conf, table)]
    softmax = QSoftmax(iq_conf=conf, exp_iq_conf=conf, exp_oq_conf=table, inv_iq_conf=conf, inv_oq_conf=table)
    softmax(X, training=True)
    QUnaryFunctionLUT("tanh", iq_conf=conf, oq_conf=table)(X, training=True)
    assert [dict(one) for one in (conf, table)] == before


def test_15_a_sign_alone_is_0_in_training_and_at_inference():
    with QuantizerConfigScope(q_type="kif", place="datalane", overflow_mode="WRAP"):
        quantizer = Quantizer("kif", "datalane", k0=1, i0=1, f0=-1, ic=Max(1), fc=None)
    x = np.array([[-1.5, -0.5, 0.25, 0.75]], "float32")
    outputs = [numbers(quantizer(x, training=training)) for training in (True, False)]
    np.testing.assert_array_equal(*outputs)


def test_16_counts_beyond_32_bits_a_disabled_layer_and_weakly_dominated_points(tmp_path):
    big = keras.Sequential([keras.Input((6,)), QDense(4, ebops_factor=2.0**40)])
    big(X, training=True)
    assert hgq_keras.ebops(big) > 2**40
    model = keras.Sequential([keras.Input((6,)), QDense(4), QDense(3, enable_ebops=False)])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :3], epochs=2, verbose=0, callbacks=[BetaPID(100.0)])
    front = ParetoFront(tmp_path, ["a", "b"], [1, -1])
    front.set_model(model)
    for epoch, (a, b) in enumerate([(1.0, 5.0), (1.0, 4.0)]):
        front.on_epoch_end(epoch, {"a": a, "b": b})
    assert len(list(tmp_path.glob("*.keras"))) == 1


@pytest.mark.parametrize("options", [{}, {"symmetric": True}])
def test_6_a_hard_tanh_is_what_it_was_after_a_reload(options):
    conf = HardTanhConfig(f0=3, **options)
    back = QuantizerConfig.from_config(conf.get_config())
    x = np.array([[-3.0, -1.0, -0.4, 0.4, 1.0, 3.0]], "float32")
    outputs = [numbers(Quantizer(one)(x, training=False)) for one in (conf, back)]
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(outputs[0][0, [0, 1, 4, 5]], [-0.875 if options else -1.0] * 2 + [0.875] * 2)
    with pytest.raises(ConfigError, match="HardTanhConfig: received overflow_mode, which it fixes"):
        HardTanhConfig(overflow_mode="WRAP")


def test_a_hard_sigmoid_has_a_slope_of_a_quarter():
    quantizer = Quantizer(HardSigmoidConfig(f0=4))
    x = np.array([[-3.0, -2.0, 0.0, 1.0, 3.0]], "float32")
    np.testing.assert_array_equal(numbers(quantizer(x, training=False)), [[0, 0, 0.5, 0.75, 0.984375]])


@pytest.mark.parametrize(
    ("layer", "shape", "instances"),
    [
        (QDense(3), (6,), 1),
        (QDense(3), (5, 2, 6), 10),
        (QDense(3, parallelization_factor=2), (5, 6), 5),
        (QEinsumDense("abc,bcd->abd", (4, 2)), (4, 3), 1),
        (QEinsumDense("abc,bd->acd", (3, 2)), (4, 3), 3),
        (QConv1D(2, 3, strides=2), (9, 2), 4),
        (QConv2D(2, 3, padding="same", data_format="channels_first"), (1, 4, 5), 20),
        (QBatchNormDense(3), (5, 6), 5),
        (QEinsumDenseBatchnorm("abc,cd->abd", (4, 2), bias_axes="d"), (4, 3), 4),
    ],
)
def test_n_parallel_is_the_number_of_instances_that_the_cost_is_shared_by(layer, shape, instances):
    keras.Sequential([keras.Input(shape), layer])
    assert layer.n_parallel == instances
    config = {**layer.get_config(), "parallelization_factor": 1}
    alone, full = type(layer).from_config(config), type(layer).from_config({**config, "parallelization_factor": -1})
    costs = [hgq_keras.ebops(keras.Sequential([keras.Input(shape), one])) for one in (alone, full)]
    assert costs[0] > 0
    assert costs[1] == pytest.approx(instances * costs[0])


def test_a_configuration_gives_the_quantizer_of_its_format_alone():
    conf = QuantizerConfig("kif", "datalane", 4.0, (2.0, 1.0), f0=1, i0=2, overflow_mode="SAT", heterogeneous_axis=())
    quantizer = conf.get_quantizer()
    assert isinstance(quantizer, Quantizer)
    np.testing.assert_array_equal(numbers(quantizer(np.array([[0.3, 9.0]], "float32"))), [[0.5, 3.5]])
    with QuantizerConfigScope(f0=6):
        assert conf.get_quantizer().config["f0"] == 1


def test_quantizers_are_made_by_the_numbers_of_their_type():
    from hgq.quantizer import internal

    x = np.array([[-9.0, 0.3, 9.0]], "float32")
    kbi = internal.FixedPointQuantizerKBI(1, 3, 2, "RND", "SAT", homogeneous_axis=(0,))
    kif = internal.FixedPointQuantizerKIF(1, 2, 1, "RND", "SAT", homogeneous_axis=(0,), name="of_f")
    for quantizer in (kbi, kif):
        np.testing.assert_array_equal(numbers(quantizer(x)), [[-4.0, 0.5, 3.5]])
    assert kif.name == "of_f"
    assert (kbi.config["bc"].max_value, kbi.config["ic"], kif.config["fr"]) == (12, None, None)
    weight = internal.FixedPointQuantizerKIF(1, 2, 1, "RND", "SAT_SYM", is_weight=True)
    assert weight.config.place == "weight"
    assert numbers(internal.FloatPointQuantizer(1, 3)(x))[0, 1] == 0.25
    np.testing.assert_array_equal(numbers(internal.DummyQuantizer()(x)), x)
    with pytest.raises(ConfigError, match="m0"):
        internal.FixedPointQuantizerKIF(1, 2, 1, "RND", "SAT", m0=3)


@pytest.mark.parametrize("name", ["n_parallel", "qkernel", "qbias", "ebops"])
def test_what_a_layer_does_not_have_before_it_is_built_is_said(name):
    with pytest.raises(ConfigError, match=r"layer 'first' is not built.*call"):
        getattr(QDense(3, name="first"), name)


def test_a_model_with_a_quantizer_alone_that_is_not_built_says_so():
    model = keras.Sequential([Quantizer("kif", "datalane")], name="alone")
    with pytest.raises(UnsupportedError, match=r"model 'alone' is not built; call it on data"):
        hgq_keras.to_graph(model)
    with pytest.raises(ConfigError, match=r"quantizer .* is not built; call it on data first"):
        _ = model.layers[0].quantizer.kif
    model(X)
    assert hgq_keras.to_graph(model).outputs
