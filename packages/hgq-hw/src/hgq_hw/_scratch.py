"""Scratch folders next to what is being written, which no killed process leaves behind for ever."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["exchange", "scratch_folder"]

_NAME = re.compile(r"\.hgq-hw-(\d+)-[0-9a-f]{8}")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder in ``parent``, so that moving from there is renaming; removed when the block ends.

    It carries the number of this process and is locked by it. Folders of processes that are no more are removed first;
    what such a process had moved away and not replaced is moved back.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(".hgq-hw-*"):
        _clean(left)
    scratch = parent / f".hgq-hw-{os.getpid()}-{secrets.token_hex(4)}"
    scratch.mkdir()
    lock = _locked(scratch)
    try:
        yield scratch
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(scratch, ignore_errors=True)


def _clean(left: Path) -> None:
    """Remove a scratch folder if its process is no more."""
    found = _NAME.fullmatch(left.name)
    if found is None or not left.is_dir() or sys.platform == "win32" or _alive(int(found[1])):
        return
    lock = _locked(left)  # the process may run on another machine that shares the folder
    if lock is None:
        return
    try:
        for old in (left / "old").glob("*"):
            place = left.parent / old.name
            if not place.exists():
                old.rename(place)
        shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(lock)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _locked(folder: Path) -> int | None:
    """A file descriptor that holds the lock on a folder; None if another process holds it, or there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def exchange(a: Path, b: Path) -> bool:
    """Let two folders of one file system change places in one step; False if the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0)
