"""Options that cannot work are refused where they are given, by name, before anything is built or trained."""

import json

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError, ShapeError
from hgq_keras import LayerConfigScope, QuantizerConfig, QuantizerConfigScope
from hgq_keras.constraints import Constant, Min, MinMax
from hgq_keras.layers import (
    QAdd,
    QAveragePooling2D,
    QBatchNormalization,
    QConv1D,
    QConv2D,
    QDense,
    QEinsumDense,
    QMaxPooling2D,
)

X = np.random.default_rng(5).normal(size=(4, 6)).astype(np.float32)


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, 1e39, "x", True, [1.0], 1j])
@pytest.mark.parametrize("option", ["beta0", "ebops_factor"])
def test_the_weight_of_ebops_is_a_number_from_zero(option, value):
    with pytest.raises(ConfigError, match=rf"layer 'mine': {option}: received .*, expected a finite number, 0 or larg"):
        QDense(2, name="mine", **{option: value})


@pytest.mark.parametrize("value", [-1.0, np.nan, 1e39, "x"])
def test_a_scope_cannot_bring_a_beta_that_is_none(value):
    with pytest.raises(ConfigError, match=r"beta0 of the LayerConfigScope: received "):
        LayerConfigScope(beta0=value)


def test_zero_and_numbers_of_numpy_are_numbers():
    layer = QDense(2, beta0=np.float32(0.5), ebops_factor=0)
    assert (layer.beta0, layer.ebops_factor) == (0.5, 0.0)
    assert QDense.from_config(layer.get_config()).beta0 == 0.5


# --- quantizers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"heterogeneous_axis": 1}, r"heterogeneous_axis: received 1, expected a tuple of axes"),
        ({"homogeneous_axis": "1"}, r"homogeneous_axis: received '1', expected a tuple of axes"),
        ({"heterogeneous_axis": (0.5,)}, r"heterogeneous_axis: received \(0.5,\), expected a tuple of axes"),
        ({"affine": 3}, r"affine: received 3, expected \(scale, shift\)"),
        ({"affine": (1, 2, 3)}, r"affine: received \(1, 2, 3\), expected \(scale, shift\)"),
        ({"affine": ("a", 1)}, r"affine: received 'a', expected \(scale, shift\)"),
        ({"affine": "ab"}, r"affine: received 'ab', expected \(scale, shift\)"),
        ({"scaler": "x"}, r"scaler: received 'x', expected a finite number other than 0"),
        ({"i_decay_speed": "x"}, r"i_decay_speed: received 'x', expected bits per step"),
        ({"i_decay_speed": None}, r"i_decay_speed: received None, expected bits per step"),
        ({"qnoise_factor": "x"}, r"qnoise_factor: received 'x', expected a number from 0 to 1"),
        ({"qnoise_factor": np.nan}, r"qnoise_factor: received nan, expected a number from 0 to 1"),
        ({"scaler": 1e-46}, r"scaler: received 1e-46, expected a finite number other than 0 that float32 holds"),
        ({"scaler": 1e39}, r"scaler: received 1e\+39, expected a finite number other than 0 that float32 holds"),
        ({"affine": (1, np.inf)}, r"affine: received \(1, inf\), expected \(scale, shift\)"),
        ({"affine": (1e-46, 0)}, r"affine: received \(1e-46, 0\), expected \(scale, shift\)"),
        ({"i_decay_speed": np.nan}, r"i_decay_speed: received nan, expected bits per step"),
        ({"i0": np.nan}, r"i0: received nan, expected a number of bits"),
        ({"f0": np.inf}, r"f0: received inf, expected a number of bits"),
        ({"f0": True}, r"f0: received True, expected a number of bits or a Keras initializer"),
        ({"f0": "x"}, r"f0: received 'x', expected a number of bits or a Keras initializer"),
        ({"fr": np.inf}, r"fr: received inf, expected a finite factor"),
        ({"ir": 1e39}, r"ir: received 1e\+39, expected a finite factor"),
        ({"f0": 1000}, r"f0: received 1000, expected a number of bits from -100 to 100"),
        ({"f0": 25}, r"f0: received 25, which fc=MinMax.* does not allow; expected -24 to 24"),
        ({"f0": -25}, r"f0: received -25, which fc=MinMax.* does not allow"),
        ({"i0": 24, "overflow_mode": "SAT"}, r"i0: received 24, which ic=MinMax.* does not allow; expected -23 to 23"),
        ({"f0": 6, "fc": MinMax(0, 4)}, r"f0: received 6, which fc=MinMax.* does not allow; expected 0 to 4"),
        ({"q_type": "kbi", "b0": 40}, r"b0: received 40, which bc=MinMax.* does not allow; expected 0 to 24"),
        ({"q_type": "kbi", "b0": 3, "bc": Constant(4)}, r"b0: received 3, which bc=Constant.* does not allow"),
        ({"q_type": "float", "m0": 9}, r"m0: received 9, which mc=MinMax.* does not allow; expected -1 to 8"),
    ],
)
def test_a_quantizer_is_given_what_it_can_use(options, said):
    with pytest.raises(ConfigError, match=said):
        QuantizerConfig(**{"q_type": "kif", "place": "datalane"} | options)


def test_integer_bits_that_follow_the_data_may_begin_outside_of_their_constraint():
    assert QuantizerConfig("kif", "datalane", i0=4, ic=MinMax(-1, 1), overflow_mode="WRAP")["i0"] == 4


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"f0": 1000}, "f0: received 1000, expected a number of bits"),
        ({"b0": np.nan}, "b0: received nan, expected a number of bits"),
        ({"i_decay_speed": -1}, "i_decay_speed: received -1"),
        ({"br": np.inf}, "br: received inf"),
        ({"round_mode": "RNDD"}, "did you mean 'RND'"),
    ],
)
def test_a_scope_does_not_take_numbers_and_modes_that_no_quantizer_has(parameters, said):
    with pytest.raises(ConfigError, match=said):
        QuantizerConfigScope(**parameters)


def test_a_width_of_a_scope_starts_at_the_edge_of_a_constraint_that_excludes_it():
    with QuantizerConfigScope("kif", i0=1, f0=9):
        conf = QuantizerConfig("kif", "datalane", ic=MinMax(0, 0), fc=MinMax(2, 4), overflow_mode="SAT")
        with pytest.raises(ConfigError, match=r"f0: received 9, which fc=MinMax.* does not allow; expected 2 to 4"):
            QuantizerConfig("kif", "datalane", f0=9, fc=MinMax(2, 4))
    assert (conf.spec.i0, conf.spec.f0, conf["i0"], conf["f0"]) == (0, 4, 0, 4)
    with QuantizerConfigScope("kif", f0=50):
        assert QuantizerConfig("kif", "datalane")["f0"] == 24


def test_a_default_width_starts_at_the_edge_of_a_narrow_constraint():
    assert QuantizerConfig("kif", "datalane", fc=MinMax(7.5, 9))["f0"] == 7.5
    narrow = QuantizerConfig("kbi", "weight", bc=MinMax(0, 6))
    assert (narrow["b0"], narrow.spec.b0) == (6, 6)
    assert QuantizerConfig("kif", "datalane", fc=Min(7), f0=keras.initializers.Constant(3.0))["fc"].min_value == 7
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(narrow))
    assert again["b0"] == 6


# --- layers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: QConv2D(4, 3, groups=0), "groups: received 0, expected a positive integer"),
        (lambda: QConv2D(4, 3, groups=-1), "groups: received -1, expected a positive integer"),
        (lambda: QConv2D(4, 3, groups=3), "4 filters cannot be divided into 3 groups"),
        (lambda: QConv2D("4", 3), "filters: received '4', expected a positive integer"),
        (lambda: QConv2D(4.0, 3), "filters: received 4.0, expected a positive integer"),
        (
            lambda: QConv2D(4, (3, np.float32(3))),
            r"kernel_size: received np.float32\(3.0\), expected a positive integer",
        ),
        (lambda: QMaxPooling2D(True), "pool_size: received True, expected a positive integer"),
        (lambda: QMaxPooling2D(2, strides=(1, 2, 3)), r"strides: received \(1, 2, 3\), expected 2 positive"),
        (lambda: QMaxPooling2D(2, parallelization_factor=0), "parallelization_factor: received 0, expected -1"),
        (lambda: QAveragePooling2D(2, padding=1), "padding 1 is unknown"),
        (lambda: QBatchNormalization(axis=-1.0), r"axis: received -1\.0, expected an integer"),
        (lambda: QConv2D(4, 3, padding=1), "padding 1 is unknown"),
        (lambda: QConv2D(4, 3, padding="causal"), "padding 'causal' is unknown"),
        (lambda: QConv2D(4, 0), "kernel_size: received 0, expected a positive integer"),
        (lambda: QConv2D(4, (3,)), r"kernel_size: received \(3,\), expected 2 positive"),
        (lambda: QConv1D(4, 3, strides=None), "strides: received None, expected a positive integer"),
        (lambda: QDense(True), "units: received True, expected a positive integer"),
        (lambda: QDense(2, parallelization_factor="x"), "parallelization_factor: received 'x', expected -1"),
        (lambda: QDense(2, parallelization_factor=0), "parallelization_factor: received 0, expected -1"),
        (lambda: QEinsumDense("ab,bc->ac", "x"), "output_shape: received 'x', expected a positive integer"),
    ],
)
def test_a_layer_is_given_what_it_can_build(make, said):
    with pytest.raises(ConfigError, match=said):
        make()


def test_sizes_may_be_integers_of_numpy_and_are_kept_as_those_of_python():
    two, one = np.int64(2), np.uint8(1)
    layers = [
        QDense(two, parallelization_factor=one),
        QEinsumDense("abc,cd->abd", (None, two)),
        QConv2D(two, (two, 1), strides=two, dilation_rate=one, groups=two, parallelization_factor=two),
        QMaxPooling2D(two, strides=(one, two), parallelization_factor=one),
        QAveragePooling2D([two, one]),
        QBatchNormalization(axis=np.int64(-1)),
        QDense(3, iq_conf=QuantizerConfig(i0=two, f0=np.float32(3), heterogeneous_axis=(two,), blocks={two: two})),
    ]
    for layer in layers:
        config = layer.get_config()
        assert "numpy" not in json.dumps(config, default=repr), config
        assert json.loads(json.dumps(type(layer).from_config(config).get_config())) == json.loads(json.dumps(config))
    assert (layers[3].pool_size, layers[3].strides, layers[4].pool_size) == ((2, 2), (1, 2), (2, 1))
    assert (layers[2].filters, layers[2].groups, layers[2].kernel_size) == (2, 2, (2, 1))


@pytest.mark.parametrize("options", [{"kernel_size": 7}, {"kernel_size": 3, "dilation_rate": 3}])
def test_a_kernel_that_is_larger_than_the_image_is_refused(options):
    with pytest.raises(ShapeError, match=r"layer 'mine': a kernel of .* is larger than the data of \(5, 6\)"):
        QConv2D(2, name="mine", **options)(keras.Input((5, 6, 1)))
    assert QConv2D(2, padding="same", **options)(keras.Input((5, 6, 1))).shape == (None, 5, 6, 2)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_an_equation_for_another_rank_is_refused(shape):
    with pytest.raises(ShapeError, match=r"layer 'mine': received shape .*, expected 3, one for each letter of 'abc'"):
        QEinsumDense("abc,cd->abd", (None, 3), name="mine")(keras.Input(shape))


@pytest.mark.parametrize("place", ["weight", "bias"])
@pytest.mark.parametrize("argument", ["iq_conf", "oq_conf"])
def test_data_do_not_take_the_configuration_of_a_weight(argument, place):
    conf = QuantizerConfig("kif", place, heterogeneous_axis=())
    with pytest.raises(ConfigError, match=rf"layer 'mine': {argument} is a configuration for the place '{place}'"):
        QDense(2, name="mine", **{argument: conf})
    with pytest.raises(ConfigError, match=rf"layer 'mine': iq_conf is a configuration for the place '{place}'"):
        QAdd([QuantizerConfig(), conf], name="mine")


@pytest.mark.parametrize("equation", ["ab,bc->ca", "ab,bc->c", "ab,ac->ac", "...b,bc->c..."])
def test_an_equation_that_moves_or_uses_the_batch_axis_is_refused_when_the_layer_is_built(equation):
    x = keras.Input((4,))
    with pytest.raises(
        ShapeError, match=r"layer 'mix': einsum equation .*the batch axis, '\w', must be the first axis"
    ):
        QEinsumDense(equation, 5 if equation.endswith(("c", "a")) else (5,), name="mix")(x)


def test_a_bias_along_the_batch_axis_is_refused():
    with pytest.raises(ConfigError, match="bias_axes 'ac' names the batch axis 'a'; leave it out"):
        QEinsumDense("ab,bc->ac", 5, bias_axes="ac")(keras.Input((4,)))
