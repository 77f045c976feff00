"""Runs every page of the documentation as a user would: `python .ci/pages.py [--jobs 2] [PAGE ...]`.

The ```python and ```sh blocks of a page are one script, in their order, started in an empty folder of its own with the
Python that runs this file, far from the sources. Lines keep their numbers, so that a traceback names the line of the
page. A block without a language is shown and not run; any other spelling of Python or shell is refused, and so is a
page that is named but has no block to run.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "packages/*/README.md")
FENCE = re.compile(r"(?P<indent> *)(?P<ticks>`{3,}|~{3,}) *(?P<language>[\w+-]*)")
SHOWN = {"", "toml", "text", "verilog", "html"}
LIMIT = 1800  # seconds of one page, on a machine that is busy with other things
SHELL = "__import__('subprocess').run({command!r}, shell=True, check=True, executable='/bin/sh')"


class PageError(Exception):
    """A page that cannot be run as it is written."""


@dataclass(frozen=True, slots=True)
class Outcome:
    page: str
    seconds: float
    output: str
    passed: bool


def script(text: str, page: str) -> tuple[str, int]:
    """The page as one script, line by line where the page has it, and the number of its blocks."""
    lines = text.splitlines()
    made, blocks, start = [""] * len(lines), 0, 0
    while start < len(lines):
        fence = FENCE.match(lines[start])
        if fence is None:
            start += 1
            continue
        closing = re.compile(rf" *{fence['ticks'][0]}{{{len(fence['ticks'])},}} *$")
        end = next((n for n in range(start + 1, len(lines)) if closing.match(lines[n])), None)
        if end is None:
            raise PageError(f"{page}:{start + 1}: the block has no end")
        body = [line.removeprefix(fence["indent"]) for line in lines[start + 1 : end]]
        if fence["language"] == "python":
            made[start + 1 : end] = body
        elif fence["language"] == "sh":
            made[start + 1] = SHELL.format(command="set -e\n" + "\n".join(body))
        elif fence["language"] not in SHOWN:
            raise PageError(
                f"{page}:{start + 1}: a block of {fence['language']!r}; expected python, sh, or none of them"
            )
        blocks += fence["language"] not in SHOWN
        start = end + 1
    return "\n".join(made) + "\n", blocks


def run(page: Path) -> Outcome | None:
    """One page in a folder of its own; None if there is nothing to run on it."""
    name = str(page.relative_to(ROOT))
    code, blocks = script(page.read_text(encoding="utf-8"), name)
    if not blocks:
        return None
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="page-") as scratch:
        Path(scratch, "page.py").write_text(code, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "page.py"],
            cwd=scratch,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # compilers and simulators that it started too
            output, _ = process.communicate()
            output += f"\nnot done after {LIMIT} s"
        output = output.replace(str(Path(scratch, "page.py")), name)
        if process.returncode < 0:
            output += f"\nended by signal {-process.returncode}"
    return Outcome(name, time.monotonic() - start, output, passed=process.returncode == 0)


def chosen(names: list[str]) -> list[Path]:
    """The pages that were named, or all of them."""
    every = sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})
    if not names:
        return every
    wanted = [Path(name).resolve() for name in names]
    for path in wanted:
        if path not in every:
            raise PageError(f"{path} is no page; expected one of {', '.join(str(p.relative_to(ROOT)) for p in every)}")
    return wanted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="pages that run at once")
    parser.add_argument("--verbose", action="store_true", help="show what the pages print")
    parser.add_argument("pages", nargs="*", help="files; all of them if left out")
    options = parser.parse_args()
    start, failed = time.monotonic(), []
    try:
        pages = chosen(options.pages)
        with ThreadPoolExecutor(options.jobs) as pool:
            for page, outcome in zip(pages, pool.map(run, pages), strict=True):
                if outcome is None:
                    if options.pages:
                        raise PageError(f"{page} has no block of python or sh")
                    continue
                print(f"{'ok  ' if outcome.passed else 'FAIL'} {outcome.seconds:6.1f} s  {outcome.page}", flush=True)
                if not outcome.passed or options.verbose:
                    print(outcome.output, flush=True)
                if not outcome.passed:
                    failed.append(outcome.page)
    except PageError as error:
        print(error)
        return 1
    spent = f"{time.monotonic() - start:.0f} s, {os.times().children_user + os.times().children_system:.0f} s of CPU"
    print(f"{len(failed)} pages failed, {spent}" if failed else f"every page runs, {spent}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
