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

__all__ = ["check_replaceable", "new_file", "new_folder"]

MARKER = ".hgq-hw"
"""A file of this name says that the folder is ours and may be replaced."""


def check_replaceable(path: Path, *, force: bool) -> None:
    """Raise FileError if writing to ``path`` would destroy something that we have not written."""
    if force or not path.exists() or (path.is_dir() and ((path / MARKER).exists() or not any(path.iterdir()))):
        return
    message = f"{str(path)!r} exists and was not written by hgq; choose another folder, or force to replace it"
    raise FileError(message)


@contextmanager
def new_folder(path: str | Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder that becomes ``path`` when the block ends without an error."""
    target = Path(path).absolute()
    check_replaceable(target, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        yield fresh
        (fresh / MARKER).write_text("Written by hgq-hw; this folder may be replaced by it.\n")
        if target.is_dir() and not target.is_symlink():
            target.rename(Path(scratch) / "old")
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
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        fresh = Path(scratch) / target.name
        yield fresh
        fresh.replace(target)
