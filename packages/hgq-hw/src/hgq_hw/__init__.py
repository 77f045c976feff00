"""From the graph to hardware."""

from importlib.metadata import version

__version__ = version("hgq-hw")
