"""Distributed-arithmetic logic through da4ml: Verilog, VHDL and Vitis projects of a graph.

```python
design = hgq_hw.da4ml.lower(graph, latency_cutoff=5)
design.predict(x)
design.write("firmware", language="verilog")
```
"""

from __future__ import annotations

from hgq_core.errors import MissingDependencyError
from hgq_hw._tools import missing_da4ml

if message := missing_da4ml():
    raise MissingDependencyError(message)

from hgq_hw.da4ml import _symbols  # noqa: F401  # registers quantize and lookup for da4ml's arrays
from hgq_hw.da4ml._design import Design
from hgq_hw.da4ml._lower import lower

__all__ = ["Design", "lower"]
