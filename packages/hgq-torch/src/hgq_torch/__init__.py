"""Trainable bit-widths for PyTorch modules."""

from importlib.metadata import version

__version__ = version("hgq-torch")
