"""Options that cannot work are refused where they are given, by name, before anything is built or trained."""

import numpy as np
import pytest

from hgq_core.errors import ConfigError
from hgq_keras import LayerConfigScope
from hgq_keras.layers import QDense

X = np.random.default_rng(5).normal(size=(4, 6)).astype(np.float32)


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, "x", True, [1.0], 1j])
@pytest.mark.parametrize("option", ["beta0", "ebops_factor"])
def test_the_weight_of_ebops_is_a_number_from_zero(option, value):
    with pytest.raises(ConfigError, match=rf"layer 'mine': {option}: received .*, expected a finite number, 0 or larg"):
        QDense(2, name="mine", **{option: value})


def test_a_scope_cannot_bring_a_negative_beta():
    with LayerConfigScope(beta0=-1.0), pytest.raises(ConfigError, match=r"LayerConfigScope: received -1\.0"):
        QDense(2, name="mine")


def test_zero_and_numbers_of_numpy_are_numbers():
    layer = QDense(2, beta0=np.float32(0.5), ebops_factor=0)
    assert (layer.beta0, layer.ebops_factor) == (0.5, 0.0)
    assert QDense.from_config(layer.get_config()).beta0 == 0.5
