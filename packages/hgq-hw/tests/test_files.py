"""A folder is what it was or what it shall be, whenever its writer is killed; scratch folders do not stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hgq_core.errors import FileError
from hgq_hw import _files, _scratch
from hgq_hw._files import check_replaceable, new_file, new_folder

WRITE = """
import os, sys
from hgq_hw import _files, _scratch
moments = iter(range(1000))
stop = int(sys.argv[2])
def moment():
    if next(moments) == stop:
        os._exit(9)
def watched(function):
    def call(*arguments, **options):
        moment()
        result = function(*arguments, **options)
        moment()
        return result
    return call
from pathlib import Path
for name in ("mkdir", "rename", "write_text", "replace"):
    setattr(Path, name, watched(getattr(Path, name)))
_files.exchange = watched(_files.exchange) if sys.argv[3] == "exchange" else lambda a, b: False
_scratch.shutil.rmtree = watched(_scratch.shutil.rmtree)
with _files.new_folder(sys.argv[1], force=False) as fresh:
    for name in ("a", "b"):
        (fresh / name).write_text("new")
print("written")
"""


def write(folder, content):
    with new_folder(folder, force=False) as fresh:
        for name in ("a", "b"):
            (fresh / name).write_text(content)


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != _files.MARKER}


OLD, NEW = {"a": "old", "b": "old"}, {"a": "new", "b": "new"}


@pytest.mark.parametrize("way", ["exchange", "two steps"])
def test_a_writer_that_is_killed_at_any_moment_leaves_the_old_or_the_new_folder(tmp_path, way):
    target = tmp_path / "project"
    for stop in range(100):
        write(target, "old")
        done = subprocess.run(
            [sys.executable, "-c", WRITE, str(target), str(stop), way], capture_output=True, text=True, check=False
        )
        if way == "exchange":
            assert contents(target) in (OLD, NEW)
        if done.returncode == 0:
            assert "written" in done.stdout
            break
        assert done.returncode == 9, done.stderr
        with new_file(tmp_path / "other.txt") as fresh:  # the next writer, of something else
            fresh.write_text("")
        assert contents(target) in (OLD, NEW)
        assert {path.name for path in tmp_path.iterdir()} == {"project", "other.txt"}
    assert stop > 8
    assert contents(target) == NEW


def broken(target):
    with new_folder(target, force=False) as fresh:
        (fresh / "a").write_text("new")
        message = "the disk is on fire"
        raise RuntimeError(message)


def test_an_error_while_writing_keeps_the_old_folder_and_leaves_nothing(tmp_path):
    write(tmp_path / "project", "old")
    with pytest.raises(RuntimeError, match="the disk is on fire"):
        broken(tmp_path / "project")
    assert contents(tmp_path / "project") == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_the_scratch_folder_of_a_living_process_stays(tmp_path):
    living = tmp_path / f".hgq-hw-{os.getpid()}-0123abcd"
    dead = tmp_path / ".hgq-hw-999999999-0123abcd"
    foreign = tmp_path / ".hgq-hw-notes"
    for folder in (living, dead, foreign):
        folder.mkdir()
    write(tmp_path / "project", "new")
    assert living.is_dir()
    assert foreign.is_dir()
    assert not dead.exists()


def test_a_scratch_folder_that_is_locked_stays_although_its_process_is_of_another_machine(tmp_path):
    elsewhere = tmp_path / ".hgq-hw-999999999-0123abcd"
    elsewhere.mkdir()
    lock = _scratch._locked(elsewhere)
    write(tmp_path / "project", "new")
    assert elsewhere.is_dir()
    os.close(lock)
    write(tmp_path / "project", "new")
    assert not elsewhere.exists()


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    write(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == NEW


@pytest.mark.parametrize("name", ["n" * 300, "n" * 300 + "/project"])
def test_a_name_that_is_too_long_is_one_short_sentence(tmp_path, name):
    with pytest.raises(FileError, match="choose a place") as caught:
        write(tmp_path / name, "new")
    assert len(str(caught.value)) < 300


def test_a_file_may_have_the_longest_name_that_there_is(tmp_path):
    with new_file(tmp_path / ("n" * 250 + ".html")) as fresh:
        fresh.write_text("page")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["page"]


def test_a_foreign_folder_is_named_with_the_way_to_replace_it(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(FileError, match="--force"):
        write(tmp_path / "thesis", "new")
    with new_folder(tmp_path / "thesis", force=True) as fresh:
        (fresh / "a").write_text("new")
    assert contents(tmp_path / "thesis") == {"a": "new"}


def test_files_of_others_in_a_folder_of_ours_stay(tmp_path):
    project = tmp_path / "project"
    write(project, "old")
    (project / "synthesis").mkdir()
    for number in range(5):
        (project / "synthesis" / f"{number}.log").write_text("two hours")
    with pytest.raises(FileError, match=r"not written: synthesis/0\.log, synthesis/1\.log, .* and 2 more: .*--force"):
        write(project, "new")
    assert (project / "a").read_text() == "old"
    assert len(list((project / "synthesis").iterdir())) == 5
    with new_folder(project, force=True) as fresh:
        (fresh / "a").write_text("new")
    assert contents(project) == {"a": "new"}


@pytest.mark.parametrize("place", [".", "..", "here"])
def test_the_folder_that_one_is_in_is_not_replaced_even_by_force(tmp_path, monkeypatch, place):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here" if place != "here" else tmp_path)
    keep = [tmp_path / "here" / "model.keras"] if place == "here" else []
    what = "'.*model.keras'" if keep else "the folder that you are in"
    with pytest.raises(FileError, match=f"replaced as a whole and holds {what}"):
        check_replaceable(Path(place), force=True, keep=keep)
