"""Firmware projects: da4ml's files, plus a description of the ports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from da4ml.codegen import HLSModel, RTLModel

from hgq_core.errors import ConfigError, UnsupportedError
from hgq_hw._files import new_folder
from hgq_hw._names import CPP, HDL, check_name
from hgq_hw.da4ml._precision import exact_decimals

if TYPE_CHECKING:
    from hgq_hw.da4ml._design import Design

__all__ = ["LANGUAGES", "require_wires", "write_project"]

LANGUAGES = ("verilog", "vhdl", "vitis")


def write_project(design: Design, path: str | Path, *, language: str, name: str, force: bool) -> Path:
    """Write the project of ``design``; see `Design.write`."""
    language = language.lower()
    if language not in LANGUAGES:
        message = f"language: received {language!r}, expected one of {LANGUAGES}"
        raise ConfigError(message)
    check_name("name", name, HDL | CPP)
    if language != "vitis":
        require_wires(design)
    target = Path(path)
    with new_folder(target, force=force) as folder, exact_decimals():
        if language == "vitis":
            HLSModel(design.comb, name, folder, flavor="vitis", print_latency=False).write()
        else:
            source = design.comb if design.pipeline is None else design.pipeline
            RTLModel(source, name, folder, flavor=language, print_latency=False).write()
            if design.pipeline is not None:
                design.comb.save(folder / "model" / "comb.json")
        (folder / "interface.json").write_text(json.dumps(_interface(design, language, name), indent=1) + "\n")
    return target


def require_wires(design: Design) -> None:
    """Raise UnsupportedError if no bit enters or leaves: a module without ports is not Verilog."""
    for side, kifs in (("input", design.comb.inp_kifs), ("output", design.comb.out_kifs)):
        if int(np.sum(kifs)) <= 0:
            message = f"no {side} bit is used: every output is constant, the network has collapsed; lower beta"
            raise UnsupportedError(message)


def _interface(design: Design, language: str, name: str) -> dict[str, Any]:
    """What a test bench needs: ports in order, with the bits that each carries."""
    cut = "the graph's first quantizers, applied outside" if design.host is not None else "the graph's inputs"
    return {
        "top": name,
        "language": language,
        "latency_cycles": design.latency if language != "vitis" else None,
        "initiation_interval": 1,
        "ports_carry": cut,
        "inputs": _ports(design.comb.inp_kifs, [(node.name, node.shape) for node in design.core.inputs]),
        "outputs": _ports(design.comb.out_kifs, [(n, design.core[n].shape) for n in design.core.outputs]),
    }


def _ports(kifs: Any, tensors: list[tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    return {
        "tensors": [{"name": name, "shape": list(shape)} for name, shape in tensors],
        "order": "tensors one after the other, row-major, first element in the lowest bits",
        "sign_integer_fraction_bits": [[int(bits) for bits in kif] for kif in zip(*kifs, strict=True)],
    }
