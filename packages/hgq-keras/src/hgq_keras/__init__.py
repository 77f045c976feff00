"""Trainable bit-widths for Keras layers."""

from importlib.metadata import version

__version__ = version("hgq-keras")
