"""Control of EBOPs by beta; everything lives in hgq_keras."""

from hgq_keras.callbacks import BetaPID

__all__ = ["BetaPID"]
