"""The one door to every check, the demo and the benchmarks; `python3 -m nox --list` shows what there is."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import nox
from nox.command import CommandFailed

if TYPE_CHECKING:
    from typing import Self

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]

ROOT = Path(__file__).parent
STATE = ROOT / ".nox"
DIST = ROOT / "dist"
CONSTRAINTS = ROOT / "constraints.txt"
PYTHON_TAG = f"py{sys.version_info.major}{sys.version_info.minor}"

PACKAGES = ("hgq-core", "hgq-keras", "hgq-torch", "hgq-hw")
KERAS_BACKENDS = ("tensorflow", "jax", "torch")
# Name of a conformance backend -> the Keras backend that it runs on, if any.
CONFORMANCE = {"numpy": None, **{f"keras-{name}": name for name in KERAS_BACKENDS}, "torch": None}

# TensorFlow publishes its CPU build under a name of its own, for these machines only.
TENSORFLOW = "tensorflow-cpu" if sys.platform == "linux" and os.uname().machine == "x86_64" else "tensorflow==2.21.0"
CORE = ["-e", "packages/hgq-core[test]"]
HARDWARE = ["-e", "packages/hgq-keras[jax]", "-e", "packages/hgq-hw[da4ml,hls4ml,rtl]", "scikit-learn"]
SHARED = [*CORE, *HARDWARE, "-e", "packages/hgq-torch", TENSORFLOW, "torch==2.13.0"]
SHARED += ["pytest-xdist", "ruff", "mypy", "build"]
DOCS = ["mkdocs-material", "mkdocstrings[python]", "ruff"]  # ruff breaks the lines of signatures
PEER = ["hgq2==0.2.0", "keras==3.15.1", "jax==0.10.2", "torch", "tensorflow-cpu"]

JOBS = str(min(2, os.cpu_count() or 1))
ENV = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_PLATFORMS": "cpu",
    "MPLBACKEND": "Agg",
    "KERAS_HOME": str(STATE / "keras"),  # never the user's own keras.json
    "HGQ_REQUIRE_TOOLS": "1",  # a missing compiler or simulator fails a test instead of skipping it
}


# --- environments -----------------------------------------------------------------------------------------------------


def environment(session: nox.Session, name: str, requirements: list[str], *, empty: bool = False) -> str:
    """The Python of an environment that sessions share; installed again only when what it should hold changes."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        session.error(f"received Python {sys.version.split()[0]}, expected 3.11 to 3.13: start nox with one of those")
    home = STATE / f"{name}-{PYTHON_TAG}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "installed"
    sources = [CONSTRAINTS, *(ROOT / "packages" / package / "pyproject.toml" for package in PACKAGES)]
    state = repr((sys.version, requirements, [source.read_text() for source in sources]))
    digest = hashlib.sha256(state.encode()).hexdigest()
    if not empty and stamp.exists() and python.exists() and stamp.read_text() == digest:
        return str(python)
    if empty or not python.exists():
        shutil.rmtree(home, ignore_errors=True)
        session.run(sys.executable, "-m", "virtualenv", "--quiet", str(home), external=True)
    stamp.unlink(missing_ok=True)
    pip_install(session, str(python), *requirements)
    stamp.write_text(digest)
    return str(python)


def pip_install(session: nox.Session, python: str, *requirements: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(CONSTRAINTS)]
    session.run(*command, *requirements, external=True)


def shared(session: nox.Session) -> str:
    return environment(session, "shared", SHARED)


def require_tools(session: nox.Session) -> None:
    """What simulated RTL and hls4ml need besides Python: installed on a Debian machine, demanded elsewhere."""
    missing = [tool for tool in ("g++", "make", "perl") if shutil.which(tool) is None]
    if missing and shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        session.run("apt-get", "update", "-qq", external=True)
        session.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, external=True)
        missing = [tool for tool in missing if shutil.which(tool) is None]
    if missing:
        names = " ".join(missing)
        session.error(f"missing {names}: install them (Debian, Ubuntu: `sudo apt-get install {names}`) and run again")


# --- steps and their summary ------------------------------------------------------------------------------------------


class Steps:
    """Commands that all run, even after a failure, and close with a table of what happened: `with Steps(session)`."""

    def __init__(self, session: nox.Session) -> None:
        self.session = session
        self.rows: list[tuple[str, bool, float, str]] = []
        self.start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def run(self, title: str, *command: str, env: dict[str, str] | None = None) -> bool:
        self.session.log(f"--- {title}")
        start = time.monotonic()
        passed, note = True, ""
        try:
            self.session.run(*command, env={**ENV, **(env or {})}, external=True)
        except CommandFailed as failure:
            passed, note = False, str(failure.reason or "failed")
        self.rows.append((title, passed, time.monotonic() - start, note))
        return passed

    def pytest(self, title: str, python: str, *args: str, keras: str | None = None, skips: bool = True) -> None:
        """Runs pytest and adds its counts to the summary; with `skips=False` a skipped case is a failure."""
        report = STATE / "reports" / (title.replace(" ", "-").replace(":", "") + ".xml")
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        options = ["-c", "pyproject.toml", "--rootdir", ".", "-q", f"--junitxml={report}"]
        passed = self.run(title, python, "-m", "pytest", *options, *args, env={"KERAS_BACKEND": keras or "jax"})
        title, _, seconds, note = self.rows.pop()
        if report.exists():
            counts = outcomes(report)
            note = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number) or note
            passed = passed and (skips or not counts["skipped"])
        self.rows.append((title, passed, seconds, note))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Prints the table, with the installations in its total; a failed step fails the session."""
        width = max((len(title) for title, *_ in self.rows), default=0)
        lines = [
            f"{'ok  ' if passed else 'FAIL'}  {title:<{width}}  {seconds:7.1f} s  {note}"
            for title, passed, seconds, note in self.rows
        ]
        failed = [title for title, passed, *_ in self.rows if not passed]
        verdict = f"{len(failed)} of {len(lines)} steps failed" if failed else f"all {len(lines)} steps passed"
        if kind:
            verdict = f"stopped by an error after {len(lines)} steps, {len(failed)} of them failed"
        minutes = (time.monotonic() - self.start) / 60
        print("\n" + "\n".join([*lines, f"{verdict}, {minutes:.1f} minutes"]), flush=True)
        if failed and not kind:
            self.session.error("failed: " + "; ".join(failed))


def outcomes(report: Path) -> dict[str, int]:
    """Counts of a JUnit report; an expected failure is counted apart from a skip."""
    counts = {"passed": 0, "failed": 0, "skipped": 0, "xfailed": 0}
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 (our own file)
        skipped = case.find("skipped")
        if skipped is not None:
            counts["xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"] += 1
        else:
            counts["passed" if case.find("failure") is None and case.find("error") is None else "failed"] += 1
    return counts


# --- what the sessions are made of ------------------------------------------------------------------------------------


def lint_steps(steps: Steps, python: str) -> None:
    steps.run("lint: ruff check", python, "-m", "ruff", "check", ".")
    steps.run("lint: ruff format", python, "-m", "ruff", "format", "--check", ".")


def types_steps(steps: Steps, python: str) -> None:
    steps.run("types: mypy", python, "-m", "mypy")


def unit_steps(steps: Steps, python: str, *args: str) -> None:
    parallel = ["-n", JOBS, *args]
    steps.pytest("unit: hgq-core", python, "packages/hgq-core/tests", *parallel)
    for backend in KERAS_BACKENDS:
        steps.pytest(f"unit: hgq-keras on {backend}", python, "packages/hgq-keras/tests", *parallel, keras=backend)
    steps.pytest("unit: hgq-torch", python, "packages/hgq-torch/tests", *parallel)


def doctest_steps(steps: Steps, python: str) -> None:
    options = ["--doctest-modules", "--ignore=packages/hgq-core/src/hgq_core/conformance"]
    for package in PACKAGES:
        steps.pytest(f"examples: {package}", python, *options, f"packages/{package}/src")


def conformance_steps(steps: Steps, python: str, *args: str, backends: tuple[str, ...] = tuple(CONFORMANCE)) -> None:
    for name in backends:
        command = ["-p", "hgq_core.conformance.plugin", "--pyargs", "hgq_core.conformance", "--backend", name]
        steps.pytest(f"conformance: {name}", python, *command, "-n", JOBS, *args, keras=CONFORMANCE[name], skips=False)


def hardware_steps(steps: Steps, python: str, *args: str) -> None:
    parallel = ["-n", JOBS, *args]
    steps.pytest("hardware: hgq-hw", python, "packages/hgq-hw/tests", *parallel, skips=False)
    steps.pytest("hardware: whole chain", python, "tests", "--ignore=tests/test_twins.py", *parallel, skips=False)


def twins_steps(steps: Steps, python: str) -> None:
    """The layers of both front ends side by side, in one framework."""
    command = ["tests/test_twins.py", "-n", JOBS]
    steps.pytest("twins: hgq-keras and hgq-torch", python, *command, keras="torch", skips=False)


def docs_steps(steps: Steps, session: nox.Session) -> None:
    python = environment(session, "docs", DOCS)
    command = [python, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", "site"]
    steps.run("docs: mkdocs", *command, env={"NO_MKDOCS_2_WARNING": "1"})


def pages_steps(steps: Steps, python: str, *args: str) -> None:
    """What the README and the documentation show, as scripts; nothing of the sources is on the path."""
    steps.run("docs: every page runs", python, ".ci/pages.py", *args, env={"KERAS_BACKEND": "jax"})


def wheels_steps(steps: Steps, session: nox.Session, python: str) -> None:
    """Builds every archive, installs each alone into an empty environment, then all of them into one, and runs the
    pages of the documentation there.
    """
    shutil.rmtree(DIST, ignore_errors=True)
    built = [
        steps.run(f"wheels: build {package}", python, "-m", "build", "--outdir", str(DIST), f"packages/{package}")
        for package in PACKAGES
    ]
    if not all(built) or not steps.run("wheels: contents", python, ".ci/archives.py", str(DIST)):
        return
    smoke = ["-I", ".ci/smoke.py"]
    together = []
    for package in PACKAGES:
        stem = package.replace("-", "_")
        wheel = str(next(DIST.glob(f"{stem}-*.whl"))) + ("[jax]" if package == "hgq-keras" else "")
        together.append(wheel)
        siblings = together[:1] if package != "hgq-core" else []
        alone = environment(session, f"alone-{package}", [*siblings, wheel], empty=True)
        steps.run(f"wheels: {package} alone", alone, *smoke, package)
        pip_install(session, alone, "--force-reinstall", "--no-deps", str(next(DIST.glob(f"{stem}-*.tar.gz"))))
        steps.run(f"wheels: {package} from its sdist", alone, *smoke, package)
    together[-1] += "[da4ml,hls4ml,rtl]"
    every = environment(session, "together", [*together, "scikit-learn"], empty=True)
    for package in PACKAGES:
        steps.run(f"wheels: {package} beside the others", every, *smoke, package)
    pages_steps(steps, every)


# --- sessions ---------------------------------------------------------------------------------------------------------


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Everything that must pass, with a summary."""
    with Steps(session) as steps:
        require_tools(session)
        python = shared(session)
        lint_steps(steps, python)
        types_steps(steps, python)
        unit_steps(steps, python)
        doctest_steps(steps, python)
        conformance_steps(steps, python)
        twins_steps(steps, python)
        hardware_steps(steps, python, "-m", "not slow")
        docs_steps(steps, session)
        wheels_steps(steps, session, python)


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """A network trained on handwritten digits, from its first step to simulated Verilog."""
    require_tools(session)
    # The shared environment where there is one already; otherwise a smaller one, without TensorFlow and PyTorch.
    ready = (STATE / f"shared-{PYTHON_TAG}" / "installed").exists()
    python = shared(session) if ready else environment(session, "demo", [*CORE, *HARDWARE])
    output = session.posargs or ["--output", "demo-output"]
    session.run(python, "demo/digits.py", *output, env={**ENV, "KERAS_BACKEND": "jax"}, external=True)


@nox.session(venv_backend="none")
def unit(session: nox.Session) -> None:
    """The unit tests of each package, those of hgq-keras once per Keras backend."""
    python = shared(session)
    with Steps(session) as steps:
        unit_steps(steps, python, *session.posargs)
        doctest_steps(steps, python)


@nox.session(venv_backend="none")
def conformance(session: nox.Session) -> None:
    """The shared suite, for every backend or for those named after `--`."""
    chosen = tuple(name for name in session.posargs if name in CONFORMANCE)
    rest = [arg for arg in session.posargs if arg not in CONFORMANCE]
    with Steps(session) as steps:
        conformance_steps(steps, shared(session), *rest, backends=chosen or tuple(CONFORMANCE))


@nox.session(venv_backend="none")
def hardware(session: nox.Session) -> None:
    """Every hardware case, the slow ones included."""
    require_tools(session)
    with Steps(session) as steps:
        hardware_steps(steps, shared(session), *session.posargs)


@nox.session(venv_backend="none")
def wheels(session: nox.Session) -> None:
    """Builds every wheel and sdist, tries each alone in an empty environment, and runs the pages with all of them."""
    require_tools(session)
    with Steps(session) as steps:
        wheels_steps(steps, session, environment(session, "build", ["build"]))


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Ruff: rules and format. `-- --fix` mends what it can."""
    python = environment(session, "lint", ["ruff"])
    if "--fix" in session.posargs:
        session.run(python, "-m", "ruff", "check", "--fix", ".", external=True)
        session.run(python, "-m", "ruff", "format", ".", external=True)
        return
    with Steps(session) as steps:
        lint_steps(steps, python)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Mypy: strict on hgq_core and hgq_hw."""
    with Steps(session) as steps:
        types_steps(steps, shared(session))


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """The documentation, strict, and its examples: every page, or those named after `--`, and the docstrings."""
    if "serve" in session.posargs:
        session.run(environment(session, "docs", DOCS), "-m", "mkdocs", "serve", external=True)
        return
    require_tools(session)
    with Steps(session) as steps:
        docs_steps(steps, session)
        pages_steps(steps, shared(session), *session.posargs)
        if not session.posargs:
            doctest_steps(steps, shared(session))


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Ours, plain and the peer (in an environment of its own) side by side; `-- fronts` trains the whole fronts."""
    python = shared(session)
    peer = ["--peer-python", environment(session, "peer", PEER)]
    if session.posargs[:1] == ["fronts"]:
        session.run(python, "benchmarks/fronts.py", *peer, *session.posargs[1:], env=ENV, external=True)
        return
    session.run(python, "benchmarks/run.py", *peer, *session.posargs, env=ENV, external=True)
    short = ["--task", "digits", "--seeds", "1", "--short", "0.25"]
    session.run(python, "benchmarks/fronts.py", *peer, *short, env=ENV, external=True)
