"""A hook of mkdocs: every public name has its place on a page of the API, and every public class tells its arguments.

Read from the sources, without importing them: the environment of the documentation holds no framework.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import griffe
from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).parents[1]
MODULES = (
    "hgq_core",
    "hgq_core.graph",
    "hgq_keras",
    "hgq_keras.callbacks",
    "hgq_keras.layers",
    "hgq_torch",
    "hgq_torch.nn",
    "hgq_hw",
    "hgq_hw.da4ml",
    "hgq_hw.hls4ml",
    "hgq_hw.passes",
)


def on_post_build(config: MkDocsConfig) -> None:
    """Fails the build with a list of what is missing."""
    folders = sorted(ROOT.glob("packages/*/src"))
    loader = griffe.GriffeLoader(
        search_paths=folders,
        docstring_parser="google",
        docstring_options={"warnings": False},
    )
    for package in sorted({name.partition(".")[0] for name in MODULES}):
        loader.load(package)
    loader.resolve_aliases(implicit=True, external=False)
    modules = loader.modules_collection
    shown = {found(modules, name).path for name in anchors(Path(config.site_dir, "objects.inv")) if "." in name}
    problems = [problem for name in MODULES for problem in complaints(modules, name, shown)]
    if problems:
        raise PluginError("\n".join(["the pages of the API are not complete:", *problems]))


def anchors(inventory: Path) -> list[str]:
    """Names of the Python objects that the built pages show."""
    _, _, packed = inventory.read_bytes().partition(b"zlib.\n")
    rows = [line.split() for line in zlib.decompress(packed).decode().splitlines()]
    return [name for name, kind, *_ in rows if kind.startswith("py:")]


def found(modules: griffe.ModulesCollection, name: str) -> griffe.Object:
    """What a name means; where a module hides its function, as in `hgq_core.graph.run`, the function."""
    entry = modules[name]
    entry = entry.final_target if entry.is_alias else entry
    own = entry.members.get(entry.name) if entry.is_module else None
    return entry if own is None else own


def complaints(modules: griffe.ModulesCollection, module: str, shown: set[str]) -> Iterator[str]:
    for export in modules[module].exports or ():
        name = f"{module}.{export}"
        entry = found(modules, name)
        if export == "__version__" or entry.is_module:
            continue
        if entry.path not in shown:
            yield f"{name} is on no page"
        if not entry.has_docstring:
            yield f"{name} has no docstring"
        if entry.is_class and (missing := undocumented(entry)):
            yield f"{name} does not document {', '.join(missing)}"


def undocumented(entry: griffe.Object) -> list[str]:
    """Arguments of a class that its docstring does not name, as arguments or as attributes."""
    if "__init__" not in entry.all_members:
        return []
    told: set[str] = set()
    for section in entry.docstring.parsed if entry.docstring else ():
        if section.kind in (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes):
            told |= {argument.name.lstrip("*") for argument in section.value}
    return [p.name for p in entry.all_members["__init__"].parameters if p.name not in told | {"self"}]
