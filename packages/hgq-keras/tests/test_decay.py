"""Weight decay is for weights: widths can be told apart from them."""

import keras
import numpy as np
import pytest

from hgq_keras import Quantizer, QuantizerConfig, width_variables
from hgq_keras.layers import QDense


@pytest.fixture
def model():
    conf = QuantizerConfig("kif", "datalane", overflow_mode="SAT", ir=None, fr=None)
    inner = keras.Sequential([keras.Input((3,)), QDense(2, iq_conf=conf, name="inner")])
    return keras.Sequential([keras.Input((3,)), inner, Quantizer(conf)])


def trained_without_a_gradient(model, optimizer, array):
    """Widths and weights before and after ten steps of which the loss says nothing."""
    variables = model.trainable_variables
    before = {variable.path: array(variable) for variable in variables}
    for _ in range(10):
        optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    return {variable.path: (before[variable.path], array(variable)) for variable in variables}


def test_they_are_all_widths_of_nested_models_and_of_quantizers_alone(model):
    names = [variable.name for variable in width_variables(model)]
    assert sorted(names) == sorted([*"kif", *"kib", *"kib", *"kif"])
    weights = {variable.path for variable in model.weights} - {variable.path for variable in width_variables(model)}
    assert {path.rpartition("/")[2] for path in weights} == {"kernel", "bias", "beta"}


@pytest.mark.parametrize("excluded", [True, False])
def test_widths_that_are_excluded_from_decay_stay_exactly_what_they_are(model, excluded, array):
    model.layers[0].layers[0].bias.assign([1.0, -2.0])
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.5)
    if excluded:
        optimizer.exclude_from_weight_decay(var_list=width_variables(model))
    widths = {variable.path for variable in width_variables(model)}
    for path, (before, after) in trained_without_a_gradient(model, optimizer, array).items():
        if path in widths and excluded:
            np.testing.assert_array_equal(after, before)
        else:
            assert np.all(np.abs(after) < np.abs(before)), path
