"""The command ``hgq``: check, convert, verify and report, on saved graphs and on models of either framework.

Every command exits with 0 if all is well, with 1 on a mismatch or an error, which it says in one sentence, and with 2
if it was called in a way that it does not know.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hgq_core.cost import ebops
from hgq_core.errors import ConfigError, FileError, HGQError
from hgq_hw._check import Issue, check
from hgq_hw._files import check_replaceable
from hgq_hw._models import load_model
from hgq_hw._report import report
from hgq_hw._targets import Target
from hgq_hw._vectors import vectors
from hgq_hw._verify import LEVELS, Verification, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hgq_core.graph import Graph

__all__ = ["app"]

app = typer.Typer(
    name="hgq",
    help="From a quantized model to verified hardware.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Model = Annotated[
    str,
    typer.Argument(
        help="A saved graph *.hgq.npz, a Keras file *.keras, or package.module:factory.", show_default=False
    ),
]
TargetOption = Annotated[
    str, typer.Option("--target", "-t", help="da4ml[:verilog|vhdl|vitis] or hls4ml[:backend[:io_type]].")
]
Cutoff = Annotated[
    float | None,
    typer.Option(
        "--latency-cutoff", help="Delay of a pipeline stage in adder delays; combinational if left out (da4ml)."
    ),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Calibration data, *.npy or *.npz; used besides generated vectors.")
]


@app.command("check")
def check_command(model: Model, target: TargetOption = "da4ml") -> None:
    """List what keeps the model from the target, with remedies."""
    with _in_one_sentence():
        issues = check(load_model(model), target)
        _print_issues(issues, target)
        if any(issue.severity == "error" for issue in issues):
            raise typer.Exit(1)


@app.command()
def convert(
    model: Model,
    output: Annotated[Path, typer.Argument(help="Folder of the firmware project.", show_default=False)],
    target: TargetOption = "da4ml:verilog",
    latency_cutoff: Cutoff = None,
    name: Annotated[str, typer.Option(help="Name of the top module.")] = "hgq_design",
    data: Data = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that hgq has not written (da4ml).")] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare/--no-compare", help="Compile and compare before writing (hls4ml; da4ml always compares)."
        ),
    ] = True,
) -> None:
    """Lower the model, compare it with the graph, and write a firmware project; nothing is written unless they
    agree.
    """
    with _in_one_sentence():
        chosen = Target.parse(target)
        graph = _checked(model, target)
        if chosen.engine == "da4ml":
            check_replaceable(output.absolute(), force=force)
            design = _lower(graph, chosen, latency_cutoff, output, name)
            outcome = verify(graph, design, vectors(graph, _read(data)), level="emulator")
            design.write(output, language=chosen.backend, name=name, force=force)
            _print_outcomes(graph, design, [outcome])
        else:
            design = _lower(graph, chosen, latency_cutoff, output, name)  # refuses a folder that it must not replace
            with tempfile.TemporaryDirectory(prefix="hgq-convert-") as scratch:
                trial = _lower(graph, chosen, latency_cutoff, Path(scratch) / "project", name)
                outcomes = [verify(graph, trial, vectors(graph, _read(data)), level="csim")] if compare else []
            design.write()
            _print_outcomes(graph, design, outcomes)
        Console().print(f"wrote [bold]{escape(str(output))}[/]")


@app.command("verify")
def verify_command(
    model: Model,
    target: TargetOption = "da4ml",
    level: Annotated[str, typer.Option(help="emulator, csim or rtl; the target's strongest if left out.")] = "",
    latency_cutoff: Cutoff = None,
    data: Data = None,
    seed: Annotated[int, typer.Option(help="Of the generated vectors.")] = 0,
) -> None:
    """Compare the lowered model with the graph, bit for bit."""
    with _in_one_sentence(), tempfile.TemporaryDirectory(prefix="hgq-verify-") as scratch:
        chosen = Target.parse(target)
        wanted = level or ("csim" if chosen.engine == "hls4ml" or chosen.backend == "vitis" else "rtl")
        if wanted not in LEVELS:
            message = f"level: received {level!r}, expected one of {', '.join(LEVELS)}"
            raise ConfigError(message)
        graph = _checked(model, target)
        design = _lower(graph, chosen, latency_cutoff, Path(scratch) / "project", "hgq_design")
        outcome = verify(graph, design, vectors(graph, _read(data), seed=seed), level=wanted)  # type: ignore[arg-type]  # checked
        _print_outcomes(graph, design, [outcome])


@app.command("report")
def report_command(
    model: Model,
    output: Annotated[Path, typer.Argument(help="HTML file to write.", show_default=False)],
    title: Annotated[str, typer.Option(help="Heading.")] = "",
    latency_cutoff: Cutoff = None,
    *,
    lower: Annotated[
        bool, typer.Option(help="Lower to da4ml for cost and latency, and verify in the emulator.")
    ] = True,
) -> None:
    """Write one self-contained HTML page about the model."""
    with _in_one_sentence():
        if output.suffix.lower() not in (".html", ".htm"):
            message = f"output: received {str(output)!r}, expected a name that ends in '.html'"
            raise ConfigError(message)
        graph = load_model(model)
        design, outcome = None, None
        if lower:
            _refuse(check(graph, "da4ml"), "da4ml")
            design = _lower(graph, Target.parse("da4ml"), latency_cutoff, output, "hgq_design")
            outcome = verify(graph, design, level="emulator")
        report(graph, output, title=title or Path(model).name, design=design, verification=outcome)
        Console().print(f"wrote [bold]{escape(str(output))}[/]")


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Says an expected error in its own words and exits with 1."""
    try:
        yield
    except HGQError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}")
        raise typer.Exit(1) from error


def _checked(model: str, target: str) -> Graph:
    graph = load_model(model)
    _refuse(check(graph, target), target)
    return graph


def _refuse(issues: list[Issue], target: str) -> None:
    if errors := [issue for issue in issues if issue.severity == "error"]:
        _print_issues(errors, target)
        raise typer.Exit(1)


def _lower(graph: Graph, target: Target, latency_cutoff: float | None, output: Path, name: str) -> Any:
    if target.engine == "da4ml":
        from hgq_hw import da4ml

        return da4ml.lower(graph, latency_cutoff=latency_cutoff)
    if latency_cutoff is not None:
        message = "--latency-cutoff is da4ml's; hls4ml pipelines by its own clock period"
        raise ConfigError(message)
    from hgq_hw import hls4ml

    return hls4ml.lower(graph, output, backend=target.backend, io_type=target.io_type, project_name=name)


def _read(data: Path | None) -> Any:
    """Arrays of a NumPy file: one for each input of the graph."""
    if data is None:
        return None
    try:
        content = np.load(io.BytesIO(data.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        message = f"data: {str(data)!r} cannot be read as a NumPy file: {error}"
        raise FileError(message) from error
    return content if isinstance(content, np.ndarray) else tuple(content[name] for name in content.files)


def _print_issues(issues: list[Issue], target: str) -> None:
    console = Console()
    if not issues:
        console.print(f"[green]nothing stands in the way[/] of {escape(target)}")
        return
    table = Table(title=f"target {escape(target)}", title_justify="left")
    for column in ("severity", "layer", "node", "problem", "remedy"):
        table.add_column(column, overflow="fold")
    for issue in issues:
        colour = "red" if issue.severity == "error" else "yellow"
        cells = (issue.label, issue.node, issue.problem, issue.remedy)
        table.add_row(f"[{colour}]{issue.severity}[/]", *map(escape, cells))
    console.print(table)


def _print_outcomes(graph: Graph, design: Any, outcomes: list[Verification]) -> None:
    table = Table(show_header=False)
    table.add_row("EBOPs", f"{ebops(graph):,.0f}")
    if hasattr(design, "cost"):
        table.add_row("da4ml cost", f"{design.cost:,.0f}")
        table.add_row("latency", f"{design.latency} cycles" if design.latency else "combinational")
    for outcome in outcomes:
        compared = f"in {outcome.compared:,} numbers, {outcome.vectors:,} vectors"
        table.add_row(f"mismatches ({outcome.level})", f"[green]{outcome.mismatches}[/] {compared}")
    Console().print(table)


if __name__ == "__main__":
    app()
