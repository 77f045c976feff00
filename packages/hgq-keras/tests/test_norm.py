"""Arguments of batch normalisation beyond those that the layers' tests cover."""

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError
from hgq_keras.layers import QBatchNormalization


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"epsilon": -1.0}, "epsilon: received -1.0, expected a finite number above 0"),
        ({"epsilon": 0.0}, "epsilon: received 0.0"),
        ({"epsilon": np.inf}, "epsilon: received inf"),
        ({"epsilon": "small"}, "epsilon: received 'small'"),
        ({"momentum": 2.0}, "momentum: received 2.0, expected a number from 0 to 1"),
        ({"momentum": -0.1}, "momentum: received -0.1"),
        ({"momentum": np.nan}, "momentum: received nan"),
        ({"momentum": None}, "momentum: received None"),
    ],
)
def test_numbers_that_no_statistics_have_are_refused(arguments, said):
    with pytest.raises(ConfigError, match=rf"layer 'norm': {said}"):
        QBatchNormalization(name="norm", **arguments)


def test_edges_are_allowed():
    for momentum in (0, 1):
        assert QBatchNormalization(momentum=momentum, epsilon=np.float32(1e-6)).momentum == momentum


def test_synchronized_is_an_argument_of_tensorflow_only():
    layer = QBatchNormalization(synchronized=False)
    assert layer.get_config()["synchronized"] is False
    if keras.backend.backend() == "tensorflow":
        assert QBatchNormalization.from_config(QBatchNormalization(synchronized=True).get_config()).synchronized
        return
    with pytest.raises(ConfigError, match=r"layer 'norm': received synchronized=True on \w+; only TensorFlow has it"):
        QBatchNormalization(synchronized=True, name="norm")
