"""Files and folders that appear complete or not at all, whenever the process that writes them is killed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hgq_core.errors import FileError
from hgq_hw._scratch import exchange, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "HLS4ML_MARKER",
    "check_reachable",
    "check_replaceable",
    "new_file",
    "new_folder",
    "replacing",
    "shown",
    "writing",
]

MARKER = ".hgq-hw"
"""A file of this name says that the folder is ours and may be replaced."""

HLS4ML_MARKER = "hgq_hw.json"
"""The file that describes an hls4ml project of ours; older ones have no other mark."""

_SHOWN = 120
"""Characters of a path that a message shows."""


def shown(path: Path) -> str:
    """The path as a message shows it."""
    text = str(path)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says as a FileError what the system has against writing ``path``."""
    try:
        yield
    except OSError as error:
        message = f"{shown(path)} cannot be written: {error.strerror or error}; choose a place that you may write to"
        raise FileError(message) from error


def check_reachable(path: Path) -> None:
    """Raise FileError if something that is no folder is in the way to ``path``."""
    with writing(path):
        blocked = next((parent for parent in path.absolute().parents if parent.exists() and not parent.is_dir()), None)
    if blocked is not None:
        message = f"{shown(path)} cannot be written: {shown(blocked)} is a file; choose a place under a folder"
        raise FileError(message)


def _ours(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (MARKER, HLS4ML_MARKER))


def check_replaceable(path: Path, *, force: bool) -> None:
    """Raise FileError if writing to ``path`` would destroy something that we have not written, or cannot work."""
    check_reachable(path)
    with writing(path):
        if force or not path.exists() or (path.is_dir() and (_ours(path) or not any(path.iterdir()))):
            return
    message = (
        f"{shown(path)} exists and was not written by hgq: choose another folder, or replace it with all that it "
        "holds by --force (in Python force=True)"
    )
    raise FileError(message)


@contextmanager
def new_folder(path: str | Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder that becomes ``path``, marked as ours, when the block ends without an error."""
    target = Path(path).absolute()
    check_replaceable(target, force=force)
    with replacing(target) as fresh:
        yield fresh
        (fresh / MARKER).write_text("Written by hgq-hw; this folder may be replaced by it.\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of ``path`` when the block ends without an error.

    Whenever the process is killed, ``path`` is what it was, or the new folder as a whole. Where the system can, the two
    are exchanged in one step; elsewhere what is left of a killed process is put back by the next writer.
    """
    with writing(path):
        target = path.resolve() if path.is_dir() else path.absolute()
    with writing(target), scratch_folder(target.parent) as scratch:
        fresh = scratch / "new"
        fresh.mkdir()
        yield fresh
        if not os.path.lexists(target):
            fresh.rename(target)
        elif not exchange(fresh, target):
            (scratch / "old").mkdir()
            target.rename(scratch / "old" / target.name)
            fresh.rename(target)


@contextmanager
def new_file(path: str | Path) -> Iterator[Path]:
    """A temporary file that becomes ``path`` when the block ends without an error."""
    target = Path(path).absolute()
    check_reachable(target)
    with writing(target):
        if target.is_dir():
            message = f"{shown(target)} is a folder; expected the name of a file"
            raise FileError(message)
        with scratch_folder(target.parent) as scratch:
            fresh = scratch / "new"
            yield fresh
            fresh.replace(target)
