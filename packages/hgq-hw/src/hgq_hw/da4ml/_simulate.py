"""Compiles the generated code and runs it, in a process of its own.

da4ml reads the tools from the environment, changes the working directory and loads the compiled library; none of this
may leak into, or crash, the process that asks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import ToolError, UnsupportedError
from hgq_hw._tools import JOBS, compiler_environment, simulator_environment
from hgq_hw.da4ml._precision import exact_decimals
from hgq_hw.da4ml._project import require_wires

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.da4ml._design import Design

__all__ = ["simulate"]

_PORT_BITS = 32
# The child imports this package from where the parent did, installed or not. Not by PYTHONPATH: Verilator's own scripts
# would inherit it, and they run in whatever python3 is on the PATH.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from hgq_hw.da4ml._simulate import run_generated; run_generated(*sys.argv[2:])"
)


def simulate(design: Design, ports: NDArray[np.float64], level: str) -> NDArray[np.float64]:
    """Run the generated code on numbers at the ports.

    Args:
        design: what to generate.
        ports: ``(batch, ports)``, see `Design.ports`.
        level: ``"rtl"`` for Verilog in Verilator, ``"csim"`` for the Vitis code in a C++ compiler.

    Returns:
        Numbers at the outputs, ``(batch, outputs)``.

    Raises:
        ToolError: a program is missing, or the compilation failed.
        MissingDependencyError: Verilator is not installed.
        UnsupportedError: ports that da4ml's test bench cannot carry.
    """
    environment = simulator_environment() if level == "rtl" else compiler_environment()
    if level == "rtl":
        require_wires(design)
        _check_ports(design)
    if not len(ports):
        return np.zeros((0, design.comb.shape[1]))
    with tempfile.TemporaryDirectory(prefix="hgq-simulate-") as scratch:
        folder = Path(scratch)
        source = design.pipeline if level == "rtl" and design.pipeline is not None else design.comb
        source.save(folder / "logic.json")
        np.save(folder / "in.npy", ports)
        kind = "pipeline" if source is design.pipeline else "comb"
        paths = json.dumps([path for path in sys.path if path])
        command = [sys.executable, "-c", _CHILD, paths, scratch, level, kind]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0 or not (folder / "out.npy").exists():
            message = f"compiling or running the generated code failed (status {done.returncode}):\n{_reason(done)}"
            raise ToolError(message)
        return np.asarray(np.load(folder / "out.npy"), dtype=np.float64)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What the tools complained of, or the end of what they said."""
    lines = (done.stderr + done.stdout).splitlines()
    complaints = [line for line in lines if "Error" in line or "%Warning" in line or "error:" in line]
    return "\n".join(complaints[:12] or lines[-12:])


def _check_ports(design: Design) -> None:
    """da4ml's test bench aligns all ports at one binary point and passes them as 32 bit integers."""
    for side, kifs in (("input", design.comb.inp_kifs), ("output", design.comb.out_kifs)):
        k, i, f = (int(np.max(part, initial=0)) for part in kifs)
        if k + i + f > _PORT_BITS:
            message = (
                f"the {side} ports span {k + i + f} bits from the highest integer bit to the lowest fraction bit; "
                f"da4ml's test bench carries {_PORT_BITS}. Verify with level='emulator' or 'csim', "
                f"or quantize the {side} to a common range"
            )
            raise UnsupportedError(message)


def run_generated(scratch: str, level: str, kind: str) -> None:
    """What the child does: compile ``logic.json`` of the folder, run it on ``in.npy``, write ``out.npy``."""
    from da4ml.codegen import HLSModel, RTLModel
    from da4ml.types import CombLogic, Pipeline

    folder = Path(scratch)
    load = Pipeline.load if kind == "pipeline" else CombLogic.load
    with exact_decimals():
        logic = load(folder / "logic.json")
        if level == "rtl":
            model = RTLModel(logic, "top", folder / "project", flavor="verilog", print_latency=False)
            model.compile(nproc=JOBS)
        else:
            model = HLSModel(logic, "top", folder / "project", flavor="vitis", print_latency=False)
            model.compile()
        np.save(folder / "out.npy", model.predict(np.load(folder / "in.npy"), n_threads=JOBS))
