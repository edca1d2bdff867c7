"""Model files made by the frameworks themselves, and what their own calculators say."""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import write

from mofmd.models.deploy import exporting
from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import SUFFIXES, Options
from mofmd.models.environments import Framework, environment_python, requirements_file
from tests.engine.lammps import Result
from tests.engine.systems import SYSTEMS

SCRIPTS = Path(__file__).parents[1] / "frameworks"
CACHE = Path(sys.prefix) / "lib" / "mofmd" / "test-models"


def _framework_python(framework: Framework) -> Path:
    python = environment_python(framework)
    if python is None:
        pytest.skip(f"the {framework} environment is absent: `mofmd env {framework}`")
    return python


def _run(command: list[str]) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep the other processes of the tests from making the same files."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; ``make`` fills it where that has not been done to the end."""
    folder = CACHE / name
    with _alone(name):
        if not (folder / "complete").exists():
            make(folder)
            (folder / "complete").touch()
    return folder


PARTS = {"train_nequip.py": "tiny_nequip.yaml", "make_mace.py": "make_foundation.py"}


def _cached_models(framework: Framework, script: str, *arguments: str) -> Path:
    """Return the folder of a framework's test models, made once per script and pins."""
    python = _framework_python(framework)
    content = (SCRIPTS / script).read_bytes() + requirements_file(framework).read_bytes()
    if script in PARTS:
        content += (SCRIPTS / PARTS[script]).read_bytes()
    content += " ".join(arguments).encode()
    return _made_once(
        f"{framework}-{hashlib.sha256(content).hexdigest()[:16]}",
        lambda folder: _run([str(python), str(SCRIPTS / script), str(folder), *arguments]),
    )


@pytest.fixture(scope="session")
def nequip_models() -> Path:
    """Folder of tiny NequIP and Allegro models: NAME.nequip.pth, NAME.nequip.pt2."""
    return _cached_models("nequip", "make_nequip.py", "--aotinductor")


@pytest.fixture(scope="session")
def mace_models() -> Path:
    """Folder of tiny MACE models: NAME.model and NAME.model-lammps.pt."""
    return _cached_models("mace", "make_mace.py")


@pytest.fixture(scope="session")
def foundation_models() -> Path:
    """Folder of MACE models as wide as the published foundation models: KIND.model."""
    return _cached_models("mace", "make_foundation.py", "exact")


@pytest.fixture(scope="session")
def foundation_packages() -> Path:
    """Folder of NequIP packages of 89 types with ZBL: small, and as wide as NequIP-OAM-L."""
    return _cached_models("nequip", "train_nequip.py", "--foundation")


@pytest.fixture(scope="session")
def sevennet_models() -> Path:
    """Folder of tiny SevenNet checkpoints: NAME.pth."""
    return _cached_models("sevennet", "make_sevennet.py")


@pytest.fixture(scope="session")
def trained_models() -> Path:
    """Folder of tiny trained models as users have them: NAME.ckpt, NAME.nequip.zip."""
    return _cached_models("nequip", "train_nequip.py")


def _exporter_digest() -> str:
    models = Path(exporting.__file__).parents[1]
    files = [*sorted((models / "deploy").glob("*.py")), *sorted((models / "export").glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


class DeployedModels:
    """Exported models, made when a test first asks for them and kept while the exporter is."""

    def __init__(self, sources: dict[str, Path]) -> None:
        self._sources = sources
        self._folder = CACHE / f"deployed-{_exporter_digest()}"
        self._folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, **options: Any) -> Path:
        """Return the file of a model; its name begins with its family.

        SevenNet's checkpoints are float32, always: without another word they are taken to float64.
        """
        if name.startswith("sevennet"):
            options = {"dtype": "float64", **options}
        settings = Options(**options)
        marks = "".join(f"-{value}" for value in options.values())
        path = self._folder / f"{name}{marks}{SUFFIXES[settings.format]}"
        with _alone(f"{self._folder.name}-{path.name}"):
            if not path.exists():
                export(self._sources[name], path, settings)
        return path


@pytest.fixture(scope="session")
def deployed(trained_models: Path, mace_models: Path, sevennet_models: Path) -> DeployedModels:
    """Return the exported model of a name."""
    sources = {file.name.partition(".")[0]: file for file in trained_models.glob("*.ckpt")}
    sources |= {file.stem: file for file in mace_models.glob("*.model")}
    sources |= {file.stem: file for file in sevennet_models.glob("*.pth")}
    sources["nequip-package"] = next(trained_models.glob("*.nequip.zip"))
    return DeployedModels(sources)


class References:
    """Results of the frameworks' own calculators for every model and system."""

    def __init__(self, files: Callable[[Framework], Path]) -> None:
        self._files = files
        self._arrays: dict[Framework, Any] = {}
        self._numbers = {system: number for number, system in enumerate(SYSTEMS)}

    def __call__(self, framework: Framework, model: str, system: str) -> Result:
        """Return the reference of one model and system; stress is NaN without periodicity."""
        if framework not in self._arrays:
            self._arrays[framework] = np.load(self._files(framework))
        arrays = self._arrays[framework]
        key = f"{model}/{self._numbers[system]}"
        stress = f"{key}/stress"
        return Result(
            float(arrays[f"{key}/energy"]),
            arrays[f"{key}/energies"],
            arrays[f"{key}/forces"],
            arrays[stress] if stress in arrays else np.full((3, 3), np.nan),
        )


@pytest.fixture(scope="session")
def references(request: pytest.FixtureRequest) -> References:
    """Evaluate all systems with the models of a framework, in its environment, once."""
    systems = [build() for build in SYSTEMS.values()]
    script = SCRIPTS / "reference.py"
    patterns = {"nequip": "*.nequip.pth", "mace": "*.model", "sevennet": "*.pth"}

    def file_of(framework: Framework) -> Path:
        models: Path = request.getfixturevalue(f"{framework}_models")
        content = script.read_bytes() + models.name.encode()
        for atoms in systems:
            arrays = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
            content += b"".join(array.tobytes() for array in arrays)

        def make(folder: Path) -> None:
            folder.mkdir(exist_ok=True)
            write(folder / "systems.traj", systems)
            files = [
                file
                for file in sorted(models.glob(patterns[framework]))
                if "heads" not in file.name
            ]
            paths = (script, framework, folder / "systems.traj", folder / "results.npz", *files)
            _run([str(_framework_python(framework)), *map(str, paths)])

        name = f"references-{framework}-{hashlib.sha256(content).hexdigest()[:16]}"
        return _made_once(name, make) / "results.npz"

    return References(file_of)
