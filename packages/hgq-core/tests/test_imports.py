"""Importing the package brings along only what it stands on."""

import subprocess
import sys

ABSENT = {"keras", "tensorflow", "jax", "torch", "da4ml", "hls4ml", "hgq", "hgq_keras", "hgq_torch", "hgq_hw"}


def test_import_brings_no_other_framework_and_no_sibling():
    code = f"import sys, hgq_core; print(*sorted({ABSENT!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert found == [], f"importing hgq_core also imported {', '.join(found)}"
