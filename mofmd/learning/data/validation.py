"""Is a set of labels fit to be learned? Refusals that name the frame and what is suspected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.geometry.minimum_image import short_vectors
from mofmd.geometry.neighbours import find_pairs
from mofmd.learning.data.dataset import Labels, labels_of, not_a_number, unusable
from mofmd.structures.molecules import box_of, is_molecule
from mofmd.units import BAR_TO_EV_PER_A3, BAR_TO_GPA, EV_TO_KJ_PER_MOL

# Root mean square of the forces of frameworks in dynamics at 300-2200 K is 0.9-1.9 eV/Å; distorted
# frames reach a few times that. Beyond the band the numbers are in other units, or a disaster.
FORCE_BAND = (0.1, 12.0)  # eV/Å
FORCE_TYPICAL = (0.4, 5.0)
MOVING_K = 150.0  # a frame of dynamics at this temperature or above has forces within the band
STRESS_LARGEST = 0.3  # eV/Å³, 48 GPa: several times the strength of a framework
STRESS_TYPICAL = (5e-4, 0.1)
ENERGY_SPREAD_LARGEST = 5.0  # eV/atom between frames of one composition
CLOSEST_A = 0.5
# an energy step between neighbouring frames may differ from the work of the forces by this factor
WORK_RATIO = (0.6, 1.7)
LARGEST_MOVE_A = 0.3
LEAST_STEPS = 5

KCAL = EV_TO_KJ_PER_MOL / 4.184
HARTREE = 27.211386245988  # eV, CODATA 2018
BOHR = 0.529177210903  # Å, CODATA 2018
_FORCE_UNITS = {
    "kcal/mol/Å": 1 / KCAL,
    "kJ/mol/Å": 1 / EV_TO_KJ_PER_MOL,
    "kJ/mol/nm": 0.1 / EV_TO_KJ_PER_MOL,
    "meV/Å": 1e-3,
    "Ry/Bohr": HARTREE / 2 / BOHR,
    "Hartree/Bohr": HARTREE / BOHR,
}
_ENERGY_UNITS = {
    "kcal/mol": 1 / KCAL,
    "kJ/mol": 1 / EV_TO_KJ_PER_MOL,
    "meV": 1e-3,
    "Ry": HARTREE / 2,
    "Hartree": HARTREE,
}
_STRESS_UNITS = {
    "GPa": BAR_TO_EV_PER_A3 / BAR_TO_GPA,
    "kbar": 1e3 * BAR_TO_EV_PER_A3,
    "bar": BAR_TO_EV_PER_A3,
}


@dataclass(frozen=True)
class Expectation:
    """What a set of frames shall be.

    Parameters
    ----------
    species
        Elements that may occur; None for any.
    needs_stress
        Whether each periodic frame must have a stress, and there must be one. Molecules have none,
        and may be among them.
    """

    species: tuple[str, ...] | None = None
    needs_stress: bool = True


def check_frames(frames: Sequence[Atoms], expectation: Expectation | None = None) -> None:
    """Refuse a set of labelled frames that a model must not be trained on.

    Raises
    ------
    InputError
        Naming the frame, what is wrong and what it may come from.
    """
    expectation = expectation or Expectation()
    if not frames:
        raise InputError("frames: none; give files with labelled frames")
    labels = []
    for k, frame in enumerate(frames):
        try:
            labels.append(_check_frame(frame, expectation))
        except InputError as error:
            raise InputError(f"{frame_name(frames, k)}: {error}") from error
    stresses = [each.stress_eV_per_A3 for each in labels]
    if expectation.needs_stress and all(stress is None for stress in stresses):
        raise InputError(
            f"{frame_name(frames, 0)}: is a molecule, which has no stress, and so are all others: "
            "do without (--no-stress)"
        )
    check_stresses(labels)
    check_energy_spread(frames, labels)
    check_work(frames, labels)


def frame_name(frames: Sequence[Atoms], k: int) -> str:
    """Name a frame as a person finds it: its number from zero and, where known, its trajectory."""
    trajectory = frames[k].info.get("trajectory")
    return f"frame {k}" if trajectory is None else f"frame {k} (trajectory {trajectory})"


def _check_frame(frame: Atoms, expectation: Expectation) -> Labels:
    check_structure_of_frame(frame, expectation.species)
    labels = labels_of(frame)
    stress = labels.stress_eV_per_A3
    if reason := unusable(frame, labels):
        raise InputError(f"{reason}; label the frame again, or leave it out")
    if stress is None and expectation.needs_stress and not is_molecule(frame):
        raise InputError(
            "has no stress; label it with a method that gives one, or train without (--no-stress)"
        )
    _check_force_size(frame, labels.forces_eV_per_A)
    if stress is not None:
        _check_stress_size(stress)
    return labels


def check_structure_of_frame(frame: Atoms, species: tuple[str, ...] | None = None) -> None:
    """Refuse elements that are not expected, a cell without volume, and atoms on each other.

    A molecule has no cell, and needs none.
    """
    others = sorted(set(frame.symbols) - set(species)) if species is not None else []
    if others and species is not None:
        raise InputError(
            f"holds {', '.join(others)}; this set is of {' '.join(species)}. Leave such frames "
            "out, or name the elements as the model's"
        )
    if reason := not_a_number("positions", frame.positions):
        raise InputError(f"{reason}; leave the frame out")
    if not is_molecule(frame) and not (frame.pbc.all() and np.linalg.det(frame.cell.array) > 0):
        raise InputError(
            "has no right-handed cell that is periodic in three directions, and is no molecule, "
            "which is periodic in none"
        )
    pairs = find_pairs(frame.positions, box_of(frame, 2 * CLOSEST_A), CLOSEST_A)
    if len(pairs.first):
        closest = int(np.argmin(pairs.distances))
        i, j = pairs.first[closest], pairs.second[closest]
        raise InputError(
            f"atoms {i} ({frame.symbols[i]}) and {j} ({frame.symbols[j]}) are "
            f"{pairs.distances[closest]:.2f} Å apart: positions in other units (Bohr? "
            "fractional?), or atoms on top of each other"
        )


def _check_force_size(frame: Atoms, forces: np.ndarray) -> None:
    size = float(np.sqrt(np.mean(np.square(forces))))
    moving = float(frame.info.get("temperature_K", 0.0)) >= MOVING_K
    if size > FORCE_BAND[1] or (moving and size < FORCE_BAND[0]):
        units = suspects(size, _FORCE_UNITS, FORCE_TYPICAL)
        raise InputError(
            f"forces are {size:.3g} eV/Å in the root mean square; dynamics gives "
            f"{FORCE_TYPICAL[0]:g} to {FORCE_TYPICAL[1]:g}. "
            + (
                f"Are they in {units}? Convert them to eV/Å"
                if units
                else "Leave out frames that have blown up"
            )
        )


def _check_stress_size(stress: np.ndarray) -> None:
    size = float(np.abs(stress).max())
    if size > STRESS_LARGEST:
        units = suspects(size, _STRESS_UNITS, STRESS_TYPICAL)
        raise InputError(
            f"stress reaches {size:.3g} eV/Å³ ({size / _STRESS_UNITS['GPa']:.0f} GPa): "
            + (f"is it in {units}? " if units else "")
            + "Expected is eV/Å³, tension positive; a virial in eV is divided by the volume"
        )


def suspects(size: float, units: dict[str, float], typical: tuple[float, float]) -> str:
    """Units in which a number would be of a typical size."""
    return " or ".join(
        name for name, factor in units.items() if typical[0] <= size * factor <= typical[1]
    )


def check_stresses(labels: Sequence[Labels]) -> None:
    """Refuse stresses that are zero in every frame: they were filled in, not computed."""
    stresses = [each.stress_eV_per_A3 for each in labels if each.stress_eV_per_A3 is not None]
    if stresses and not np.any(stresses):
        raise InputError(
            "stress: zero in every frame: filled in where the method gave none? Leave it out and "
            "train without (--no-stress), or label again with a method that gives it"
        )


def check_energy_spread(frames: Sequence[Atoms], labels: Sequence[Labels]) -> None:
    """Refuse energies of one composition that lie farther apart than chemistry allows."""
    groups: dict[str, list[int]] = {}
    for k, frame in enumerate(frames):
        groups.setdefault(frame.get_chemical_formula(), []).append(k)
    groups = {name: rows for name, rows in groups.items() if len(rows) > 1}
    for rows in groups.values():
        energies = np.array([labels[k].energy_eV / len(frames[k]) for k in rows])
        centre = float(np.median(energies))
        worst = int(np.argmax(np.abs(energies - centre)))
        if abs(energies[worst] - centre) > ENERGY_SPREAD_LARGEST:
            raise InputError(
                f"{frame_name(frames, rows[worst])}: energy {energies[worst]:.2f} eV/atom, others "
                f"of this composition {centre:.2f}: another unit, another reference method, or a "
                "calculation that did not converge"
            )


def check_work(frames: Sequence[Atoms], labels: Sequence[Labels]) -> None:
    """Compare energy steps between neighbouring frames with the work of the forces.

    Between two close frames of a trajectory in one cell ΔE ≈ −½ (F₁ + F₂)·Δr; energies in other
    units than forces show as a factor.

    Raises
    ------
    InputError
        If the slope of ΔE against the work is far from one, naming units that have this ratio.
    """
    steps, works = _energy_steps(frames, labels)
    if len(works) < LEAST_STEPS or not np.any(works):
        return
    slope = float(works @ steps / (works @ works))
    correlation = float(works @ steps / np.sqrt((works @ works) * (steps @ steps)))
    if abs(correlation) < 0.9:  # the frames are too far apart for this to say anything
        return
    if WORK_RATIO[0] <= slope <= WORK_RATIO[1]:
        return
    if slope < 0:
        reason = "the forces have the wrong sign (gradients instead of forces?)"
    else:
        reasons = [
            f"energies in {name}, forces in eV/Å"
            for name, factor in _ENERGY_UNITS.items()
            if WORK_RATIO[0] <= slope * factor <= WORK_RATIO[1]
        ] + [
            f"energies in eV, forces in {name}"
            for name, factor in _FORCE_UNITS.items()
            if WORK_RATIO[0] <= slope / factor <= WORK_RATIO[1]
        ]
        reason = " or ".join(reasons) or "energies and forces are in different units"
    raise InputError(
        f"energy steps along trajectories are {slope:.3g} times the work of the forces: {reason}"
    )


def _energy_steps(
    frames: Sequence[Atoms], labels: Sequence[Labels]
) -> tuple[np.ndarray, np.ndarray]:
    steps, works = [], []
    for k in range(len(frames) - 1):
        a, b = frames[k], frames[k + 1]
        if (
            a.info.get("trajectory") != b.info.get("trajectory")
            or not np.array_equal(a.numbers, b.numbers)
            or not np.array_equal(a.pbc, b.pbc)
            or not np.allclose(a.cell.array, b.cell.array, atol=1e-8)
        ):
            continue
        moves = b.positions - a.positions
        if not is_molecule(a):
            moves = short_vectors(moves, a.cell.array)
        if np.abs(moves).max() > LARGEST_MOVE_A:
            continue
        mean_force = 0.5 * (labels[k].forces_eV_per_A + labels[k + 1].forces_eV_per_A)
        works.append(-float(np.sum(mean_force * moves)))
        steps.append(labels[k + 1].energy_eV - labels[k].energy_eV)
    return np.array(steps), np.array(works)
