"""The suite fails for a wrong backend, in the group that the error belongs to, and says what it counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hgq_core.conformance
from hgq_core.conformance.meta.planted import PLANTED
from hgq_core.conformance.numpy_backend import NumpyBackend

SUITE = Path(hgq_core.conformance.__file__).parent
PLACE = "hgq_core.conformance.meta.planted"


def suite(*arguments: str, backend: str = "numpy") -> tuple[int, str]:
    """Exit status and output of the suite in a fresh process, without the settings of this one."""
    plugin = ["-p", "hgq_core.conformance.plugin", "--backend", backend, "-p", "no:cacheprovider", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *plugin, "--rootdir", str(SUITE), "--tb=line", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # half of a short run would be the import of other plugins
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 (our own)
    return done.returncode, done.stdout + done.stderr


def counts(output: str, group: str) -> dict[str, int]:
    """The row of a group in the closing summary."""
    row = re.search(rf"^{group} +\d+ cases ran.*$", output, re.MULTILINE)
    assert row is not None, output
    return {name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]+)", row.group())}


@pytest.mark.parametrize(("planted", "group"), PLANTED.items(), ids=lambda part: getattr(part, "__name__", part))
def test_a_wrong_backend_fails(planted: type[NumpyBackend], group: str) -> None:
    status, output = suite(str(SUITE / f"test_{group}.py"), "--maxfail=1", backend=f"{PLACE}:{planted.__name__}")
    assert status == pytest.ExitCode.TESTS_FAILED, output
    assert counts(output, group)["failed"] == 1, output


def test_the_right_backend_passes_and_the_counts_add_up() -> None:
    status, output = suite(str(SUITE / "test_minifloat.py"), str(SUITE / "test_training.py"))
    assert status == pytest.ExitCode.OK, output
    assert "hgq backend: numpy, hgq-core " in output
    ran = counts(output, "minifloat")
    assert ran["cases ran"] == ran["passed"] > 10
    assert ran["skipped"] == 0
    assert counts(output, "training")["not applicable"] > 5
    assert re.search(r"^not applicable: \d+ of training: no automatic differentiation$", output, re.MULTILINE)
    assert counts(output, "total")["passed"] == ran["passed"]


def test_the_suite_is_found_by_its_package_name() -> None:
    selected = "test_minifloat and mantissa_of_minus_one"
    status, output = suite("--pyargs", "hgq_core.conformance", "-k", selected)
    assert status == pytest.ExitCode.OK, output
    assert counts(output, "total")["cases ran"] == 1


WRONG = f"{PLACE}:WrongSubnormals"
FAILING = "test_minifloat.py::test_values*"
ALSO_FAILING = "test_minifloat.py::test_gradients"
READING = "test_minifloat.py::test_stored_widths_are_read_half_to_even"


@pytest.mark.parametrize(
    ("entries", "passes", "says"),
    [
        ([f"{FAILING}  # no subnormals yet", f"{ALSO_FAILING}  # no subnormals yet"], True, "xfailed"),
        ([f"{FAILING}  # no subnormals yet"], False, "failed"),
        (["test_minifloat.py::test_mantissa_of_minus_one_is_zero  # it passes"], False, r"XPASS\(strict\)"),
        (["test_minifloat.py::test_no_such_case  # gone"], False, "names? no case|no case has this id"),
        (["test_no_such_file.py::test_x  # gone"], False, "no case has this id"),
        ([f"{FAILING}"], False, "expected a new 'test id  # reason'"),
        ([f"{FAILING}  # a", f"{FAILING}  # b"], False, "expected a new 'test id  # reason'"),
    ],
)
def test_known_gaps_are_strict(entries: list[str], passes: bool, says: str, tmp_path: Path) -> None:
    gaps = tmp_path / "gaps.txt"
    gaps.write_text("# known gaps\n\n" + "\n".join(entries), encoding="utf-8")
    chosen = [] if not passes else ["-k", "test_values or test_gradients"]
    status, output = suite(str(SUITE / "test_minifloat.py"), "--gaps", str(gaps), *chosen, backend=WRONG)
    assert (status == pytest.ExitCode.OK) is passes, output
    assert re.search(says, output), output


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("no-such-backend", "expected one of .*'numpy'.* or module:class"),
        ("hgq_core.conformance.backend:Layer", "expected a subclass of Backend"),
    ],
)
def test_an_unknown_backend_is_a_usage_error(backend: str, says: str) -> None:
    status, output = suite(str(SUITE / "test_minifloat.py"), backend=backend)
    assert status == pytest.ExitCode.USAGE_ERROR, output
    assert re.search(says, output), output
