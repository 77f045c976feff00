"""Several replicas: ranges and statistics are those of all of them. Two CPUs have to be declared before TensorFlow."""

import os
import subprocess
import sys

import keras
import pytest

SCRIPT = """
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
from hgq_core.errors import DeadLayerWarning
from hgq_keras import QuantizerConfig, ebops, trace_minmax, uncalibrated
from hgq_keras.layers import QBatchNormalization, QDense
import warnings

SMALL, LARGE = [[0.25, -0.5], [-0.25, 0.125]], [[6.0, 60.0], [3.0, -30.0]]
X = np.array(SMALL + LARGE, "float32")

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def trained(kind, synchronized=False):
    data = QuantizerConfig(kind, "datalane", **({"f0": 20} if kind == "kif" else {"b0": 20}))
    with strategy.scope():
        layer = QBatchNormalization(iq_conf=data, synchronized=synchronized, momentum=0.0)
        model = keras.Sequential([keras.Input((2,)), layer, QDense(1, name="dense")])
        model.compile("sgd", "mse")
    model.fit(X, np.zeros((4, 1), "float32"), batch_size=4, verbose=0, shuffle=False)
    return model

model, synchronized = trained("kif"), trained("kbi", synchronized=True)
norm, dense = model.layers
for iq in (norm.iq, synchronized.layers[0].iq):
    # The first replica sees SMALL and the second LARGE: 6 < 2**3 and 60 < 2**6.
    np.testing.assert_array_equal(iq.array_kif[1], [[3, 6]])
    copies = [copy.numpy().tolist() for copy in iq._i.value.values]
    assert copies[0] == copies[1], copies

halves = X[:2], X[2:]
np.testing.assert_allclose(norm.moving_mean.numpy(), np.mean([h.mean(0) for h in halves], 0), atol=1e-3)
np.testing.assert_allclose(norm.moving_variance.numpy(), np.mean([h.var(0) for h in halves], 0), rtol=1e-3)
norm = synchronized.layers[0]
np.testing.assert_allclose(norm.moving_mean.numpy(), X.mean(0), atol=1e-3)
np.testing.assert_allclose(norm.moving_variance.numpy(), X.var(0), rtol=1e-3)

# Calibration and the judgement of assigned weights work on mirrored variables too.
assert trace_minmax(model, X) == ebops(model) and uncalibrated(model) == []
dense.kernel.assign(np.full((2, 1), 1e-4, "float32"))
model.compile("sgd", "mse")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    model.fit(X, np.zeros((4, 1), "float32"), batch_size=4, verbose=0, shuffle=False)
assert [w.category for w in said].count(DeadLayerWarning) == 1, [str(w.message) for w in said]
assert dense.qkernel.numpy().any()
print("replicas agree")
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's")
def test_ranges_are_the_maximum_and_statistics_the_mean_over_replicas():
    environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=False, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "replicas agree" in result.stdout
