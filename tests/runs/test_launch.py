import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mofmd.engine import launch
from mofmd.engine.launch import (
    Conversation,
    Launch,
    Resources,
    environment,
    find_program,
    how_it_ended,
    lammps_command,
    run_to_end,
)
from mofmd.errors import InputError, MissingFileError, StoppedError
from tests.processes import Token

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


# a child in a session of its own, as MPI's ranks are, one that ignores SIGTERM, and an orphan
SCATTERED = "setsid sleep 300 & (trap '' TERM; sleep 300; sleep 300) & (sleep 300 &) ; wait"


@pytest.mark.parametrize("end", ["kill", "terminate", "leave"])
def test_nothing_outlives_the_launcher(tmp_path, end):
    """However the launcher ends, and wherever its processes have gone."""
    program = (
        "import os, sys; from pathlib import Path; from mofmd.engine import launch\n"
        "launch.GRACE_SECONDS = 0.5\n"
        f"with launch.Launch(['sh', '-c', {SCATTERED!r}], Path('.'), dict(os.environ)) as p:\n"
        "    if not sys.stdin.readline(): p.wait()\n"
    )
    token = Token()
    python = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=token.environment,
    )
    token.wait_for("sleep 300", count=3)
    assert python.stdin is not None
    if end == "leave":
        python.stdin.write(b"end\n")
    else:
        getattr(python, end)()
    python.stdin.close()
    python.wait(timeout=20)
    token.wait_until_gone(seconds=10)


def test_a_launcher_within_a_launch_takes_its_own_along(tmp_path):
    """The inner launcher is killed with the outer one, and with it what it launched itself."""
    inner = (
        "import os; from pathlib import Path; from mofmd.engine.launch import run_to_end\n"
        "run_to_end(['sleep', '300'], Path('.'), dict(os.environ))"
    )
    outer = (
        "import os, sys; from pathlib import Path; from mofmd.engine.launch import run_to_end\n"
        f"run_to_end([sys.executable, '-c', {inner!r}], Path('.'), dict(os.environ))"
    )
    token = Token()
    python = subprocess.Popen([sys.executable, "-c", outer], cwd=tmp_path, env=token.environment)
    token.wait_for("sleep 300")
    python.kill()
    python.wait()
    token.wait_until_gone(seconds=10)


def test_an_orphan_that_holds_the_output_does_not_keep_us(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "LINGER_SECONDS", 0.1)
    began = time.monotonic()
    done = run_to_end(["sh", "-c", "setsid sleep 300 & echo said; exit 4"], tmp_path, os.environ)
    assert (done.status, done.output) == (4, "said")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "script", ["sleep 300", "while echo again; do :; done", "exec >&-; sleep 300"]
)
def test_time_limit(tmp_path, script):
    """Of a silent process, of one that never falls silent, and of one that closes its output."""
    token = Token()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.5 s"):
        run_to_end(["sh", "-c", script], tmp_path, token.environment, time_limit_s=0.5)
    token.wait_until_gone(seconds=0.0)


def test_another_thread_stops_a_launch(tmp_path):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    token = Token()
    with pytest.raises(StoppedError):
        run_to_end(["sleep", "300"], tmp_path, token.environment, stop=stop)
    token.wait_until_gone(seconds=0.0)


def test_a_conversation(tmp_path):
    with Conversation(["cat"], tmp_path, {}) as process:
        for word in ("one", "two"):
            process.tell(word)
            assert process.next_line() == word
    with Conversation(["true"], tmp_path, {}) as process:
        assert process.next_line() is None
        assert process.wait() == 0
        with pytest.raises(BrokenPipeError):
            process.tell("x" * 100_000)


def test_lines_of_any_kind(tmp_path):
    script = r"printf 'a\r10%%\r20%%\r\nb\303'; sleep 0.1; printf '\251\377\nno end'"
    assert run_to_end(["sh", "-c", script], tmp_path, {}).output.split("\n") == [
        "a", "10%", "20%", "bé\N{REPLACEMENT CHARACTER}", "no end"
    ]  # fmt: skip


def test_how_processes_end():
    assert how_it_ended(3) == "ended with status 3"
    assert how_it_ended(-signal.SIGKILL) == "was killed by SIGKILL (out of memory?)"
    assert how_it_ended(137) == "ended with status 137, as after SIGKILL"
    assert how_it_ended(256 - 11) == "ended with status 245, as after SIGSEGV"
    assert how_it_ended(-signal.SIGSEGV) == "was killed by SIGSEGV"


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


def test_the_error_of_a_rank_whose_output_is_lost(tmp_path):
    (tmp_path / "ranks.py").write_text(
        "import os, sys\n"
        "from mofmd.engine.mpi_guard import guarded\n"
        "def main(comm):\n"
        "    if comm.rank == 1:\n"
        "        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n"
        "        raise ValueError('of rank 1')\n"
        "    comm.Barrier()\n"
        "    return 0\n"
        "sys.exit(guarded(main))\n"
    )
    command = [str(find_program("mpirun")), "-n", "2", sys.executable, "ranks.py"]
    done = run_to_end(command, tmp_path, environment(Resources(ranks=2)), time_limit_s=60)
    assert done.status == 1
    assert done.output.splitlines()[-1] == "ERROR: ValueError: of rank 1"
    assert [file.name for file in tmp_path.iterdir()] == ["ranks.py"]


def test_an_error_that_arrived_is_told_once(tmp_path):
    script = "echo ERROR: one; printf 'ERROR: one' > $MOFMD_LAST_WORDS"
    done = run_to_end(["sh", "-c", script], tmp_path, os.environ)
    assert done.output == "ERROR: one"
