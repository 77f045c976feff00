"""From the graph to hardware: check, lower, verify, report.

```python
design = hgq_hw.da4ml.lower(graph, latency_cutoff=5)
hgq_hw.verify(graph, design, level="rtl")
design.write("firmware", language="verilog")
```

Importing this package imports neither da4ml, hls4ml, matplotlib nor a training framework; they are needed, and
imported, when something is lowered or drawn.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hgq_hw._check import Issue, check
from hgq_hw._report import report
from hgq_hw._vectors import vectors
from hgq_hw._verify import Verification, verify
from hgq_hw.passes import canonical

if TYPE_CHECKING:
    from hgq_hw import da4ml, hls4ml
    from hgq_hw._figures import bitwidth_figure, front_figure

__all__ = [
    "Issue",
    "Verification",
    "bitwidth_figure",
    "canonical",
    "check",
    "da4ml",
    "front_figure",
    "hls4ml",
    "report",
    "vectors",
    "verify",
]

__version__ = version("hgq-hw")

_LATER = {"bitwidth_figure": "_figures", "front_figure": "_figures", "da4ml": "", "hls4ml": ""}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    if room := _LATER[name]:
        return getattr(import_module(f"{__name__}.{room}"), name)
    return import_module(f"{__name__}.{name}")
