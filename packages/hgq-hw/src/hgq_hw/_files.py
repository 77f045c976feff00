"""Folders that appear complete or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hgq_core.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_reachable", "check_replaceable", "new_file", "new_folder", "writing"]

MARKER = ".hgq-hw"
"""A file of this name says that the folder is ours and may be replaced."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says as a FileError what the system has against writing ``path``."""
    try:
        yield
    except OSError as error:
        message = f"{str(path)!r} cannot be written: {error.strerror or error}; choose a place that you may write to"
        raise FileError(message) from error


def check_reachable(path: Path) -> None:
    """Raise FileError if something that is no folder is in the way to ``path``."""
    with writing(path):
        blocked = next((parent for parent in path.absolute().parents if parent.exists() and not parent.is_dir()), None)
    if blocked is not None:
        message = f"{str(path)!r} cannot be written: {str(blocked)!r} is a file; choose a place under a folder"
        raise FileError(message)


def check_replaceable(path: Path, *, force: bool) -> None:
    """Raise FileError if writing to ``path`` would destroy something that we have not written, or cannot work."""
    check_reachable(path)
    with writing(path):
        if force or not path.exists() or (path.is_dir() and ((path / MARKER).exists() or not any(path.iterdir()))):
            return
    message = f"{str(path)!r} exists and was not written by hgq; choose another folder, or force to replace it"
    raise FileError(message)


@contextmanager
def new_folder(path: str | Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder that becomes ``path`` when the block ends without an error."""
    target = Path(path).absolute()
    check_replaceable(target, force=force)
    with writing(target), _scratch(target) as scratch:
        fresh = scratch / "new"
        fresh.mkdir()
        yield fresh
        (fresh / MARKER).write_text("Written by hgq-hw; this folder may be replaced by it.\n")
        if target.is_dir() and not target.is_symlink():
            target.rename(scratch / "old")
        else:
            target.unlink(missing_ok=True)
        shutil.move(fresh, target)


@contextmanager
def new_file(path: str | Path) -> Iterator[Path]:
    """A temporary file that becomes ``path`` when the block ends without an error."""
    target = Path(path).absolute()
    if target.is_dir():
        message = f"{str(target)!r} is a folder; expected the name of a file"
        raise FileError(message)
    check_reachable(target)
    with writing(target), _scratch(target) as scratch:
        fresh = scratch / target.name
        yield fresh
        fresh.replace(target)


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A temporary folder next to ``target``, so that moving from there is renaming."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        yield Path(scratch)
