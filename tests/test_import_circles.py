"""No module imports another one that imports it back, over however many steps, in any package.

Imports inside functions count, so that none of them hides a circle. Those for type hints alone, under
``if TYPE_CHECKING``, never run: circles over them are allowed where types refer to each other, and listed here.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HINTS = (
    # An operation may hold a graph (Scan), a graph holds operations: shapes and values of the one need the other.
    "hgq_core.graph: ir kinds kinds._costs kinds._row kinds._shapes kinds._table kinds._values ops shapes show verbs",
    # `Ops` names the linear operations that it computes, which take an `Ops`.
    "hgq_core: linear ops",
    # A design writes and simulates itself, with functions on a design.
    "hgq_hw.da4ml: _design _project _simulate",
    # An exported table is a function's values in the formats of what was exported.
    "hgq_core.layers: emit tables",
    # What is made for a module, held, fused and saved is that of a module.
    "hgq_torch: _build _files _made _prepare _slots kernels.fuse nn._base",
)
"""Circles over type hints, each with these modules; one that is gone, or a module of it, has to leave this list too."""

SOURCES = sorted((Path(__file__).parents[1] / "packages").glob("*/src"))


def modules(sources: Path) -> dict[str, Path]:
    """Every module of a folder of sources, a package by its own name."""
    found = {}
    for path in sorted(sources.rglob("*.py")):
        parts = path.relative_to(sources).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(node: ast.AST, *, hints: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below a node that run at some time, and those for type hints if wanted."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif (
            not hints
            and isinstance(child, ast.If)
            and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        ):
            for other in child.orelse:
                yield from imports(ast.Module([other], []), hints=False)
        else:
            yield from imports(child, hints=hints)


def imported(name: str, path: Path, known: Mapping[str, Path], *, hints: bool) -> set[str]:
    """The modules of ``known`` that a module imports by name.

    ``from package import module`` imports the module. That a package runs before its modules is no import of its own:
    a module may be read whatever stands in the packages around it.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for statement in imports(ast.parse(path.read_text(encoding="utf-8")), hints=hints):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
            continue
        origin = statement.module or ""
        if statement.level:
            parts = package.split(".")
            origin = ".".join([*parts[: len(parts) - statement.level + 1], *filter(None, [origin])])
        for alias in statement.names:
            inner = f"{origin}.{alias.name}"
            found.add(inner if inner in known else origin)
    return (found & known.keys()) - {name}


def circles(edges: Mapping[str, set[str]]) -> list[frozenset[str]]:
    """Sets of more than one module, each of which leads to every other of its set."""
    reached = {}
    for start in edges:
        seen, waiting = set(), [start]
        while waiting:
            new = edges[waiting.pop()] - seen
            seen |= new
            waiting += new
        reached[start] = seen
    found = {frozenset(b for b in seen if a in reached[b]) for a, seen in reached.items() if a in seen}
    return sorted(found, key=sorted)


def edges_of(sources: Path, *, hints: bool) -> dict[str, set[str]]:
    known = modules(sources)
    return {name: imported(name, path, known, hints=hints) for name, path in known.items()}


def listed() -> list[set[str]]:
    """The circles of `HINTS` as full names of modules."""
    return [{f"{package}.{name}" for name in names.split()} for package, names in (x.split(":") for x in HINTS)]


@pytest.mark.parametrize("sources", SOURCES, ids=lambda path: path.parent.name)
def test_no_module_imports_itself_over_others(sources):
    found = [sorted(circle) for circle in circles(edges_of(sources, hints=False))]
    assert found == [], "break each circle: move what both sides need to a file below, join tables in a file on top"


@pytest.mark.parametrize("sources", SOURCES, ids=lambda path: path.parent.name)
def test_type_hints_make_no_other_circle(sources):
    found = circles(edges_of(sources, hints=True))
    assert [sorted(circle) for circle in found if not any(circle <= known for known in listed())] == []


def test_every_listed_module_is_in_its_circle():
    found = [circle for sources in SOURCES for circle in circles(edges_of(sources, hints=True))]
    gone = {module for known in listed() for module in known.difference(*(c for c in found if c <= known))}
    assert sorted(gone) == [], "take them off the list"


def test_there_are_sources():
    assert len(SOURCES) == 4
    assert all(len(modules(sources)) > 20 for sources in SOURCES)


CODE = {
    "one": "def later():\n    from p.two import x",
    "two": "from . import three",
    "three": "try:\n    import p.one\nexcept ImportError:\n    pass",
    "four": "if TYPE_CHECKING:\n    from p.five import x\nelse:\n    from p.six import x",
    "five": "from p.four import x",
    "six": "from .four import x",
    "seven": "from p import eight, x",
    "eight": "import p",
}


def test_the_check_sees_every_way_to_import(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "__init__.py").write_text("from p.eight import x")
    for name, text in CODE.items():
        (tmp_path / "p" / f"{name}.py").write_text(text)
    edges = edges_of(tmp_path, hints=False)
    assert edges["p.seven"] == {"p", "p.eight"}
    assert edges["p.five"] == {"p.four"}
    assert circles(edges) == [
        frozenset({"p", "p.eight"}),
        frozenset({"p.four", "p.six"}),
        frozenset({"p.one", "p.two", "p.three"}),
    ]
    assert circles(edges_of(tmp_path, hints=True))[1] == {"p.four", "p.five", "p.six"}
