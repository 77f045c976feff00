"""What is not trained stays so: saved, cloned, and for quantizers made before and after."""

import keras
import numpy as np
import pytest

from hgq_keras import Quantizer, QuantizerConfigScope
from hgq_keras.layers import QAdd, QBatchNormalization, QDense

NAMES = ["m.keras", "m.h5", "clone"]


def copied(model, name, folder):
    if name == "clone":
        return keras.models.clone_model(model)
    model.save(folder / name)
    return keras.saving.load_model(folder / name)


def network():
    with QuantizerConfigScope(place="datalane", overflow_mode="SAT"):
        x = keras.Input((3,))
        y = QAdd(enable_oq=True, name="sum")([QDense(3, name="dense")(x), QBatchNormalization(name="norm")(x)])
        return keras.Model(x, Quantizer("kif", "datalane", name="alone")(y))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frozen", ["dense", "norm", "sum", "alone"])
def test_a_frozen_layer_stays_frozen_with_its_numbers(frozen, name, tmp_path, array):
    model = network()
    for number, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, 1.0 + number / 128))
    model.get_layer(frozen).trainable = False
    copy = copied(model, name, tmp_path)
    assert [v.path for v in copy.trainable_variables] == [v.path for v in model.trainable_variables]
    assert not copy.get_layer(frozen).trainable
    assert not copy.get_layer(frozen).trainable_variables
    if name != "clone":
        for old, new in zip(model.weights, copy.weights, strict=True):
            np.testing.assert_array_equal(array(new), array(old), err_msg=old.path)


def test_a_layer_that_was_frozen_at_its_making_can_be_trained_later():
    frozen, usual = QDense(2, trainable=False), QDense(2)
    for layer in (frozen, usual):
        layer.build((None, 3))
    assert not frozen.trainable_variables
    assert not any(quantizer.trainable for quantizer in frozen.quantizers)
    frozen.trainable = True
    assert [v.name for v in frozen.trainable_variables] == [v.name for v in usual.trainable_variables]
