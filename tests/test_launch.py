import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mofmd.engine import launch
from mofmd.engine.launch import Launch, Resources, environment, find_program, lammps_command
from mofmd.errors import InputError, MissingFileError

# a parent with a child of its own, as mpirun and the lmp wrapper are; both print their number
FAMILY = "echo $$; sleep 300 & echo $!; wait"


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie that waits for its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def wait_until_gone(pids: list[int]) -> bool:
    for _ in range(200):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_lines_and_status(tmp_path):
    with Launch(["sh", "-c", "echo one; echo two >&2; exit 3"], tmp_path, {}) as process:
        assert list(process.lines()) == ["one", "two"]
        assert process.wait() == 3


def interrupted_family(directory: Path, pids: list[int]) -> None:
    """Note the family's two numbers, then leave as Ctrl-C does."""
    with Launch(["sh", "-c", FAMILY], directory, dict(os.environ)) as process:
        for line in process.lines():
            pids.append(int(line))
            if len(pids) == 2:
                raise KeyboardInterrupt


def test_leaving_the_block_early_ends_the_whole_family(tmp_path):
    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_family(tmp_path, pids)
    assert wait_until_gone(pids)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "GRACE_SECONDS", 0.05)
    script = "trap '' TERM; echo $$; while true; do sleep 0.01; done"
    with Launch(["sh", "-c", script], tmp_path, dict(os.environ)) as process:
        pid = int(next(process.lines()))
    assert wait_until_gone([pid])


def test_a_child_that_outlives_its_parent_is_swept_up(tmp_path):
    script = "sleep 300 >/dev/null 2>&1 & echo $!"
    with Launch(["sh", "-c", script], tmp_path, dict(os.environ)) as process:
        pids = [int(line) for line in process.lines()]
        assert process.wait() == 0
    assert wait_until_gone(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_python_ends_the_family(tmp_path, number):
    program = (
        "import os; from pathlib import Path; from mofmd.engine.launch import Launch\n"
        f"with Launch(['sh', '-c', {FAMILY!r}], Path('.'), dict(os.environ)) as p:\n"
        "    for line in p.lines(): print(line, flush=True)\n"
    )
    python = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert python.stdout is not None
    pids = [int(python.stdout.readline()) for _ in range(2)]
    python.send_signal(number)
    assert python.wait() == 128 + number
    python.stdout.close()
    assert wait_until_gone(pids)


def test_signal_handlers_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with Launch(["true"], tmp_path, {}) as process:
        process.wait()
    assert signal.getsignal(signal.SIGTERM) is before
    with (
        pytest.raises(FileNotFoundError, match="no-such-program"),
        Launch(["no-such-program"], tmp_path, {}),
    ):
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_not_entered(tmp_path):
    with pytest.raises(RuntimeError, match="context manager"):
        Launch(["true"], tmp_path, {}).wait()


def test_programs_beside_python_come_first(tmp_path, monkeypatch):
    for folder in ("prefix/bin", "path"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("lmp", "mpirun"):
            (tmp_path / folder / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_program("lmp") == tmp_path / "prefix/bin/lmp"
    lmp, mpirun = str(tmp_path / "prefix/bin/lmp"), str(tmp_path / "prefix/bin/mpirun")
    arguments = ["-in", "in.lammps", "-log", "log.lammps", "-nonbuf"]
    assert lammps_command("in.lammps", Resources()) == [lmp, *arguments]
    assert lammps_command("in.lammps", Resources(ranks=2)) == [mpirun, "-n", "2", lmp, *arguments]
    (tmp_path / "prefix/bin/lmp").unlink()
    assert find_program("lmp") == tmp_path / "path/lmp"
    (tmp_path / "path/lmp").unlink()
    with pytest.raises(MissingFileError, match=r"lmp: neither in .* nor on PATH; install it with"):
        find_program("lmp")


def test_threads_of_the_environment():
    found = environment(Resources(threads=2))
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("2", "2")
    assert found["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(("name", "value"), [("ranks", 0), ("threads", -1), ("ranks", 1.5)])
def test_refuses_counts(name, value):
    with pytest.raises(InputError, match=f"{name}: {value}, expected a whole number"):
        Resources(**{name: value})
