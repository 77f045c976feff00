"""Graph files: one ``.hgq.npz`` with a JSON document and plain integer arrays; no pickle, no code.

The document carries the schema version and a hash of everything else, so that a damaged or newer file is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import FileError, GraphError, HGQError
from hgq_core.formats import Formats
from hgq_core.graph import ops as op
from hgq_core.graph.ir import Graph, Node
from hgq_core.graph.typed import check_fields
from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SCHEMA", "content_hash", "load", "save"]

SCHEMA = 3
"""Newest version of the file format; all versions are read.

A file gets the lowest version that holds its graph: 3 has `Lookup.table_idxs`, 2 `Graph.uncalibrated`, 1 neither, so
that a graph of calibrated layers gives the same bytes as ever and is read by older readers.
"""

_SHOWN = 120
"""Characters of a path that a message shows."""

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (*op.Operation.__args__, Formats, Node, Graph)}
_LATER = ("uncalibrated", "table_idxs")
"""Fields that older versions lack: left out where they say nothing."""
_ENUMS: dict[str, type[Enum]] = {"Round": Round, "Overflow": Overflow}


def save(graph: Graph, path: str | os.PathLike[str]) -> Path:
    """Write the graph to ``path``; a file that exists is replaced only once the new one is complete.

    Returns:
        The path written.

    Raises:
        GraphError: something that is no Graph.
        FileError: the path does not end in ``.hgq.npz``, is a folder, or cannot be written.
    """
    given: object = graph
    if not isinstance(given, Graph):
        message = f"only graphs are saved: received a {type(given).__name__}, expected a Graph; see to_graph"
        raise GraphError(message)
    target = _path(path)
    with _saying(target):
        if not target.parent.is_dir():
            message = f"graph file: there is no folder {os.fspath(target.parent)!r}; make it first"
            raise FileError(message)
        if target.is_dir():
            message = f"graph file: {os.fspath(target)!r} is a folder; expected the name of a file in it"
            raise FileError(message)
    if not target.name.endswith(".hgq.npz"):
        message = f"graph file: received {target.name!r}, expected a name that ends in '.hgq.npz'"
        raise FileError(message)
    arrays: list[np.ndarray] = []
    document = _document(_encode(graph, arrays), arrays, _schema(graph))
    buffer = io.BytesIO()
    content: dict[str, Any] = {f"array_{n}": array for n, array in enumerate(arrays)}
    np.savez_compressed(buffer, document=np.frombuffer(document, dtype=np.uint8), **content)
    temporary = target.with_name(f".hgq-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with _saying(target):
        try:
            temporary.write_bytes(buffer.getvalue())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return target


def _path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        message = f"graph file: received {path!r}, expected a path such as 'model.hgq.npz'"
        raise FileError(message)
    return Path(path)


@contextmanager
def _saying(target: Path) -> Iterator[None]:
    """Says as a FileError what the system has against writing ``target``."""
    try:
        yield
    except OSError as error:
        shown = os.fspath(target)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        message = f"graph file: {shown!r} cannot be written: {error.strerror or error}; choose another name or place"
        raise FileError(message) from error


def load(path: str | os.PathLike[str]) -> Graph:
    """Read a graph that `save` wrote.

    Raises:
        FileError: the file is missing, damaged, foreign, or written by a newer version.
    """
    place = _path(path)
    try:
        # From memory: np.load leaves a damaged file open.
        written = place.read_bytes()
        if not zipfile.is_zipfile(io.BytesIO(written)):
            # NumPy takes it for a pickle, and its words would have users load that.
            message = "no archive of arrays"
            raise zipfile.BadZipFile(message)
        with np.load(io.BytesIO(written), allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        document = json.loads(content.pop("document").tobytes())
        schema, expected, body = document["schema"], document["hash"], document["graph"]
    except FileNotFoundError as error:
        message = f"there is no graph file {os.fspath(path)!r}"
        raise FileError(message) from error
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        AttributeError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        message = f"{os.fspath(path)!r} is damaged or is no HGQ graph file ({error}); export the graph again"
        raise FileError(message) from error
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        message = f"{os.fspath(path)!r} has schema {schema}, this version reads up to {SCHEMA}; upgrade hgq-core"
        raise FileError(message)
    arrays = [content[f"array_{n}"] for n in range(len(content)) if f"array_{n}" in content]
    if (
        any(array.dtype != np.int64 for array in arrays)
        or len(arrays) != len(content)
        or _hash(body, arrays) != expected
    ):
        message = f"{os.fspath(path)!r} is damaged: its content does not match its hash; export the graph again"
        raise FileError(message)
    try:
        graph = _decode(body, arrays)
    except (
        HGQError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        message = f"{os.fspath(path)!r} does not describe a valid graph: {error}"
        raise FileError(message) from error
    if not isinstance(graph, Graph):
        message = f"{os.fspath(path)!r} holds a {type(graph).__name__}, expected a Graph"
        raise FileError(message)
    return graph


def content_hash(graph: Graph) -> str:
    """SHA-256 of everything in the graph; equal graphs have equal hashes."""
    arrays: list[np.ndarray] = []
    return _hash(_encode(graph, arrays), arrays)


def _schema(graph: Graph) -> int:
    """The lowest version that holds the graph."""
    if any(isinstance(node.op, op.Lookup) and node.op.table_idxs is not None for node in graph):
        return 3
    bodies = (node.op.body for node in graph if isinstance(node.op, op.Scan))
    return max(2 if graph.uncalibrated else 1, *map(_schema, bodies), 1)


def _document(body: Any, arrays: list[np.ndarray], schema: int) -> bytes:
    document = {"schema": schema, "hash": _hash(body, arrays), "graph": body}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _hash(body: Any, arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "name": value.name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value, dtype=np.int64).reshape(value.shape))
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple):
        return [_encode(item, arrays) for item in value]
    if is_dataclass(value) and type(value).__name__ in _KINDS:
        stored = [f for f in fields(value) if f.init and (f.name not in _LATER or getattr(value, f.name))]
        return {"class": type(value).__name__} | {f.name: _encode(getattr(value, f.name), arrays) for f in stored}
    message = f"a graph cannot hold a {type(value).__name__}"
    raise FileError(message)


def _decode(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if "enum" in value:
        return _ENUMS[value["enum"]][value["name"]]
    if "float" in value:
        return float.fromhex(value["float"])
    if "array" in value:
        return arrays[value["array"]]
    parts = {name: _decode(item, arrays) for name, item in value.items() if name != "class"}
    kind = _KINDS[value["class"]]
    check_fields(kind, parts)
    return kind(**parts)
