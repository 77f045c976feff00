"""Runs pytest several times in one process: a JSON list of argument lists comes in, exit codes and outputs go out."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest


def main() -> None:
    results = []
    for arguments in json.load(sys.stdin):
        text = io.StringIO()
        with redirect_stdout(text), redirect_stderr(text):
            status = int(pytest.main(arguments))
        results.append([status, text.getvalue()])
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
