"""Graphs to test on, and the tools that a test may need."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hgq_core.errors import MissingDependencyError, ToolError
from hgq_hw._tools import compiler_environment, simulator_environment

# With --import-mode=importlib a test does not see its neighbours; the builders next to it are shared.
sys.path.insert(0, str(Path(__file__).parent))


def _need(environment):
    try:
        environment()
    except (ToolError, MissingDependencyError) as error:
        if os.environ.get("HGQ_REQUIRE_TOOLS"):
            pytest.fail(f"a tool is missing: {error}")
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def simulator():
    """Skips, or in CI fails, where Verilator or a compiler is missing."""
    _need(simulator_environment)


@pytest.fixture(scope="session")
def compiler():
    """Skips, or in CI fails, where a C++ compiler is missing."""
    _need(compiler_environment)
