"""Files and folders that appear complete or not at all, whenever the process that writes them is killed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hgq_core.errors import FileError
from hgq_hw._scratch import exchange, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "check_reachable",
    "check_replaceable",
    "mark",
    "new_file",
    "new_folder",
    "replacing",
    "shown",
    "writing",
]

MARKER = ".hgq-hw"
"""A file of this name says that the folder is ours and may be replaced; it lists what we have written there."""

_HEAD = "Written by hgq-hw, which may replace this folder if it holds nothing else than:"
_NAMED = 3
"""Foreign files that a message names."""

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


def _files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {MARKER}


def mark(folder: Path) -> None:
    """Note that all that a folder holds is ours."""
    lines = (_HEAD, *sorted(_files_in(folder)))
    (folder / MARKER).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _foreign(folder: Path) -> list[str]:
    """Files in a folder of ours that we have not written."""
    known = (folder / MARKER).read_text(encoding="utf-8").splitlines()
    return sorted(_files_in(folder).difference(known))


def check_replaceable(path: Path, *, force: bool, keep: Sequence[Path] = ()) -> None:
    """Refuse to write where that would destroy what we have not written, or cannot work.

    Args:
        path: the folder.
        force: whether what others have written may be replaced too.
        keep: files that must stay in any case.

    Raises:
        FileError: it holds the folder that the process works in, a file to keep, or, unless forced, files of others.
    """
    check_reachable(path)
    with writing(path):
        folder = path.resolve()
        for needed, what in ((Path.cwd(), "the folder that you are in"), *((file, f"{shown(file)}") for file in keep)):
            if needed.resolve().is_relative_to(folder):
                message = f"{shown(path)} is replaced as a whole and holds {what}; choose another folder"
                raise FileError(message)
        if force or not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
        if not (path / MARKER).is_file():
            problem = "exists and was not written by hgq"
        elif foreign := _foreign(path):
            more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
            problem = f"holds files that hgq has not written: {', '.join(foreign[:_NAMED])}{more}"
        else:
            return
    message = (
        f"{shown(path)} {problem}: choose another folder, or replace it with all that it holds by --force (in Python "
        "force=True)"
    )
    raise FileError(message)


@contextmanager
def new_folder(path: str | Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder that becomes ``path``, marked as ours, when the block ends without an error."""
    target = Path(path).absolute()
    check_replaceable(target, force=force)
    with replacing(target) as fresh:
        yield fresh
        mark(fresh)


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
