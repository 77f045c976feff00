"""What the command ``hgq`` says: one sentence for an error, one row for a repeated finding, progress on a terminal."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hgq_core.cost import ebops
from hgq_core.errors import HGQError, HGQWarning
from hgq_hw._warn import CALIBRATE, uncalibrated_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hgq_core.graph import Graph
    from hgq_hw._check import Issue
    from hgq_hw._verify import Verification

__all__ = [
    "in_one_sentence",
    "print_as_json",
    "print_issues",
    "print_outcomes",
    "print_uncalibrated",
    "print_warnings",
    "say",
    "step",
]

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_NAMED = 8
"""Layers named in a row."""


def say(text: str) -> None:
    """One line on stderr, whatever its length."""
    Console(stderr=True, soft_wrap=True).print(text)


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Says an expected error in its own words and exits with 1.

    What lowering warns of has been said by `print_warnings` before.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HGQWarning)
            yield
    except HGQError as error:
        say(f"[bold red]error:[/] {escape(' '.join(str(error).split()))}")
        raise typer.Exit(1) from error


@contextmanager
def step(what: str) -> Iterator[None]:
    """Shows on a terminal what is going on, and for how long."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


def print_warnings(issues: Sequence[Issue]) -> None:
    """Warnings on stderr, each one line, so that they are not lost between results."""
    for issue in issues:
        if issue.severity == "warning":
            say(f"[bold yellow]warning:[/] {escape(issue.problem)}; {escape(issue.remedy)}")


def print_uncalibrated(graph: Graph) -> None:
    """The same of a graph that is not checked for any target."""
    if problem := uncalibrated_problem(graph):
        say(f"[bold yellow]warning:[/] {escape(problem)}; {escape(CALIBRATE)}")


def print_as_json(issues: Sequence[Issue], target: str) -> None:
    """All findings for a program to read."""
    typer.echo(json.dumps({"target": target, "issues": [asdict(issue) for issue in issues]}, indent=1))


def print_issues(issues: Sequence[Issue], target: str) -> None:
    """One row for each kind of finding, with the number of times and the layers."""
    console = Console()
    if not issues:
        console.print(f"[green]nothing stands in the way[/] of {escape(target)}")
        return
    groups: dict[tuple[str, ...], list[Issue]] = {}
    for issue in issues:
        groups.setdefault((issue.severity, issue.topic or issue.problem, issue.remedy), []).append(issue)
    table = Table(title=f"target {escape(target)}", title_justify="left", show_lines=len(groups) > 1)
    table.add_column("severity", no_wrap=True)
    table.add_column("times", justify="right", no_wrap=True)
    table.add_column("finding, and what to do", overflow="fold", ratio=3)
    table.add_column("layers", overflow="fold", ratio=1)
    for group in groups.values():
        first = group[0]
        others = len({issue.problem for issue in group}) > 1
        problem = escape(first.problem) + (" [dim](the first of several alike)[/]" if others else "")
        table.add_row(
            f"[{_COLOURS[first.severity]}]{first.severity}[/]",
            str(len(group)),
            f"{problem}\n[dim]→[/] {escape(first.remedy)}",
            escape(_places(group)),
        )
    console.print(table)


def _places(group: Sequence[Issue]) -> str:
    names = list(dict.fromkeys(issue.label or issue.node for issue in group))
    shown = ", ".join(name for name in names[:_NAMED] if name)
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def print_outcomes(graph: Graph, design: Any, outcomes: Sequence[Verification]) -> None:
    """Cost, latency, and what was compared."""
    table = Table(show_header=False)
    table.add_row("EBOPs", f"{ebops(graph):,.0f}")
    if hasattr(design, "cost"):
        table.add_row("da4ml cost", f"{design.cost:,.0f}")
        table.add_row("latency", f"{design.latency} cycles" if design.latency else "combinational")
    for outcome in outcomes:
        compared = f"in {outcome.compared:,} numbers, {outcome.vectors:,} vectors"
        table.add_row(f"mismatches ({outcome.level})", f"[green]{outcome.mismatches}[/] {compared}")
    Console().print(table)
