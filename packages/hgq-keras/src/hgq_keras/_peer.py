"""Importing this module warns if HGQ2, which also brings a package called ``hgq``, is installed too."""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError, version

from hgq_core.errors import HGQWarning

__all__ = ["conflict", "warn_if_installed"]

_PEER = "HGQ2"


def conflict(peer: str = _PEER) -> str | None:
    """What to say if a distribution that brings a package ``hgq`` of its own is installed, else None.

    >>> conflict("no-such-distribution") is None
    True
    """
    try:
        received = f"{peer} {version(peer)}"
    except PackageNotFoundError:
        return None
    return (
        f"{received} is installed beside hgq-keras; both bring a package `hgq`, and the files of the one installed "
        f"last have replaced the other's. Keep one per environment: `pip uninstall {peer}` and then "
        "`pip install --force-reinstall --no-deps hgq-keras`; `import hgq_keras` is not affected"
    )


def warn_if_installed(peer: str = _PEER) -> None:
    """Warn, once per interpreter and place, that two distributions claim the package ``hgq``."""
    message = conflict(peer)
    if message is not None:
        warnings.warn(message, HGQWarning, stacklevel=2)


warn_if_installed()
