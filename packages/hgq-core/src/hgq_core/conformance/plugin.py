"""The pytest plugin of the suite: ``-p hgq_core.conformance.plugin --backend NAME [--gaps FILE]``.

A gaps file holds one entry per line, ``test id  # reason``, the id as ``test_layers.py::test_forward[conv1d-same]``; a
final ``*`` stands for every ending. It is strict: a listed case that passes fails, and so does an entry without a case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from hgq_core.conformance.backend import FEATURES, LAYER_KINDS, Backend
from hgq_core.conformance.built import Shelf

GROUP = "hgq.backends"
_HERE = Path(__file__).parent
_KEY = "hgq_not_applicable"


@dataclass(slots=True)
class _State:
    backend: Backend
    gaps: dict[str, str]
    absent: Counter[tuple[str, str]] = field(default_factory=Counter)


_state = pytest.StashKey[_State | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hgq", "HGQ conformance")
    group.addoption("--backend", metavar="NAME", help=f"entry point of the group {GROUP}, or module:class, to judge")
    group.addoption("--gaps", metavar="FILE", help="known gaps, one 'test id  # reason' per line; strict")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "feature(name): the group that a conformance case belongs to")
    config.addinivalue_line("markers", "kinds(*names): the kinds of layers that a conformance case needs")
    name = config.getoption("--backend")
    path = config.getoption("--gaps")
    config.stash[_state] = _State(_load(name), _read_gaps(Path(path)) if path else {}) if name else None


def _load(name: str) -> Backend:
    """The backend of this name; UsageError if there is none, or if it does not say why it lacks a feature."""
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in known:
        factory: Any = known[name].load()
    elif ":" in name:
        module, _, attribute = name.partition(":")
        factory = getattr(import_module(module), attribute)
    else:
        message = f"--backend: received {name!r}, expected one of {sorted(known)} or module:class"
        raise pytest.UsageError(message)
    backend = factory(name)
    if not isinstance(backend, Backend):
        message = (
            f"--backend {name}: received a {type(backend).__name__}, expected a subclass of {Backend.__qualname__}"
        )
        raise pytest.UsageError(message)
    for given, allowed in ((backend.missing, FEATURES), (backend.missing_kinds, LAYER_KINDS)):
        for feature, reason in given.items():
            if feature not in allowed or not reason.strip():
                message = (
                    f"backend {name}: {feature!r} is declared missing because {reason!r}; expected {allowed}, a reason"
                )
                raise pytest.UsageError(message)
    return backend


def _read_gaps(path: Path) -> dict[str, str]:
    """Test id -> reason; UsageError for an entry without a reason or given twice."""
    if not path.is_file():
        message = f"--gaps: there is no file {str(path)!r}"
        raise pytest.UsageError(message)
    gaps: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry, mark, reason = (part.strip() for part in line.partition("  #"))
        if not mark or not reason or entry in gaps:
            message = f"--gaps, line {number}: received {line!r}, expected a new 'test id  # reason'"
            raise pytest.UsageError(message)
        gaps[entry] = reason
    return gaps


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """The implementation under test."""
    state = request.config.stash[_state]
    if state is None:
        names = sorted(entry.name for entry in entry_points(group=GROUP))
        message = f"the conformance suite needs --backend NAME; installed: {names}"
        raise pytest.UsageError(message)
    return state.backend


@pytest.fixture(scope="session")
def built(backend: Backend) -> Shelf:
    """The models of the table of layers, for cases that do not change them."""
    return Shelf(backend)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The tests of the suite itself run once, with the backend numpy."""
    state = config.stash[_state]
    if (
        state is not None
        and state.backend.name != "numpy"
        and _HERE / "meta" in (collection_path, *collection_path.parents)
    ):
        return True
    return None


class _UnmatchedGap(pytest.Item):
    """Fails: an entry of the gaps file that names no case."""

    def runtest(self) -> None:
        message = f"the gaps file lists {self.name!r}, but no case has this id; remove the entry or correct it"
        raise AssertionError(message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"gap {self.name}"


def _identity(item: pytest.Item) -> str:
    return f"{item.path.name}::{item.nodeid.split('::', 1)[-1]}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    """Take out what the backend declares missing and mark known gaps; an entry without a case is not subject to -k."""
    state = config.stash[_state]
    if state is None:
        return (yield)
    kept: list[pytest.Item] = []
    used: set[str] = set()
    for item in items:
        if _HERE not in item.path.parents:
            kept.append(item)
            continue
        group = _group(item)
        item.user_properties.append(("hgq_group", group))
        reason = _absence(item, group, state.backend)
        if reason:
            state.absent[group, reason] += 1
            continue
        for entry in _matching(_identity(item), state.gaps):
            used.add(entry)
            item.add_marker(pytest.mark.xfail(reason=state.gaps[entry], strict=True))
        kept.append(item)
    files = {item.path.name for item in items}
    unmatched = [entry for entry in state.gaps if entry not in used and _expected_here(entry, files)]
    items[:] = kept
    yield
    items.extend(_UnmatchedGap.from_parent(session, name=entry, nodeid=f"gaps::{entry}") for entry in unmatched)


def _expected_here(entry: str, files: set[str]) -> bool:
    """Whether this run would have met the entry's case: its file was collected, or does not exist at all."""
    file = entry.split("::", maxsplit=1)[0]
    return file in files or not (_HERE / file).exists()


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("feature")
    if marker is not None:
        return str(marker.args[0])
    if _HERE / "meta" in item.path.parents:
        return "meta"
    message = f"conformance case {item.nodeid} has no feature marker; expected one of {FEATURES}"
    raise pytest.UsageError(message)


def _absence(item: pytest.Item, group: str, backend: Backend) -> str:
    """Why the backend does not offer what the case needs; empty if it does."""
    if group in backend.missing:
        return backend.missing[group]
    for marker in item.iter_markers("kinds"):
        for kind in marker.args:
            if kind in backend.missing_kinds:
                return f"{kind}: {backend.missing_kinds[kind]}"
    return ""


def _matching(identity: str, gaps: dict[str, str]) -> Iterator[str]:
    for entry in gaps:
        if entry == identity or (entry.endswith("*") and identity.startswith(entry[:-1])):
            yield entry


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    """Every xdist worker collects all cases, so the counts of one of them are those of the run."""
    state = node.config.stash[_state]
    counts = getattr(node, "workeroutput", {}).get(_KEY)
    if state is not None and counts is not None:
        state.absent = Counter({(group, reason): n for group, reason, n in counts})


def pytest_sessionfinish(session: pytest.Session) -> None:
    state = session.config.stash[_state]
    output = getattr(session.config, "workeroutput", None)
    if state is not None and output is not None:
        output[_KEY] = [(group, reason, n) for (group, reason), n in state.absent.items()]


def pytest_report_header(config: pytest.Config) -> list[str]:
    state = config.stash[_state]
    if state is None:
        return []
    settings = ", ".join(f"{name}={value}" for name, value in sorted(state.backend.environment.items()))
    return [f"hgq backend: {state.backend.name}, {state.backend.version}" + (f" ({settings})" if settings else "")]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How many cases each group ran: none is left out without a word."""
    state = config.stash[_state]
    if state is None:
        return
    table: dict[str, Counter[str]] = {group: Counter() for group in FEATURES}
    for outcome in ("passed", "failed", "error", "xfailed", "xpassed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            group = dict(getattr(report, "user_properties", ())).get("hgq_group")
            if group:
                table.setdefault(group, Counter())[outcome] += 1
    for (group, _), number in state.absent.items():
        table[group]["not applicable"] += number
    total: Counter[str] = sum(table.values(), Counter())
    terminalreporter.section(f"conformance of {state.backend.name}, {state.backend.version}")
    for group, counts in [*table.items(), ("total", total)]:
        ran = sum(counts.values()) - counts["not applicable"] - counts["skipped"]
        rest = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
        terminalreporter.write_line(f"{group:<12} {ran:5d} cases ran, {counts['skipped']} skipped: {rest or 'none'}")
    for (group, reason), number in sorted(state.absent.items()):
        terminalreporter.write_line(f"not applicable: {number} of {group}: {reason}")
