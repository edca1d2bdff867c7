"""Files are written as a whole, in the place that was named, or it is said why not."""

import os
import resource
import stat
import threading
from pathlib import Path

import pytest

from mofmd.disk.atomic import folder_beside, write_atomic, writing
from mofmd.disk.output import check_output, make_folder
from mofmd.errors import InputError, WriteError


def test_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "Å\n")
    write_atomic(path, b"second\n")
    assert path.read_bytes() == b"second\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Of files whose names hold any bytes, which Python keeps as lone surrogates."""
    path = tmp_path / "out\udcff.txt"
    write_atomic(path, f"{path.name}\n")
    assert path.read_text(encoding="utf-8") == "out\\udcff.txt\n"


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.mkdir()  # cannot be replaced by a file
    with pytest.raises(WriteError, match=r"a\.txt: cannot be written: Is a directory"):
        write_atomic(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_no_room(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(WriteError, match=r"a\.txt: cannot be written: File too large"):
            write_atomic(path, "new" * 1000)
        with (
            pytest.raises(WriteError, match=r"deck: cannot be written: File too large"),
            folder_beside(tmp_path / "deck") as work,
        ):
            (work / "b.txt").write_text("new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "a.txt")
    write_atomic(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "a.txt").read_text() == "new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """As the devices of ``-o /dev/stdout`` are, which must never be replaced by a file."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(path.read_text()))
    reader.start()
    write_atomic(path, "new")
    reader.join(timeout=10)
    assert found == ["new"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_the_outermost_names_what_people_know(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    with (
        pytest.raises(WriteError, match=r"ensemble: cannot be written: Is a directory"),
        writing(tmp_path / "ensemble"),
    ):
        write_atomic(tmp_path / "part", "new")


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = r"file/x/y: cannot be written: \S+file is a file, expected a folder"
    for refuse in (make_folder, check_output):
        with pytest.raises(WriteError, match=told):
            refuse(tmp_path / "file" / "x" / "y")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        check_output(tmp_path / "file")
    with pytest.raises(WriteError, match="/proc/x: cannot be written"):
        make_folder(Path("/proc/x"))
    check_output(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
