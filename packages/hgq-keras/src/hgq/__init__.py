"""The names that users know; everything lives in hgq_keras."""

from importlib.metadata import version

__version__ = version("hgq-keras")
