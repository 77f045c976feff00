"""A declaration with a loop is refused by Keras in one sentence."""

import keras
import pytest

from hgq_core.errors import UnsupportedError
from hgq_core.layers import Recurrent, SimpleRNNCell
from hgq_keras.layers import QLayer


class Rnn(QLayer):
    """A recurrent layer of a user's."""

    def declaration(self):
        return Recurrent(SimpleRNNCell(2))


def test_a_loop_is_refused_with_the_name_of_the_layer():
    layer = Rnn(name="rnn", enable_iq=False)
    with pytest.raises(UnsupportedError, match=r"layer 'rnn': its declaration has a loop .* of 4 steps"):
        layer(keras.ops.ones((2, 4, 3)))
