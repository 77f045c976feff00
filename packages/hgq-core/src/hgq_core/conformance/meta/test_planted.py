"""The suite fails for a wrong backend, in the group that the error belongs to, and says what it counted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hgq_core.conformance
from hgq_core.conformance.meta.planted import PLANTED

SUITE = Path(hgq_core.conformance.__file__).parent
PLACE = "hgq_core.conformance.meta.planted"
MINIFLOAT = str(SUITE / "test_minifloat.py")
WRONG = f"{PLACE}:WrongSubnormals"

Result = tuple[int, str]

# Gaps of a backend without subnormal numbers: entries, whether the run passes, what its output says.
VALUES = "test_minifloat.py::test_values*"
GRADIENTS = "test_minifloat.py::test_gradients"
GAPS: dict[str, tuple[list[str], bool, str]] = {
    "complete": ([f"{VALUES}  # no subnormals yet", f"{GRADIENTS}  # no subnormals yet"], True, "4 xfailed"),
    "too-few": ([f"{VALUES}  # no subnormals yet"], False, "1 failed, 3 xfailed"),
    "passing": (["test_minifloat.py::test_mantissa_of_minus_one_is_zero  # it passes"], False, r"XPASS\(strict\)"),
    "no-such-case": (["test_minifloat.py::test_no_such_case  # gone"], False, "no case has this id"),
    "no-such-file": (["test_no_such_file.py::test_x  # gone"], False, "no case has this id"),
    "no-reason": ([VALUES], False, "expected a new 'test id  # reason'"),
    "twice": ([f"{VALUES}  # a", f"{VALUES}  # b"], False, "expected a new 'test id  # reason'"),
}
CHOSEN = ["-k", "test_values or test_gradients or test_mantissa_of_minus_one_is_zero"]

USAGE = {
    "no-such-backend": "expected one of .*'numpy'.* or module:class",
    "hgq_core.conformance.backend:Layer": "expected a subclass of Backend",
}

PLAIN: dict[str, list[str]] = {
    "right": [MINIFLOAT, str(SUITE / "test_training.py")],
    "by-package": ["--pyargs", "hgq_core.conformance", "-k", "test_minifloat and mantissa_of_minus_one"],
}


def command(*arguments: str, backend: str = "numpy") -> list[str]:
    plugin = ["-p", "hgq_core.conformance.plugin", "--backend", backend, "-p", "no:cacheprovider", "-c", os.devnull]
    return [*plugin, "--rootdir", str(SUITE), "--tb=line", "-s", *arguments]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Exit status and output of every run below, all in one fresh process without the settings of this one."""
    folder = tmp_path_factory.mktemp("gaps")
    commands = {
        wrong.__name__: command(str(SUITE / f"test_{group}.py"), "--maxfail=1", backend=f"{PLACE}:{wrong.__name__}")
        for wrong, group in PLANTED.items()
    }
    commands |= {name: command(*arguments) for name, arguments in PLAIN.items()}
    commands |= {backend: command(MINIFLOAT, backend=backend) for backend in USAGE}
    for name, (entries, _, _) in GAPS.items():
        file = folder / f"{name}.txt"
        file.write_text("# known gaps\n\n" + "\n".join(entries), encoding="utf-8")
        commands[name] = command(MINIFLOAT, *CHOSEN, "--gaps", str(file), backend=WRONG)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    # Half of a short run would be the import of other plugins.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "hgq_core.conformance.meta.driver"],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return dict(zip(commands, ((int(code), str(text)) for code, text in json.loads(done.stdout)), strict=True))


def counts(output: str, group: str) -> dict[str, int]:
    """The row of a group in the closing summary."""
    row = re.search(rf"^{group} +\d+ cases ran.*$", output, re.MULTILINE)
    assert row is not None, output
    return {name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]+)", row.group())}


@pytest.mark.parametrize(("name", "group"), [(wrong.__name__, group) for wrong, group in PLANTED.items()])
def test_a_wrong_backend_fails(results: dict[str, Result], name: str, group: str) -> None:
    status, output = results[name]
    assert status == pytest.ExitCode.TESTS_FAILED, output
    assert counts(output, group)["failed"] == 1, output
    assert "MismatchError" in output, output


def test_the_right_backend_passes_and_the_counts_add_up(results: dict[str, Result]) -> None:
    status, output = results["right"]
    assert status == pytest.ExitCode.OK, output
    assert "hgq backend: numpy, hgq-core " in output
    ran = counts(output, "minifloat")
    assert ran["cases ran"] == ran["passed"] > 10
    assert ran["skipped"] == 0
    assert counts(output, "training")["not applicable"] > 5
    assert re.search(r"^not applicable: \d+ of training: no automatic differentiation$", output, re.MULTILINE)
    assert counts(output, "total")["passed"] == ran["passed"]


def test_the_suite_is_found_by_its_package_name(results: dict[str, Result]) -> None:
    status, output = results["by-package"]
    assert status == pytest.ExitCode.OK, output
    assert counts(output, "total")["cases ran"] == 1


@pytest.mark.parametrize("name", GAPS)
def test_known_gaps_are_strict(results: dict[str, Result], name: str) -> None:
    _, passes, says = GAPS[name]
    status, output = results[name]
    assert (status == pytest.ExitCode.OK) is passes, output
    assert re.search(says, output), output


@pytest.mark.parametrize("backend", USAGE)
def test_an_unknown_backend_is_a_usage_error(results: dict[str, Result], backend: str) -> None:
    status, output = results[backend]
    assert status == pytest.ExitCode.USAGE_ERROR, output
    assert re.search(USAGE[backend], output), output
