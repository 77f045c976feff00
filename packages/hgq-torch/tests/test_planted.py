"""The suite finds a backend that trains, calibrates or saves wrongly, in the group that the error belongs to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hgq_core.conformance

HERE = Path(__file__).parent
SUITE = Path(hgq_core.conformance.__file__).parent
PLANTED = {
    "NoPrice": "training",
    "NoWidths": "training",
    "WrongModel": "training",
    "LastBatch": "calibration",
    "FreeAtZero": "cost_gradients",
    "NoRanges": "saving",
}
"""Classes of `planted.py`, each with the group that finds it."""


@pytest.fixture(scope="module")
def results():
    """Exit status and output for each, all in one fresh process."""
    commands = [
        ["-p", "hgq_core.conformance.plugin", "--backend", f"planted:{name}", "-p", "no:cacheprovider",
         "-c", os.devnull, "--rootdir", str(SUITE), "--tb=line", "-s", "--maxfail=1", str(SUITE / f"test_{group}.py")]
        for name, group in PLANTED.items()
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "hgq_core.conformance.meta.driver"],
        input=json.dumps(commands), capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    return dict(zip(PLANTED, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_backend_fails(results, name):
    status, output = results[name]
    assert status == 1, output
    assert "MismatchError" in output, output
