"""Ctrl-C while modules are imported: the command ends with status 130, and tells nothing else."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mofmd.processes.signals import SignalHandlers

MODULE = """\
import os, signal
os.kill(os.getpid(), signal.SIGINT)
for _ in range(1000):
    pass  # the interpreter calls handlers between instructions
whole = True
"""
IMPORT = """\
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from mofmd.processes.signals import interrupt_after_imports
interrupt_after_imports()
try:
    import half
    import next_one
    time.sleep(20)
except KeyboardInterrupt:
    print("whole:", half.whole, "next one:", "next_one" in sys.modules, "traced:", sys.gettrace())
"""
CALLED_BACK = """\
import sys
from mofmd.processes.signals import SignalHandlers
told = []
with SignalHandlers(told.append):
    import half
    first = 1
    second = 2
print(told, sys.gettrace())
"""
BOTH = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from mofmd.processes.signals import SignalHandlers, interrupt_after_imports
interrupt_after_imports()
with SignalHandlers():
    import first
    print("goes on")
"""
COMMAND = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupting:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["mofmd", "models", "list"]
from mofmd.cli.entry import main
main()
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_module_is_imported_to_its_end_and_no_other_is_begun(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(MODULE)
    (tmp_path / "next_one.py").write_text("")
    done = run(IMPORT, tmp_path)
    told = "whole: True next one: False traced: None\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


def test_a_handler_that_returns_is_called_once(tmp_path: Path) -> None:
    """The second signal would end the program."""
    (tmp_path / "half.py").write_text(MODULE)
    done = run(CALLED_BACK, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[2] None\n", "")


def test_two_signals_in_one_import(tmp_path: Path) -> None:
    """SIGTERM is not lost to the Ctrl-C that follows it."""
    (tmp_path / "first.py").write_text(MODULE.replace("SIGINT", "SIGTERM") + "import half\n")
    (tmp_path / "half.py").write_text(MODULE)
    done = run(BOTH, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


def test_the_command_ends_quietly(tmp_path: Path) -> None:
    done = run(COMMAND, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_signals_that_end_a_program_wait_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_ended.py").write_text(MODULE.replace("SIGINT", "SIGTERM"))
    monkeypatch.syspath_prepend(tmp_path)

    def work() -> None:
        importlib.import_module("half_ended")
        signal.pause()

    with SignalHandlers(), pytest.raises(SystemExit) as ended:
        work()
    assert ended.value.code == 128 + signal.SIGTERM
    assert sys.modules["half_ended"].whole
