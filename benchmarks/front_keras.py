"""One training run under a rising beta, on Keras: prints the scored models of its front as JSON.

Written against the names that ours and HGQ2 share, and run with either by the Python of its environment.
"""

from __future__ import annotations

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from front_points import Data, Kept, beta_at, rate_at, scores, settings_from

from hgq.layers import QDense
from hgq.utils import trace_minmax
from hgq.utils.sugar import BetaScheduler, FreeEBOPs


class Collect(keras.callbacks.Callback):
    """Offers the model of each epoch to the front, and sets the learning rate of the next one."""

    def __init__(self, kept, settings):
        super().__init__()
        self.kept, self.settings = kept, settings

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        self.model.optimizer.learning_rate = rate_at(self.settings, epoch)

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.kept.offer(float(logs["ebops"]), logs["val_accuracy"], logs["val_loss"], self.model.get_weights)


def trained(data, settings, **options):
    """The network after its run, and the models of its front; ``options`` are those of every dense layer."""
    keras.utils.set_random_seed(settings["seed"])
    hidden = [QDense(n, activation="relu", **options) for n in settings["hidden"]]
    model = keras.Sequential([keras.Input(data.x_train.shape[1:]), *hidden, QDense(settings["classes"], **options)])
    model.compile(
        keras.optimizers.Adam(settings["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    kept = Kept(settings["most"])
    model.fit(
        data.x_train,
        data.y_train,
        validation_data=(data.x_val, data.y_val),
        validation_batch_size=len(data.x_val),
        batch_size=settings["batch"],
        epochs=settings["epochs"],
        verbose=0,
        callbacks=[BetaScheduler(lambda epoch: beta_at(settings, epoch)), FreeEBOPs(), Collect(kept, settings)],
    )
    return model, sorted(kept.points, key=lambda point: point.ebops)


def scored(model, data, point):
    """The model restored, calibrated on the training split, and its row of the result."""
    model.set_weights(point.state)
    row = {"ebops": float(trace_minmax(model, data.x_train, batch_size=len(data.x_train)))}
    for split in ("val", "test"):
        x, y = getattr(data, f"x_{split}"), getattr(data, f"y_{split}")
        row[f"{split}_accuracy"], row[f"{split}_loss"] = scores(model.predict(x, len(x), verbose=0), y)
    return row


def main() -> None:
    settings, data = settings_from(sys.argv[2]), Data.load(sys.argv[1])
    model, points = trained(data, settings)
    print(json.dumps([scored(model, data, point) for point in points]))


if __name__ == "__main__":
    main()
