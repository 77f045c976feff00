"""Writing hls4ml's files somewhere else than where they will be used."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["quiet", "write_as_if_in_place"]

_DESCRIPTION = "hls4ml_config.yml"


def write_as_if_in_place(model_graph: Any, folder: Path) -> None:
    """Write the project of ``model_graph`` into ``folder`` with the contents that it has in its own folder.

    hls4ml writes where its configuration says, and writes that place into its files too: into the description of the
    project, of whatever back end. It is written a second time from the configuration as it was.
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


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Keeps back what hls4ml prints and warns about: its own optional parts and habits, not the user's to act on."""
    said = io.StringIO()
    with warnings.catch_warnings(action="ignore"), redirect_stdout(said):
        yield said
