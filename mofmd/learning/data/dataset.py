"""Labelled frames: energies, forces and stresses of structures, as extended XYZ.

A frame is an ``ase.Atoms`` with a ``SinglePointCalculator``: energy [eV], forces [eV/Å], stress
[eV/Å³, tension positive]. Its ``info`` says where it comes from: ``trajectory`` (frames of one are
correlated and stay together in a split), ``origin`` (the structure that the trajectory began with),
``phase`` and ``temperature_K``; ``config_weight`` is its weight in MACE's loss. A molecule has no
cell and no stress; one that was cut out of a framework says how in its ``info`` and in columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols

from mofmd.disk.atomic import write_atomic
from mofmd.disk.npz import read_arrays
from mofmd.disk.output import make_folder
from mofmd.errors import InputError, MissingFileError, absent
from mofmd.models.dispersion.theory import KEY as THEORY
from mofmd.relaxation.store import STATE, TRAJECTORY
from mofmd.structures.read import BUILDERS, is_structure, read_structure, split_choice
from mofmd.structures.reading import choose_index

WEIGHT = "config_weight"  # of a frame in the loss, as mace_run_train calls it
INFO = ("trajectory", "origin", "phase", "temperature_K", "source", THEORY, WEIGHT)
# of molecules cut out of a framework (mofmd.learning.clusters)
CLUSTER_INFO = ("cluster", "core", "charge", "multiplicity", "frame")
NOVELTY = "novelty"  # how new an atom is to a model, by mofmd.learning.density
COLUMNS = ("role", "frame_atom", "image", "flagged", NOVELTY)
HOT_K = 1000.0  # short runs from a crystal or glass above this are counted as the phase "hot"
ASYMMETRY = 1e-2  # of the largest component; float32 models reach 1e-4
ASYMMETRIC = "the stress is not symmetric: are its nine numbers the stress?"
_NPZ = ("positions", "cell", "numbers", "energy", "forces")


@dataclass(frozen=True)
class Labels:
    """What a reference method says of one structure of N atoms.

    Parameters
    ----------
    energy_eV
        Potential energy.
    forces_eV_per_A
        (N, 3).
    stress_eV_per_A3
        (3, 3), tension positive; None where the method gives none.
    """

    energy_eV: float
    forces_eV_per_A: np.ndarray
    stress_eV_per_A3: np.ndarray | None


def unusable(atoms: Atoms, labels: Labels) -> str:
    """Why labels cannot be those of a structure; empty where they can."""
    arrays = {"forces": (labels.forces_eV_per_A, (len(atoms), 3))}
    if labels.stress_eV_per_A3 is not None:
        arrays["stress"] = (labels.stress_eV_per_A3, (3, 3))
    for name, (array, shape) in arrays.items():
        if np.shape(array) != shape:
            verb = "have" if name == "forces" else "has"
            return f"{name} {verb} shape {np.shape(array)}, expected {shape}"
    values = {"energy": np.array(labels.energy_eV), **{k: v for k, (v, _) in arrays.items()}}
    for name, array in values.items():
        if reason := not_a_number(name, array):
            return reason
    if labels.stress_eV_per_A3 is not None and not _is_symmetric(labels.stress_eV_per_A3):
        return ASYMMETRIC
    return ""


def not_a_number(name: str, values: np.ndarray) -> str:
    """Which of values is not a number, and of which atom; empty where all are."""
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return ""
    where = f" of atom {bad[0][0]}" if name in ("forces", "positions") else ""
    return f"{name}{where} is not a number"


def _is_symmetric(stress: np.ndarray) -> bool:
    return not np.abs(stress - stress.T).max() > ASYMMETRY * np.abs(stress).max()


def labelled(atoms: Atoms, labels: Labels) -> Atoms:
    """Copy a structure, with its ``info`` of this package, and attach labels.

    Raises
    ------
    InputError
        If the stress is not symmetric.
    """
    frame = bare(atoms)
    results: dict[str, Any] = {"energy": labels.energy_eV, "forces": labels.forces_eV_per_A}
    stress = labels.stress_eV_per_A3
    if stress is not None:
        if not _is_symmetric(stress):
            raise InputError(ASYMMETRIC)
        results["stress"] = (0.5 * (stress + stress.T)).flat[[0, 4, 8, 5, 2, 1]]
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


def bare(atoms: Atoms) -> Atoms:
    """Copy elements, positions, cell, periodicity, and the ``info`` and columns of this package.

    Labels are not copied.
    """
    frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    frame.info = {key: atoms.info[key] for key in (*INFO, *CLUSTER_INFO) if key in atoms.info}
    for name in COLUMNS:
        if name in atoms.arrays:
            frame.set_array(name, atoms.arrays[name])
    return frame


def without_stress(frame: Atoms) -> Atoms:
    """Copy a labelled frame without its stress."""
    labels = labels_of(frame)
    return labelled(frame, Labels(labels.energy_eV, labels.forces_eV_per_A, None))


def labels_of(frame: Atoms) -> Labels:
    """Read the labels of a frame as they are stored: nothing is computed.

    Raises
    ------
    InputError
        If it has no energy or no forces.
    """
    results = frame.calc.results if frame.calc is not None else {}
    missing = [name for name in ("energy", "forces") if name not in results]
    if missing:
        raise InputError(
            f"has no {' and no '.join(missing)}: label it (`mofmd learn label`), or store labels "
            "in extended XYZ as energy, forces and stress"
        )
    energy = _numbers("energy", results["energy"])
    if energy.size != 1:
        raise InputError(f"energy: {energy.size} numbers, expected one")
    stress = results.get("stress")
    return Labels(
        energy.item(),
        _numbers("forces", results["forces"]),
        None if stress is None else stress_matrix(_numbers("stress", stress)),
    )


def _numbers(name: str, value: Any) -> np.ndarray:
    """Array of a label; text where numbers should be is told by the label's name."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: {value!r}, expected numbers") from None


def stress_matrix(stress: np.ndarray) -> np.ndarray:
    """(3, 3) of a stress in ASE's Voigt order (xx yy zz yz xz xy), of nine numbers or of (3, 3)."""
    if stress.size == 9:
        return stress.reshape(3, 3)
    if stress.size != 6:
        raise InputError(f"stress: shape {stress.shape}, expected (3, 3), 9 or 6 numbers")
    return np.asarray(stress.reshape(6)[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]])


def read_frames(path: Path) -> list[Atoms]:
    """Read frames, labelled or not, from extended XYZ or from an npz file of arrays.

    A CIF, POSCAR or LAMMPS data file is one frame; FILE#NUMBER is one of several. A frame without
    ``trajectory`` belongs to the trajectory named as its file, or as the folder of a relaxation.

    Raises
    ------
    MissingFileError, InputError
        If there is no such file or it cannot be read.
    """
    if not split_choice(path)[0].is_file() and str(path) not in BUILDERS:
        raise MissingFileError(f"{path}: {absent(path, 'file of frames')}")
    if path.suffix == ".npz":
        return read_npz(path)
    file, choice = split_choice(path)
    if is_structure(file):
        frames = [read_structure(path)]
    else:
        frames = _read_extxyz(file)
        if choice is not None:
            frames = [frames[choose_index(len(frames), choice, "frame")]]
    of_relaxation = path.name == TRAJECTORY and (path.parent / STATE).exists()
    named = path.resolve().parent.name if of_relaxation else path.name.split(".")[0]
    for frame in frames:
        frame.info.setdefault("trajectory", named)
        frame.info["trajectory"] = str(frame.info["trajectory"])
        for name in ("origin", "phase", THEORY):
            if name in frame.info:
                frame.info[name] = str(frame.info[name])
        if WEIGHT in frame.info:
            give_weight(frame, frame.info[WEIGHT], f"{path}: {WEIGHT}")
    return frames


def give_weight(frame: Atoms, value: Any, what: str) -> None:
    """Give a frame its weight in the loss, in place; one of weight 1 has no key for it.

    Parameters
    ----------
    value
        As it is given.
    what
        Named in messages.

    Raises
    ------
    InputError
        If it is no finite number, or below zero.
    """
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = np.nan
    if not (np.isfinite(weight) and weight >= 0):
        raise InputError(f"{what}: {str(value)!r}, expected a number of 0 or more")
    frame.info.pop(WEIGHT, None)
    if weight != 1.0:
        frame.info[WEIGHT] = weight


def _read_extxyz(path: Path) -> list[Atoms]:
    from ase.io import read

    try:
        frames = read(path, index=":", format="extxyz")
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as extended XYZ: {type(error).__name__}: {error}"
        ) from error
    return list(frames)


def read_npz(path: Path, origins: Sequence[str] = ()) -> list[Atoms]:
    """Read frames of one size from arrays, one row a frame.

    Parameters
    ----------
    path
        ``positions`` (n, N, 3) [Å], ``cell`` (n, 3, 3) [Å], ``numbers`` (n, N), ``energy`` (n,)
        [eV], ``forces`` (n, N, 3) [eV/Å]; if there, ``stress`` (n, 3, 3) [eV/Å³, tension
        positive], ``trajectory``, ``origin``, ``phase``, ``source``, ``level_of_theory``,
        ``start``, ``temperature_K`` and ``config_weight`` (n,); NaN in the last two: not given.
    origins
        Names of the structures that ``start`` numbers. The phase is then the origin's name without
        its number (crystal, glass), or ``hot`` from 1000 K on.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: {absent(path, 'file of frames')}")
    arrays = read_arrays(path)
    _check_arrays(path, arrays)
    return [_npz_frame(path, arrays, k, origins) for k in range(len(arrays["energy"]))]


def _check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that are missing, or whose shapes do not fit each other."""
    missing = [name for name in _NPZ if name not in arrays]
    if missing:
        raise InputError(f"{path}: has no array {missing[0]!r}; it needs {', '.join(_NPZ)}")
    count = len(np.atleast_1d(arrays["energy"]))
    for name, array in arrays.items():
        rows = array.shape[0] if array.ndim else "no"
        if rows != count:
            raise InputError(f"{path}: {name} has {rows} rows, energy has {count}")
    n_atoms = arrays["numbers"].shape[-1]
    shapes = {
        "energy": (count,),
        "numbers": (count, n_atoms),
        "positions": (count, n_atoms, 3),
        "forces": (count, n_atoms, 3),
        "cell": (count, 3, 3),
        "stress": (count, 3, 3),
        WEIGHT: (count,),
    }
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            raise InputError(f"{path}: {name} has shape {arrays[name].shape}, expected {shape}")
    numbers = arrays["numbers"]
    if count and not ((numbers >= 1) & (numbers < len(chemical_symbols))).all():
        raise InputError(f"{path}: numbers holds what is no atomic number")


def _npz_frame(path: Path, arrays: dict[str, np.ndarray], k: int, origins: Sequence[str]) -> Atoms:
    atoms = Atoms(
        arrays["numbers"][k].astype(int),
        positions=arrays["positions"][k].astype(np.float64),
        cell=arrays["cell"][k],
        pbc=True,
    )
    stress = arrays["stress"][k].astype(np.float64) if "stress" in arrays else None
    labels = Labels(float(arrays["energy"][k]), arrays["forces"][k].astype(np.float64), stress)
    frame = labelled(atoms, labels)
    trajectory = arrays["trajectory"][k] if "trajectory" in arrays else 0
    is_name = isinstance(trajectory, str)
    frame.info["trajectory"] = str(trajectory) if is_name else f"{path.stem}:{trajectory}"
    for name in ("origin", "phase", "source", THEORY):
        if name in arrays and arrays[name][k]:
            frame.info[name] = str(arrays[name][k])
    if "temperature_K" in arrays and np.isfinite(arrays["temperature_K"][k]):
        frame.info["temperature_K"] = float(arrays["temperature_K"][k])
    if WEIGHT in arrays and str(arrays[WEIGHT][k]) != "nan":
        give_weight(frame, arrays[WEIGHT][k], f"{path}: {WEIGHT}")
    if "start" in arrays and origins:
        start = int(arrays["start"][k])
        if not 0 <= start < len(origins):
            raise InputError(f"{path}: frame {k} starts from number {start}, which has no name")
        frame.info["origin"] = origins[start]
        hot = frame.info.get("temperature_K", 0.0) >= HOT_K
        frame.info["phase"] = "hot" if hot else origins[start].rstrip("0123456789-_")
    return frame


def write_npz(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled frames of one size as compressed arrays, a fifth of extended XYZ.

    Positions, forces and stress are rounded to float32: 1e-6 Å, or 1e-4 eV/Å at a linker's bonds.

    Raises
    ------
    InputError
        If the frames differ in their number of atoms, or some have no stress.
    """
    import io

    labels = [labels_of(frame) for frame in frames]
    if len({len(frame) for frame in frames}) != 1:
        raise InputError(f"{path}: an npz file takes frames of one number of atoms; use extxyz")
    if any(each.stress_eV_per_A3 is None for each in labels):
        raise InputError(f"{path}: an npz file takes frames with stress; use extxyz")

    def words(name: str) -> np.ndarray:
        return np.array([str(frame.info.get(name, "")) for frame in frames])

    temperatures = [float(frame.info.get("temperature_K", np.nan)) for frame in frames]
    given = [name for name in ("source", THEORY) if any(name in frame.info for frame in frames)]
    further: dict[str, Any] = {name: words(name) for name in given}
    if any(WEIGHT in frame.info for frame in frames):
        further[WEIGHT] = np.array([frame.info.get(WEIGHT, np.nan) for frame in frames])
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        positions=np.array([frame.positions for frame in frames], np.float32),
        cell=np.array([frame.cell.array for frame in frames]),
        numbers=np.array([frame.numbers for frame in frames], np.uint8),
        energy=np.array([each.energy_eV for each in labels]),
        forces=np.array([each.forces_eV_per_A for each in labels], np.float32),
        stress=np.array([each.stress_eV_per_A3 for each in labels], np.float32),
        temperature_K=np.array(temperatures),
        trajectory=words("trajectory"),
        origin=words("origin"),
        phase=words("phase"),
        **further,
    )
    make_folder(path.parent)
    write_atomic(path, buffer.getvalue())


def write_frames(path: Path, frames: Sequence[Atoms]) -> None:
    """Write frames as extended XYZ, or labelled ones as npz by the name: all or nothing."""
    import io

    if path.suffix == ".npz":
        write_npz(path, frames)
        return

    from ase.io import write

    clean = [labelled(frame, labels_of(frame)) if frame.calc else bare(frame) for frame in frames]
    buffer = io.StringIO()
    if clean:
        write(buffer, clean, format="extxyz")
    make_folder(path.parent)
    write_atomic(path, buffer.getvalue())
