"""The command ``hgq``: check, calibrate, convert, verify and report, on saved graphs and on models of either framework.

Every command exits with 0 if all is well, with 1 on a mismatch or an error, which it says in one sentence, and with 2
if it was called in a way that it does not know. Arguments are checked before a model is loaded.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from hgq_core.errors import ConfigError
from hgq_hw._arguments import (
    check_lowering,
    check_new_file,
    check_project,
    keras_backend,
    read_arrays,
    versions,
)
from hgq_hw._calibrate import calibrate_model, check_calibrated_output
from hgq_hw._check import check
from hgq_hw._console import (
    in_one_sentence,
    print_as_json,
    print_issues,
    print_outcomes,
    print_uncalibrated,
    print_warnings,
    say,
    step,
)
from hgq_hw._files import check_reachable
from hgq_hw._models import check_model_name, load_model
from hgq_hw._report import check_page, report
from hgq_hw._targets import Target
from hgq_hw._vectors import vectors
from hgq_hw._verify import LEVELS, verify

if TYPE_CHECKING:
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
Vectors = Annotated[
    Path | None,
    typer.Option(
        "--vectors",
        help="Test vectors of your own, *.npy or *.npz with one array for each input, compared besides the generated "
        "ones. They calibrate nothing: see hgq calibrate.",
    ),
]
OldVectors = Annotated[Path | None, typer.Option("--data", hidden=True)]


def _print_versions(wanted: bool) -> None:  # the callback of an option
    if wanted:
        for name, number in versions():
            typer.echo(f"{name:<10} {number}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_versions, is_eager=True, help="Show all versions and exit.")
    ] = False,
) -> None:
    """From a quantized model to verified hardware."""
    del version
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # terminals of ASCII


@app.command("check")
def check_command(
    model: Model,
    target: TargetOption = "da4ml",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """List what keeps the model from the target, with remedies."""
    with in_one_sentence():
        Target.parse(target)
        graph = _load(model)
        with step(f"checking for {target}"):
            issues = check(graph, target)
        if as_json:
            print_as_json(issues, target)
        else:
            print_issues(issues, target)
        if any(issue.severity == "error" for issue in issues):
            raise typer.Exit(1)


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="A Keras file *.keras, or package.module:factory.", show_default=False)],
    data: Annotated[
        Path, typer.Argument(help="Calibration data, *.npy or *.npz with one array per input.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Argument(help="Calibrated model: *.keras, or *.pt for a PyTorch state_dict.", show_default=False),
    ],
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per call.")] = 1024,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Fix the ranges of a model so that nothing in the data wraps, and write the calibrated model."""
    with in_one_sentence():
        check_model_name(model)
        check_new_file(output, check_calibrated_output(model, output), force=force)
        arrays = read_arrays("data", data)
        with keras_backend(model), step("calibrating"):
            cost = calibrate_model(model, arrays, output, batch_size)
        Console().print(f"wrote [bold]{escape(str(output))}[/], {cost:,.0f} EBOPs", soft_wrap=True)


@app.command()
def convert(
    model: Model,
    output: Annotated[Path, typer.Argument(help="Folder of the firmware project.", show_default=False)],
    target: TargetOption = "da4ml:verilog",
    latency_cutoff: Cutoff = None,
    name: Annotated[str, typer.Option(help="Name of the top module.")] = "hgq_design",
    test_vectors: Vectors = None,
    data: OldVectors = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder with files of others in it.")] = False,
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
    with in_one_sentence():
        chosen = Target.parse(target)
        check_lowering(chosen, latency_cutoff)
        check_project(output, chosen, name, force=force, keep=(Path(model), test_vectors or data))
        own = _vectors(test_vectors, data)
        graph = _checked(model, target)
        if chosen.engine == "da4ml":
            design = _lower(graph, chosen, latency_cutoff, output, name)
            with step("comparing with the graph"):
                outcomes = [verify(graph, design, vectors(graph, own), level="emulator")]
            with step("writing the project"):
                design.write(output, language=chosen.backend, name=name, force=force)
        else:
            design = _lower(graph, chosen, latency_cutoff, output, name, force=force)
            outcomes = []
            if compare:
                with tempfile.TemporaryDirectory(prefix="hgq-convert-") as scratch:
                    trial = _lower(graph, chosen, latency_cutoff, Path(scratch) / "project", name)
                    with step("compiling and comparing with the graph"):
                        outcomes = [verify(graph, trial, vectors(graph, own), level="csim")]
            with step("writing the project"):
                design.write()
        print_outcomes(graph, design, outcomes)
        Console().print(f"wrote [bold]{escape(str(output))}[/]", soft_wrap=True)


@app.command("verify")
def verify_command(
    model: Model,
    target: TargetOption = "da4ml",
    level: Annotated[str, typer.Option(help="emulator, csim or rtl; the target's strongest if left out.")] = "",
    latency_cutoff: Cutoff = None,
    test_vectors: Vectors = None,
    data: OldVectors = None,
    seed: Annotated[int, typer.Option(help="Of the generated vectors.")] = 0,
) -> None:
    """Compare the lowered model with the graph, bit for bit."""
    with in_one_sentence(), tempfile.TemporaryDirectory(prefix="hgq-verify-") as scratch:
        chosen = Target.parse(target)
        check_lowering(chosen, latency_cutoff)
        wanted = level or ("csim" if chosen.engine == "hls4ml" or chosen.backend == "vitis" else "rtl")
        if wanted not in LEVELS:
            message = f"level: received {level!r}, expected one of {', '.join(LEVELS)}"
            raise ConfigError(message)
        if seed < 0:
            message = f"seed: received {seed}, expected at least 0"
            raise ConfigError(message)
        own = _vectors(test_vectors, data)
        graph = _checked(model, target)
        design = _lower(graph, chosen, latency_cutoff, Path(scratch) / "project", "hgq_design")
        built = {"rtl": "building and simulating the RTL", "csim": "compiling and running the C simulation"}
        with step(built.get(wanted, "comparing with the graph")):
            outcome = verify(graph, design, vectors(graph, own, seed=seed), level=wanted)  # type: ignore[arg-type]  # checked
        print_outcomes(graph, design, [outcome])


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
    with in_one_sentence():
        check_page(output)
        check_reachable(output)
        chosen = Target.parse("da4ml")
        check_lowering(chosen, latency_cutoff)
        graph = _checked(model, "da4ml") if lower else _load(model)
        design, outcome = None, None
        if not lower:
            print_uncalibrated(graph)
        else:
            design = _lower(graph, chosen, latency_cutoff, output, "hgq_design")
            with step("comparing with the graph"):
                outcome = verify(graph, design, level="emulator")
        with step("writing the page"):
            report(graph, output, title=title or Path(model).name, design=design, verification=outcome)
        Console().print(f"wrote [bold]{escape(str(output))}[/]", soft_wrap=True)


def _vectors(test_vectors: Path | None, data: Path | None) -> Any:
    if data is not None:
        say("[yellow]note:[/] --data is called --vectors now: it holds test vectors and calibrates nothing")
    return read_arrays("vectors", test_vectors or data)


def _load(model: str) -> Graph:
    check_model_name(model)
    with keras_backend(model), step(f"loading {model}"):
        return load_model(model)


def _checked(model: str, target: str) -> Graph:
    """The graph, if the target takes it; what it warns of is said before the work begins."""
    graph = _load(model)
    with step(f"checking for {target}"):
        issues = check(graph, target)
    print_warnings(issues)
    if errors := [issue for issue in issues if issue.severity == "error"]:
        print_issues(errors, target)
        raise typer.Exit(1)
    return graph


def _lower(
    graph: Graph, target: Target, latency_cutoff: float | None, output: Path, name: str, *, force: bool = False
) -> Any:
    with step(f"lowering with {target.engine}"):
        if target.engine == "da4ml":
            from hgq_hw import da4ml

            return da4ml.lower(graph, latency_cutoff=latency_cutoff)
        from hgq_hw import hls4ml

        return hls4ml.lower(
            graph, output, backend=target.backend, io_type=target.io_type, project_name=name, force=force
        )


if __name__ == "__main__":
    app()
