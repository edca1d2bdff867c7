"""Do a labeller's forces and stress belong to its energy? Finite differences, before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.geometry.deform import deformed
from mofmd.learning.data.dataset import bare, labels_of, unusable
from mofmd.learning.label.labellers import Label
from mofmd.structures.molecules import is_molecule
from mofmd.units import BAR_TO_EV_PER_A3, BAR_TO_GPA

STRAIN = 4e-3
STEP_A = 0.01  # of the atom that moves most
TOLERANCE = 0.1  # of the derivative; what is looked for are factors and signs
# deformation that gives the frame stresses in all components: crystals at rest have none
DEFORMATION = np.array([[0.985, 0.012, 0.015], [0.0, 0.98, 0.01], [0.0, 0.0, 0.99]])


@dataclass(frozen=True)
class DerivativeCheck:
    """Ratios of the finite difference of the energy to what the labels say; all should be 1.

    Parameters
    ----------
    force
        Along the forces themselves.
    stress_normal, stress_shear
        Strains along the normal and along the shear components of the stress; NaN without stress.
    volume_A3
        Of the deformed frame [Å³]; NaN for a molecule.
    rounding
        What the energies' last digits may change of a ratio: much for float32 and many atoms.
    """

    force: float
    stress_normal: float
    stress_shear: float
    volume_A3: float
    rounding: float = 0.0

    def as_dict(self) -> dict[str, float | None]:
        """Fields; null where there is no number."""
        return {name: None if np.isnan(value) else value for name, value in asdict(self).items()}


def check_derivatives(frame: Atoms, label: Label, name: str) -> DerivativeCheck:
    """Compare forces and stress with differences of the energy: seven labels of one frame.

    Parameters
    ----------
    frame
        Structure; it is deformed a little before.
    label
        Labels frames.
    name
        Of the labeller, for messages.

    Raises
    ------
    InputError
        If a ratio is off, with what that ratio suggests.
    """
    frame = frame.copy()
    frame.calc = None
    if is_molecule(frame):
        frame.positions = frame.positions @ DEFORMATION
    else:
        frame.set_cell(frame.cell.array @ DEFORMATION, scale_atoms=True)
    base = label([frame])[0]
    reason = unusable(frame, base)
    if reason:
        raise InputError(f"labeller {name}: {reason}")
    size = np.abs(base.forces_eV_per_A).max()
    if not size > 0:
        raise InputError(f"labeller {name}: all forces are zero on a deformed frame")
    move = STEP_A / size * base.forces_eV_per_A
    changed = [_moved(frame, move), _moved(frame, -move)]
    strains: list[np.ndarray] = []
    if base.stress_eV_per_A3 is not None:
        diagonal = np.diag(np.diag(base.stress_eV_per_A3))
        for part in (diagonal, base.stress_eV_per_A3 - diagonal):
            if not np.any(part):
                raise InputError(f"labeller {name}: the stress of a deformed frame is zero")
            strains.append(STRAIN / np.linalg.norm(part) * part)
            changed += [deformed(frame, strains[-1]), deformed(frame, -strains[-1])]
    energies = np.array([each.energy_eV for each in label(changed)])
    changes = 0.5 * (energies[::2] - energies[1::2])
    volume = _volume(frame)
    expected = [-np.sum(base.forces_eV_per_A * move)]
    expected += [volume * np.sum(base.stress_eV_per_A3 * strain) for strain in strains]
    force, normal, shear = [*(changes / expected).tolist(), np.nan, np.nan][:3]
    rounding = float(_last_digit(energies) / np.abs(expected).min())
    check = DerivativeCheck(force, normal, shear, volume, rounding)
    findings = explain(check)
    if findings:
        raise InputError(f"labeller {name}: {'; '.join(findings)}")
    return check


def compare_labels_with(
    frames: Sequence[Atoms], label: Label, *, needs_stress: bool = True
) -> DerivativeCheck:
    """Label frames that have labels again and compare: finds wrong signs and units of a data set.

    Parameters
    ----------
    frames
        Frames with stress in all components, a few are enough; molecules among them have none.
    label
        Labels frames by the method that the stored labels are of.
    needs_stress
        Refuse to compare without stresses on both sides.

    Raises
    ------
    InputError
        If stored forces or stresses are a multiple of the labeller's, with what that suggests.
    """
    stored = [labels_of(frame) for frame in frames]
    found = label([bare(frame) for frame in frames])
    diagonal = np.eye(3, dtype=bool)
    normal = shear = float("nan")
    stresses = [
        (one.stress_eV_per_A3, other.stress_eV_per_A3)
        for one, other, frame in zip(stored, found, frames, strict=True)
        if not is_molecule(frame)
    ]
    if stresses and all(each is not None for pair in stresses for each in pair):
        old, new = np.array(stresses).swapaxes(0, 1)
        normal, shear = (_slope(new[:, part], old[:, part]) for part in (diagonal, ~diagonal))
    force = _slope(
        np.concatenate([each.forces_eV_per_A for each in found]),
        np.concatenate([each.forces_eV_per_A for each in stored]),
    )
    periodic = [_volume(frame) for frame in frames if not is_molecule(frame)]
    volume = float(np.mean(periodic)) if periodic else float("nan")
    check = DerivativeCheck(force, normal, shear, volume)
    findings = explain(check, "labels computed now")
    if needs_stress and np.isnan([normal, shear]).any():
        findings.append("stress: one side has none, or it is zero: its sign cannot be compared")
    if findings:
        raise InputError(f"stored labels: {'; '.join(findings)}")
    return check


def _volume(frame: Atoms) -> float:
    return float("nan") if is_molecule(frame) else float(frame.get_volume())


def _slope(reference: np.ndarray, values: np.ndarray) -> float:
    """Give the reference as a multiple of the values, by least squares; NaN where all are zero."""
    if not np.any(values):
        return float("nan")
    return float(np.sum(reference * values) / np.sum(values * values))


def explain(check: DerivativeCheck, reference: str = "differences of the energy") -> list[str]:
    """Tell what is wrong with labels, as sentences; nothing where all ratios are one."""
    findings = []
    tolerance = TOLERANCE + check.rounding
    if not abs(check.force - 1) <= tolerance:
        findings.append(_finding("forces", check.force, {}, reference))
    factors = {
        "the stress is in GPa": BAR_TO_GPA / BAR_TO_EV_PER_A3,
        "the stress is in kbar": 1e-3 / BAR_TO_EV_PER_A3,
        "the stress is in bar": 1.0 / BAR_TO_EV_PER_A3,
        "the stress is a virial in eV, not divided by the volume": check.volume_A3,
        "a factor 2 is missing": 0.5,
        "the stress is doubled": 2.0,
    }
    stresses = {"normal": check.stress_normal, "shear": check.stress_shear}
    for name, ratio in stresses.items():
        if not np.isnan(ratio) and not abs(ratio - 1) <= tolerance:
            findings.append(_finding(f"{name} stress", ratio, factors, reference))
    return findings


def _last_digit(energies: np.ndarray) -> float:
    """Step of the energies [eV]: of float32, where a calculator gives them so, or float64."""
    single = energies.astype(np.float32)
    return float(np.spacing(np.abs(single if np.array_equal(single, energies) else energies)).max())


def _finding(what: str, ratio: float, factors: dict[str, float], reference: str) -> str:
    text = f"{what}: {reference} are {ratio:.3g} times the label"
    sign = "; its sign is wrong" if ratio < 0 else ""
    if sign and "stress" in what:
        sign += " (expected: tension positive)"
    guesses = [
        name for name, factor in factors.items() if abs(abs(ratio) * factor - 1) <= TOLERANCE
    ]
    return text + sign + "".join(f"; {name}" for name in guesses)


def _moved(atoms: Atoms, move: np.ndarray) -> Atoms:
    changed = atoms.copy()
    changed.positions += move
    return changed
