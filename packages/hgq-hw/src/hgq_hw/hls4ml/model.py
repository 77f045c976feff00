"""`lower`: a Graph as an hls4ml project, and `HLSModel`: that project, written, compiled and run.

hls4ml's BitExact pass, which infers the types of a network from its quantizers, is switched off: every type is set
from our own proof instead. The pass narrows a tensor to what the next quantizer asks for, and in hls4ml 1.3.0 that is
not exact. Mismatches counted with it: RND_INF before a wrap 54 of 2,500 (the rounding needs the sign of what wraps), a
WRAP quantizer behind a transpose 572 of 7,500, two quantizers in a row 1,025 of 2,500, a table whose input turns out
narrower than the table 2,144 of 3,000. With proved types all four have none.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import (
    MissingDependencyError,
    ShapeError,
    ToolError,
    UnsupportedError,
    VerificationError,
)
from hgq_core.graph import Graph, prove, run
from hgq_hw._files import check_replaceable, mark, new_folder
from hgq_hw._models import require_graph
from hgq_hw._show import as_html, as_text, port_rows
from hgq_hw._warn import warn_before_lowering
from hgq_hw.hls4ml.boundary import split
from hgq_hw.hls4ml.legal import legalize
from hgq_hw.hls4ml.options import PER_TENSOR, backend_name, check_options
from hgq_hw.hls4ml.project import quiet, write_as_if_in_place
from hgq_hw.hls4ml.records import Options, Records, records
from hgq_hw.hls4ml.types import covering

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike, NDArray

    from hgq_hw._show import Rows

__all__ = ["HLSModel", "check_doubles", "check_types", "lower", "model_settings"]

_DOUBLE = 53


def lower(
    graph: Graph,
    output_dir: str | PathLike[str],
    *,
    backend: str = "Vitis",
    io_type: str = "io_parallel",
    strategy: str = "Latency",
    part: str = "xcvu13p-flga2577-2-e",
    clock_period: float = 5,
    project_name: str = "hgq_design",
    reuse_factor: int = 1,
    force: bool = False,
) -> HLSModel:
    """Turn a graph into an hls4ml project. Nothing is written before `HLSModel.write` or `HLSModel.compile`.

    The hardware's inputs are the graph's inputs behind their first quantizers (`hgq_hw.hls4ml.boundary`);
    `HLSModel.predict` quantizes on the host, exactly.

    Args:
        graph: what hgq-keras or hgq-torch exported, or `hgq_core.graph.load` read.
        output_dir: folder of the project; must be new, empty, or written by hgq-hw before and nobody else since.
        backend: in any case, as hls4ml takes it: ``Vitis`` or ``Vivado``, with a format per element; ``Quartus`` or
            ``Catapult``, with one per tensor.
        io_type: ``io_parallel``, or ``io_stream`` with one format per tensor.
        strategy: ``Latency``, ``Resource`` or ``distributed_arithmetic`` (needs da4ml).
        part: the FPGA, in its vendor's words.
        clock_period: in nanoseconds.
        project_name: name of the top function; a C++ identifier.
        reuse_factor: how often a multiplier is used per inference.
        force: replace a folder with all that it holds, such as files of others or results of synthesis.

    Returns:
        The project, not yet written.

    Warns:
        UncalibratedWarning: ranges that never were calibrated; names the layers.
        LargeDesignWarning: a graph that no device holds when it is fully unrolled (io_parallel).

    Raises:
        ConfigError: an unknown option, or something that is no Graph.
        FileError: ``output_dir`` holds something else.
        MissingDependencyError: hls4ml is not installed.
        UnsupportedError: an operation or a number format that the target cannot take; names the layer and the remedy.
    """
    folder = Path(output_dir)
    require_graph(graph, "hls4ml.lower")
    backend = backend_name(backend)
    check_options(backend, io_type, strategy, clock_period, project_name, reuse_factor)
    check_replaceable(folder, force=force)
    boundary = split(graph)
    warn_before_lowering(graph, unrolled=io_type == "io_parallel", da4ml=strategy == "distributed_arithmetic")
    plain, stream = backend in PER_TENSOR, io_type == "io_stream"
    legal = legalize(boundary.hardware, plain=plain, stream=stream)
    options = Options(plain or stream, stream, plain, f"{backend} {io_type}")
    written = records(legal.graph, options)
    check_doubles(legal.graph)
    model_config = {
        "Precision": "fixed<16,6>",
        "ReuseFactor": reuse_factor,
        "Strategy": strategy,
        "BitExact": False,
    }
    design = {"part": part, "clock_period": clock_period, "io_type": io_type, "project_name": project_name}
    model_graph = _model_graph(written, folder, backend, model_config, design)
    names = {name: written.names[new] for name, new in legal.names.items() if new in written.names}
    return HLSModel(model_graph, boundary.host, boundary.hardware, names, force=force)


class HLSModel:
    """An hls4ml project that computes what its graph computes; made by `lower`.

    Args:
        model_graph: hls4ml's ModelGraph.
        host: the part of the graph that quantizes real inputs, outside of the hardware.
        hardware: the part that the hardware computes.
        layers: node of the graph -> hls4ml layer that gives the same tensor.
        force: replace a folder that this package has not written.

    Attributes:
        model_graph: hls4ml's ModelGraph, for everything that hls4ml can do with it.
        layers: node of the graph -> hls4ml layer that gives the same tensor.
    """

    def __init__(
        self, model_graph: Any, host: Graph, hardware: Graph, layers: Mapping[str, str], *, force: bool = False
    ) -> None:
        self.model_graph = model_graph
        self.layers = dict(layers)
        self._host = host
        self._hardware = hardware
        self._compiled = False
        self._force = force

    def __repr__(self) -> str:
        return f"<HLSModel: {self._setting('Backend')} {self._setting('IOType')}, {len(self._layers())} layer(s)>"

    def __str__(self) -> str:
        """One short table: engine, back end, part, clock, layers, ports, folder."""
        return as_text("hls4ml design", self._rows())

    def _repr_html_(self) -> str:
        return as_html("hls4ml design", self._rows())

    def _rows(self) -> Rows:
        return [
            ("engine", f"hls4ml {version('hls4ml')}"),
            ("back end", f"{self._setting('Backend')} {self._setting('IOType')}"),
            ("part", f"{self._setting('Part')}, {self._setting('ClockPeriod')} ns"),
            ("cost, latency", "known after synthesis"),
            ("layers", str(len(self._layers()))),
            *port_rows(self._hardware),
            ("folder", str(self.output_dir)),
            ("C simulation", "compiled" if self._compiled else "not compiled"),
        ]

    def _setting(self, name: str) -> object:
        return self.model_graph.config.get_config_value(name)

    def _layers(self) -> list[object]:
        return list(self.model_graph.get_layers())

    @property
    def output_dir(self) -> Path:
        """Folder of the project."""
        return Path(self.model_graph.config.get_output_dir())

    def write(self) -> Path:
        """Write the project, in the place of one that was written before, with all that is in its folder.

        It is written next to its folder and takes its place in one step: whenever the process is killed, the folder
        holds the old project or the new one.

        Returns:
            Its folder.

        Raises:
            FileError: the folder holds something else by now, or cannot be written.
        """
        folder = self.output_dir
        description = {"tool": "hgq-hw", "target": "hls4ml", "layers": self.layers}
        with new_folder(folder, force=self._force) as fresh:
            (fresh / "hgq_hw.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
            write_as_if_in_place(self.model_graph, fresh)
        return folder

    def compile(self) -> None:
        """Write the project and compile its C++ for `predict`.

        Raises:
            FileError: the folder holds something else by now.
            ToolError: there is no g++, or it failed.
        """
        for tool, remedy in (("g++", "apt-get install g++"), ("bash", "apt-get install bash")):
            if shutil.which(tool) is None:
                message = f"{tool} is not on PATH; the C simulation needs it: install it (Debian, Ubuntu: {remedy})"
                raise ToolError(message)
        self.write()
        with quiet() as said:
            try:
                # compile() would write once more, straight into the folder.
                self.model_graph._compile()
            except Exception as error:  # hls4ml raises nothing narrower
                message = f"g++ failed on the project in {self.output_dir}: {said.getvalue()[-2000:]} ({error})"
                raise ToolError(message) from error
        mark(self.output_dir)
        self._compiled = True

    def predict(self, *x: ArrayLike) -> Any:
        """What the compiled project computes.

        Args:
            *x: one array ``(n, *shape)`` per input of the graph, or one list of them.

        Returns:
            The output ``(n, *shape)``, float64, or a tuple if the graph has several; equal to ``run(graph, *x)``.

        Raises:
            DataError: NaN, infinity, or a number that an input's declared format does not hold.
            ShapeError: an input of the wrong shape.
            ToolError: the project is not compiled.
        """
        if not self._compiled:
            message = "the project is not compiled; call compile() first"
            raise ToolError(message)
        several = len(self._host.inputs) > 1
        arrays = list(x[0]) if several and len(x) == 1 and isinstance(x[0], list | tuple) else list(x)
        quantized = run(self._host, *(np.asarray(a, dtype=np.float64) for a in arrays))
        entering = quantized if isinstance(quantized, tuple) else (quantized,)
        sizes = {len(a) for a in entering}
        if len(sizes) != 1:
            message = f"the inputs have different numbers of samples {sorted(sizes)}; expected one"
            raise ShapeError(message)
        outputs = self._simulate([np.ascontiguousarray(a, dtype=np.float64) for a in entering], sizes.pop())
        return outputs[0] if len(outputs) == 1 else outputs

    def _simulate(self, entering: Sequence[NDArray[np.float64]], n: int) -> tuple[NDArray[np.float64], ...]:
        shapes = [self._hardware[name].shape for name in self._hardware.outputs]
        if n == 0:
            return tuple(np.zeros((0, *shape)) for shape in shapes)
        given = self.model_graph.predict(entering[0] if len(entering) == 1 else list(entering))
        parts = [given] if len(shapes) == 1 else given
        return tuple(np.reshape(part, (n, *shape)) for part, shape in zip(parts, shapes, strict=True))


def check_doubles(graph: Graph) -> None:
    """The C simulation takes and gives float64."""
    formats = prove(graph).formats
    for name in (*(node.name for node in graph.inputs), *graph.outputs):
        width = covering(formats[name]).width
        if width > _DOUBLE:
            message = f"{name!r} needs {width} bits, float64 of the simulation holds {_DOUBLE}; quantize it"
            raise UnsupportedError(message)


def _model_graph(
    written: Records, folder: Path, backend: str, model_config: dict[str, Any], design: dict[str, Any]
) -> Any:
    try:
        with quiet():
            from hls4ml.backends import get_backend
            from hls4ml.model.graph import ModelGraph
            from hls4ml.utils.config import create_config
    except ImportError as error:
        message = f"hls4ml is not installed ({error}); install it: python3 -m pip install 'hgq-hw[hls4ml]'"
        raise MissingDependencyError(message) from error
    convert = get_backend(backend.lower()).convert_precision_string
    config = create_config(output_dir=str(folder), backend=backend, **design)
    layers = model_settings(written, convert, model_config["Strategy"] == "Resource")
    config["HLSConfig"] = {"Model": model_config, "LayerName": layers}
    with quiet():
        result = ModelGraph.from_layer_list(config, written.layers, inputs=written.inputs, outputs=written.outputs)
    check_types(result, written, convert)
    return result


def model_settings(written: Records, convert: Any, resource: bool) -> dict[str, dict[str, Any]]:
    """The settings of each layer for hls4ml's configuration; tables get their type as an attribute.

    Args:
        written: the records.
        convert: the back end's parser of types.
        resource: whether the strategy of the model is ``Resource``.
    """
    settings: dict[str, dict[str, Any]] = {
        name: {"Precision": {part: str(kind) for part, kind in types.items()}} for name, types in written.types.items()
    }
    for record in written.layers:
        if record["class_name"] in ("EinsumDense", "Einsum") and resource:
            settings[record["name"]]["Strategy"] = "Latency"  # they have no other
        if record["class_name"] == "UnaryLUT":
            record["table_t"] = convert(str(written.types[record["name"]]["table"]))
    return settings


def check_types(model_graph: Any, written: Records, convert: Any) -> None:
    """hls4ml rewrites its graph while building it; no layer that is left may have lost the type that was proved."""
    for node in model_graph.get_layers():
        if node.name not in written.types or node.class_name == "Reshape":
            continue
        have = node.get_output_variable().type.precision
        want = convert(str(written.types[node.name]["result"]))
        same = (have.width, have.integer, have.signed) == (want.width, want.integer, want.signed)
        if not same:
            message = f"hls4ml gave layer {node.name!r} the type {have}, expected {want}; please report this bug"
            raise VerificationError(message)
