"""`lower`: a Graph as an hls4ml project, and `HLSModel`: that project, written, compiled and run.

hls4ml's BitExact pass, which infers the types of a network from its quantizers, is switched off: every type is set from our
own proof instead. The pass narrows a tensor to what the next quantizer asks for, and in hls4ml 1.3.0 that is not exact where
the rounding needs the sign of a value that wraps, where a WRAP quantizer follows a transpose or a concatenation, where two
quantizers follow each other, and where a table's input turns out narrower than the table.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import (
    ConfigError,
    FileError,
    MissingDependencyError,
    ShapeError,
    ToolError,
    UnsupportedError,
    VerificationError,
)
from hgq_core.graph import Graph, prove, run
from hgq_hw.hls4ml.boundary import split
from hgq_hw.hls4ml.legal import legalize
from hgq_hw.hls4ml.records import Options, Records, records
from hgq_hw.hls4ml.types import covering

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike, NDArray

__all__ = ["HLSModel", "lower"]

_MARK = "hgq_hw.json"
_DOUBLE = 53
_PER_ELEMENT = ("Vitis", "Vivado")
_PER_TENSOR = ("Quartus", "Catapult")
_STRATEGIES = ("Latency", "Resource", "distributed_arithmetic")


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
) -> HLSModel:
    """Turn a graph into an hls4ml project. Nothing is written before `HLSModel.write` or `HLSModel.compile`.

    The hardware's inputs are the graph's inputs behind their first quantizers (`hgq_hw.hls4ml.boundary`); `HLSModel.predict`
    quantizes on the host, exactly.

    Args:
        graph: what hgq-keras or hgq-torch exported, or `hgq_core.graph.load` read.
        output_dir: folder of the project; must be new, empty, or written by this function before.
        backend: ``Vitis`` or ``Vivado``, with a format per element; ``Quartus`` or ``Catapult``, with one per tensor.
        io_type: ``io_parallel``, or ``io_stream`` with one format per tensor.
        strategy: ``Latency``, ``Resource`` or ``distributed_arithmetic`` (needs da4ml).
        part: the FPGA, in its vendor's words.
        clock_period: in nanoseconds.
        project_name: name of the top function; a C++ identifier.
        reuse_factor: how often a multiplier is used per inference.

    Returns:
        The project, not yet written.

    Raises:
        ConfigError: an unknown option.
        FileError: ``output_dir`` holds something else.
        MissingDependencyError: hls4ml is not installed.
        UnsupportedError: an operation or a number format that the target cannot take; names the layer and the remedy.
    """
    folder = Path(output_dir)
    _check_options(backend, io_type, strategy, clock_period, project_name, reuse_factor)
    _check_folder(folder)
    if not isinstance(graph, Graph):
        message = f"graph: received {type(graph).__name__}, expected a Graph; export a model with to_graph(model) first"
        raise ConfigError(message)
    boundary = split(graph)
    legal = legalize(boundary.hardware)
    fuse = backend not in _PER_ELEMENT or io_type == "io_stream"
    written = records(legal.graph, Options(fuse, io_type == "io_stream", f"{backend} {io_type}"))
    _check_doubles(legal.graph)
    model_config = {
        "Precision": "fixed<16,6>",
        "ReuseFactor": reuse_factor,
        "Strategy": strategy,
        "BitExact": False,
    }
    design = {"part": part, "clock_period": clock_period, "io_type": io_type, "project_name": project_name}
    model_graph = _model_graph(written, folder, backend, model_config, design)
    names = {name: written.names[new] for name, new in legal.names.items() if new in written.names}
    return HLSModel(model_graph, boundary.host, boundary.hardware, names)


class HLSModel:
    """An hls4ml project that computes what its graph computes.

    Attributes:
        model_graph: hls4ml's ModelGraph, for everything that hls4ml can do with it.
        layers: node of the graph -> hls4ml layer that gives the same tensor.
    """

    def __init__(self, model_graph: Any, host: Graph, hardware: Graph, layers: Mapping[str, str]) -> None:
        self.model_graph = model_graph
        self.layers = dict(layers)
        self._host = host
        self._hardware = hardware
        self._compiled = False

    @property
    def output_dir(self) -> Path:
        """Folder of the project."""
        return Path(self.model_graph.config.get_output_dir())

    def write(self) -> Path:
        """Write the project.

        Returns:
            Its folder.

        Raises:
            FileError: the folder holds something else by now.
        """
        folder = self.output_dir
        _check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        mark = {"tool": "hgq-hw", "target": "hls4ml", "layers": self.layers}
        (folder / _MARK).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
        with _quiet():
            self.model_graph.write()
        return folder

    def compile(self) -> None:
        """Write the project and compile its C++ for `predict`.

        Raises:
            FileError: the folder holds something else by now.
            ToolError: there is no g++, or it failed.
        """
        for tool, remedy in (("g++", "apt-get install g++"), ("bash", "apt-get install bash")):
            if shutil.which(tool) is None:
                message = f"{tool} is not on PATH; hls4ml's C simulation needs it: install it (Debian, Ubuntu: {remedy})"
                raise ToolError(message)
        self.write()
        with _quiet():
            try:
                self.model_graph.compile()
            except Exception as error:  # hls4ml raises nothing narrower
                message = f"g++ failed on the project in {self.output_dir}; its messages are above. {error}"
                raise ToolError(message) from error
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
        arrays = list(x[0]) if len(x) == 1 and isinstance(x[0], list | tuple) and len(self._host.inputs) > 1 else list(x)
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


def _check_options(
    backend: str, io_type: str, strategy: str, clock_period: float, project_name: str, reuse_factor: int
) -> None:
    if backend in {"oneAPI", "Libero", "VivadoAccelerator"}:
        message = f"backend {backend!r} cannot be simulated bit for bit here; expected one of {[*_PER_ELEMENT, *_PER_TENSOR]}"
        raise UnsupportedError(message)
    for name, value, known in (
        ("backend", backend, (*_PER_ELEMENT, *_PER_TENSOR)),
        ("io_type", io_type, ("io_parallel", "io_stream")),
        ("strategy", strategy, _STRATEGIES),
    ):
        if value not in known:
            message = f"{name}: received {value!r}, expected one of {list(known)}"
            raise ConfigError(message)
    if strategy == "distributed_arithmetic" and (reuse_factor != 1 or backend not in _PER_ELEMENT):
        message = (
            f"strategy 'distributed_arithmetic': received backend {backend!r} and reuse_factor {reuse_factor}, expected Vitis or "
            "Vivado and 1"
        )
        raise ConfigError(message)
    if not re.fullmatch(r"[A-Za-z]\w*", project_name, flags=re.ASCII):
        message = f"project_name: received {project_name!r}, expected a C++ identifier such as 'hgq_design'"
        raise ConfigError(message)
    if isinstance(reuse_factor, bool) or not isinstance(reuse_factor, int) or reuse_factor < 1:
        message = f"reuse_factor: received {reuse_factor!r}, expected a whole number of at least 1"
        raise ConfigError(message)
    if not clock_period > 0:
        message = f"clock_period: received {clock_period!r}, expected nanoseconds greater than 0"
        raise ConfigError(message)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is a file; expected a folder for the project: choose another output_dir"
        raise FileError(message)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        message = f"{folder} is not empty and was not written by hgq_hw.hls4ml; choose another output_dir or empty it"
        raise FileError(message)


def _check_doubles(graph: Graph) -> None:
    """The C simulation takes and gives float64."""
    formats = prove(graph).formats
    for name in (*(node.name for node in graph.inputs), *graph.outputs):
        width = covering(formats[name]).width
        if width > _DOUBLE:
            message = f"{name!r} needs {width} bits, the simulation's float64 holds {_DOUBLE}; quantize it to fewer bits"
            raise UnsupportedError(message)


def _model_graph(
    written: Records, folder: Path, backend: str, model_config: dict[str, Any], design: dict[str, Any]
) -> Any:
    try:
        with _quiet():
            from hls4ml.backends import get_backend
            from hls4ml.model.graph import ModelGraph
            from hls4ml.utils.config import create_config
    except ImportError as error:
        message = f"hls4ml is not installed ({error}); install it: python3 -m pip install 'hgq-hw[hls4ml]'"
        raise MissingDependencyError(message) from error
    convert = get_backend(backend.lower()).convert_precision_string
    config = create_config(output_dir=str(folder), backend=backend, **design)
    config["HLSConfig"] = {
        "Model": model_config,
        "LayerName": {
            name: {"Precision": {part: str(kind) for part, kind in types.items()}} for name, types in written.types.items()
        },
    }
    for record in written.layers:
        if record["class_name"] == "UnaryLUT":
            record["table_t"] = convert(str(written.types[record["name"]]["table"]))
    with _quiet():
        result = ModelGraph.from_layer_list(config, written.layers, inputs=written.inputs, outputs=written.outputs)
    _check_types(result, written, convert)
    return result


def _check_types(model_graph: Any, written: Records, convert: Any) -> None:
    """hls4ml rewrites its graph while building it; no layer that is left may have lost the type that was proved."""
    for node in model_graph.get_layers():
        if node.name not in written.types or node.class_name == "Reshape":
            continue
        have = node.get_output_variable().type.precision
        want = convert(str(written.types[node.name]["result"]))
        same = (have.width, have.integer, have.signed) == (want.width, want.integer, want.signed)
        if not same:
            message = f"hls4ml gave layer {node.name!r} the type {have}, expected {want}; please report this as a bug of hgq-hw"
            raise VerificationError(message)


def _quiet() -> warnings.catch_warnings[None]:
    """hls4ml warns about its own optional parts and habits, none of which are the user's to act on."""
    return warnings.catch_warnings(action="ignore")
