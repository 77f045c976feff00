"""The models of one training run that no other of the same run beats, kept as weights until they are scored.

Imports nothing but NumPy, so that it serves the environments of all implementations.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Data", "Kept", "Point", "beta_at", "rate_at", "scores", "settings_from"]


@dataclass(frozen=True)
class Data:
    """Inputs and labels for training, for choosing a model, and for scoring it."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @classmethod
    def load(cls, path: str | Path) -> Data:
        """From an ``.npz`` that `fronts.py` wrote."""
        with np.load(path) as archive:
            return cls(**{name: archive[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Point:
    """One model while it trains: EBOPs, accuracy on the validation split, and what restores it."""

    ebops: float
    accuracy: float
    loss: float
    state: Any


@dataclass
class Kept:
    """The models of a run of which none has both fewer EBOPs and a better validation accuracy than another.

    ``most`` leaves out models of more EBOPs, so that only those that are asked for are calibrated and scored.
    """

    most: float
    points: list[Point] = field(default_factory=list)

    def offer(self, ebops: float, accuracy: float, loss: float, state: Any) -> None:
        """Keep the model if it is on the front; ``state`` is a function that copies its weights."""
        if ebops > self.most:
            return
        if any(p.ebops <= ebops and (p.accuracy, -p.loss) >= (accuracy, -loss) for p in self.points):
            return
        new = Point(ebops, accuracy, loss, state())
        self.points = [p for p in self.points if not (ebops <= p.ebops and (accuracy, -loss) >= (p.accuracy, -p.loss))]
        self.points.append(new)


def scores(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy and mean cross-entropy in float64."""
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(axis=1, keepdims=True)
    log_probability = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    return float(np.mean(z.argmax(axis=1) == labels)), float(-np.mean(log_probability[rows, labels]))


def settings_from(argument: str) -> dict[str, Any]:
    """The settings of a run: a JSON object."""
    settings: dict[str, Any] = json.loads(argument)
    return settings


def beta_at(settings: dict[str, Any], epoch: int) -> float:
    """Beta rises from the first to the last value, evenly on a logarithmic scale."""
    low, high = settings["beta"]
    return float(low * (high / low) ** (epoch / max(settings["epochs"] - 1, 1)))


def rate_at(settings: dict[str, Any], epoch: int) -> float:
    """The learning rate falls to a quarter along a cosine: widths and weights still have to answer the last betas."""
    share = epoch / max(settings["epochs"] - 1, 1)
    return float(settings["learning_rate"] * (0.25 + 0.375 * (1 + np.cos(np.pi * share))))
