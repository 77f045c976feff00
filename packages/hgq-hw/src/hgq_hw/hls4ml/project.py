"""Writing hls4ml's files somewhere else than where they will be used."""

from __future__ import annotations

import io
import os
import warnings
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["quiet", "write_as_if_in_place"]

_DESCRIPTION = "hls4ml_config.yml"


def write_as_if_in_place(model_graph: Any, folder: Path) -> None:
    """Write the project of ``model_graph`` into ``folder`` with the contents that it has in its own folder.

    hls4ml writes where its configuration says, and writes that place into its files too: into the description of the
    project, and for Catapult into the code that reads the weights. The description is written a second time from the
    configuration as it was, since YAML folds long lines; elsewhere the place is put right.
    """
    yaml = import_module("yaml")  # comes with hls4ml
    config = model_graph.config.config
    place = config["OutputDir"]
    config["OutputDir"] = str(folder)
    try:
        with quiet():
            model_graph.write()
    finally:
        config["OutputDir"] = place
    with (folder / _DESCRIPTION).open("w", encoding="utf-8") as file:
        yaml.dump(config, file)
    written, meant = (os.fsencode(path.resolve()) for path in (folder, Path(place)))
    for path in folder.rglob("*"):
        if path.is_file() and written in (content := path.read_bytes()):
            path.write_bytes(content.replace(written, meant))


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Keeps back what hls4ml prints and warns about: its own optional parts and habits, not the user's to act on."""
    said = io.StringIO()
    with warnings.catch_warnings(action="ignore"), redirect_stdout(said):
        yield said
