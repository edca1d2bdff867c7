"""The physics gate: what must hold before anybody trusts a deployed model.

All numbers come from LAMMPS running the very file, through the pair style that users run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.engine.evaluate import Evaluation, evaluate
from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.models.deployed import DeployedModel
from mofmd.units import FS_TO_PS, MIB

# Central differences of fourth order: weights of E(x + k h), k = -2, -1, 1, 2.
_STENCIL = {-2: 1.0 / 12.0, -1: -2.0 / 3.0, 1: 2.0 / 3.0, 2: -1.0 / 12.0}
_JACOBIAN_COORDINATES = 8
_NVE_TIMESTEP_FS = 0.25
_NVE_TEMPERATURE_K = 300.0
_NVE_SECONDS = 60.0
_NVE_MAX_STEPS = 2000
_MEMORY_ATOMS = (100, 400, 1600, 6400)
_MEMORY_RISE_MIB = 200.0


@dataclass(frozen=True)
class Precision:
    """Steps and tolerances for a model of one dtype; see ``docs/model_files.md`` for their origin.

    Tolerances of forces, stresses and the Jacobian are relative to the largest component.
    """

    step_A: float
    strain: float
    source: float
    gradient: float
    jacobian: float
    energy_invariance: float  # relative
    force_invariance: float
    drift_meV_per_atom_ps: float


PRECISIONS = {
    "float64": Precision(1e-3, 2e-4, 1e-8, 1e-6, 1e-5, 1e-10, 1e-8, 1.0),
    "float32": Precision(2e-2, 4e-3, 1e-5, 5e-3, 2e-2, 1e-6, 2e-5, 1.0),
}


@dataclass(frozen=True)
class Check:
    """One finding of the gate.

    Attributes
    ----------
    name
        What was checked.
    value, tolerance, unit
        The largest deviation found and what is allowed.
    passed
        Whether ``value`` is a number and within ``tolerance``.
    detail
        How it was found.
    """

    name: str
    value: float
    tolerance: float
    unit: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Reference:
    """Results of the source model's own calculator."""

    energies_eV: Sequence[float]
    forces_eV_per_A: Sequence[np.ndarray]
    stresses_eV_per_A3: Sequence[np.ndarray]


def check_physics(
    model: DeployedModel,
    structures: Sequence[Atoms],
    reference: Reference | None = None,
    ranks: Sequence[int] = (1, 2, 4),
    device: str = "cpu",
) -> Iterator[Check]:
    """Yield the findings one by one.

    Parameters
    ----------
    model
        The file under test.
    structures
        Periodic structures; derivatives are taken on the first.
    reference
        The source model's results for the structures; None when there is no source.
    ranks
        Numbers of MPI ranks that must agree.
    device
        ``cpu`` or ``cuda``.
    """
    gate = _Gate(model, list(structures), device)
    yield from gate.source(reference)
    yield from gate.derivatives()
    yield from gate.invariance()
    yield from gate.ranks(ranks)
    yield gate.energy_conservation()


def summary(checks: Sequence[Check], structures: Sequence[Atoms], device: str) -> dict[str, Any]:
    """Return what the manifest keeps of a run of the gate."""
    return {
        "passed": all(check.passed for check in checks),
        "device": device,
        "structures": [atoms.get_chemical_formula() for atoms in structures],
        "checks": [asdict(check) for check in checks],
    }


def measure_bytes_per_edge(model: DeployedModel, atoms: Atoms, device: str = "cpu") -> float:
    """Return the memory that an evaluation takes, in bytes per edge.

    It is the slope of LAMMPS's peak memory between two sizes of a supercell of ``atoms``.
    """
    gate = _Gate(model, [atoms], device)
    style, coeff = gate.pair
    gate.pair = (f"{style} chunk none", coeff)  # or a strictly local model takes 1000 atoms at most
    found: list[tuple[float, float]] = []
    for target in _MEMORY_ATOMS:
        repeats = np.ones(3, dtype=int)
        while np.prod(repeats) * len(atoms) < target:
            repeats[np.argmin(repeats * atoms.cell.lengths())] += 1
        output = gate.run_script(atoms.repeat(repeats.tolist()), ["run 1"])[0]
        peak = re.search(r"peak memory of a rank: (\d+) MiB", output)
        edges = re.search(r"(\d+) edges", output)
        assert peak is not None
        assert edges is not None
        found.append((float(edges[1]), float(peak[1]) * MIB))
        # what loading takes hides the first sizes of a small model
        if found[-1][1] - found[0][1] > _MEMORY_RISE_MIB * MIB:
            break
    (few, small), (many, large) = found[-2:]
    return (large - small) / max(many - few, 1.0)


class _Gate:
    def __init__(self, model: DeployedModel, structures: list[Atoms], device: str) -> None:
        self.model = model
        self.structures = structures
        self.atoms = structures[0].copy()
        self.precision = PRECISIONS[str(model.manifest["dtype"])]
        style, coeff = model.pair_commands()
        self.pair = (f"{style} device {device}", coeff)

    def evaluate(self, structures: Sequence[Atoms], ranks: int = 1) -> list[Evaluation]:
        resources = Resources(ranks=ranks)
        return evaluate(structures, self.pair, self.model.type_names, resources)

    def finding(self, name: str, value: float, tolerance: float, unit: str, detail: str) -> Check:
        return Check(name, float(value), tolerance, unit, bool(value <= tolerance), detail)

    def source(self, reference: Reference | None) -> Iterator[Check]:
        """Compare with the source, for every structure."""
        results = self.evaluate(self.structures)
        self.base = results[0]
        if reference is None:
            return
        stored = self.model.manifest
        same_dtype = stored.get("source_dtype", stored["dtype"]) == stored["dtype"]
        tolerance = self.precision.source if same_dtype else PRECISIONS["float32"].source
        energy = max(
            abs(found.energy_eV - expected) / max(abs(expected), len(atoms))
            for found, expected, atoms in zip(
                results, reference.energies_eV, self.structures, strict=True
            )
        )
        yield self.finding("energy = source", energy, tolerance, "relative", "per structure")
        for name, pairs in (
            (
                "forces = source",
                [
                    (found.forces_eV_per_A, expected)
                    for found, expected in zip(results, reference.forces_eV_per_A, strict=True)
                ],
            ),
            (
                "stress = source",
                [
                    (found.stress_eV_per_A3, expected)
                    for found, expected in zip(results, reference.stresses_eV_per_A3, strict=True)
                ],
            ),
        ):
            worst = max(
                np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12)
                for found, expected in pairs
            )
            yield self.finding(name, worst, tolerance, "relative", "largest component")

    def derivatives(self) -> Iterator[Check]:
        """Compare forces and stress with energies, the Jacobian with its transpose."""
        rng = np.random.default_rng(7)
        forces = self.base.forces_eV_per_A
        scale = max(np.abs(forces).max(), 1e-12)
        count = len(self.atoms)
        along = forces / scale
        random = rng.choice([-1.0, 1.0], size=(count, 3))
        directions = [along, random]
        h, strain = self.precision.step_A, self.precision.strain
        if self.model.manifest["dtype"] == "float64":  # single components drown in float32's noise
            for atom, axis in zip(rng.integers(count, size=6), [0, 1, 2] * 2, strict=True):
                unit = np.zeros((count, 3))
                unit[atom, axis] = 1.0
                directions.append(unit)
        moved = [self._displaced(k * h * d) for d in directions for k in _STENCIL]
        strains = [np.eye(3)[[i]].T @ np.eye(3)[[j]] for i in range(3) for j in range(3)]
        deformed = [self._deformed(k * strain * e) for e in strains for k in _STENCIL]
        coordinates = rng.choice(3 * count, size=_JACOBIAN_COORDINATES, replace=False)
        rattled = []
        for c in coordinates:
            single = np.zeros(3 * count)
            single[c] = 1.0
            rattled += [self._displaced(k * h * single.reshape(-1, 3)) for k in _STENCIL]
        started = time.monotonic()
        results = self.evaluate(moved + deformed + rattled)
        self.seconds_per_call = (time.monotonic() - started) / len(results)
        energies = np.array([found.energy_eV for found in results])
        weights = np.array(list(_STENCIL.values()))

        slopes = energies[: 4 * len(directions)].reshape(-1, 4) @ weights / h
        expected = np.array([-np.sum(forces * d) for d in directions])
        norms = np.array([max(np.abs(forces * d).sum(), scale) for d in directions])
        yield self.finding(
            "forces = -dE/dr",
            np.max(np.abs(slopes - expected) / norms),
            self.precision.gradient,
            "relative",
            f"{len(directions)} directions, fourth-order differences, h = {h} A",
        )
        by_strain = energies[len(moved) : len(moved) + len(deformed)].reshape(3, 3, 4) @ weights
        virial: np.ndarray = self.base.stress_eV_per_A3 * self.atoms.get_volume()
        yield self.finding(
            "stress = dE/d(strain)/V",
            np.abs(by_strain / strain - virial).max() / max(np.abs(virial).max(), 1e-12),
            self.precision.gradient,
            "relative",
            f"9 components, tilted cell, strain steps of {strain}",
        )
        columns = np.array([found.forces_eV_per_A.ravel() for found in results[-len(rattled) :]])
        jacobian = np.einsum("k,ckx->cx", weights, columns.reshape(len(coordinates), 4, -1)) / h
        block = jacobian[:, coordinates]
        yield self.finding(
            "force Jacobian symmetric",
            np.abs(block - block.T).max() / max(np.abs(block).max(), 1e-12),
            self.precision.jacobian,
            "relative",
            f"{len(coordinates)} coordinates",
        )

    def invariance(self) -> Iterator[Check]:
        """Change the order of atoms, translate, rotate."""
        rng = np.random.default_rng(8)
        order = rng.permutation(len(self.atoms))
        shifted = self.atoms.copy()
        shifted.positions += rng.uniform(-5, 5, 3)
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        rotation *= np.sign(np.linalg.det(rotation))
        turned = self.atoms.copy()
        turned.set_cell(turned.cell.array @ rotation, scale_atoms=False)
        turned.positions = turned.positions @ rotation
        permuted, translated, rotated = self.evaluate([self.atoms[order], shifted, turned])
        forces = self.base.forces_eV_per_A
        found = [
            permuted.forces_eV_per_A - forces[order],
            translated.forces_eV_per_A - forces,
            rotated.forces_eV_per_A @ rotation.T - forces,
        ]
        yield self.finding(
            "forces invariant",
            max(np.abs(difference).max() for difference in found) / max(1.0, np.abs(forces).max()),
            10 * self.precision.force_invariance,
            "eV/A",
            "order of atoms, translation, rotation",
        )

    def ranks(self, ranks: Sequence[int]) -> Iterator[Check]:
        """Compare numbers of ranks with the first."""
        if len(ranks) < 2:
            return
        runs = [self.evaluate(self.structures, count) for count in ranks]
        energy, force = 0.0, 0.0
        for results in runs[1:]:
            for found, expected in zip(results, runs[0], strict=True):
                scale = max(abs(expected.energy_eV), 1e-12)
                energy = max(energy, abs(found.energy_eV - expected.energy_eV) / scale)
                difference = np.abs(found.forces_eV_per_A - expected.forces_eV_per_A).max()
                force = max(force, difference / max(1.0, np.abs(expected.forces_eV_per_A).max()))
        detail = f"{', '.join(map(str, ranks))} ranks"
        tolerances = self.precision
        yield self.finding(
            "energy on any ranks", energy, tolerances.energy_invariance, "relative", detail
        )
        yield self.finding(
            "forces on any ranks", force, tolerances.force_invariance, "eV/A", detail
        )

    def energy_conservation(self) -> Check:
        """Run NVE after a minimisation, 300 K; its length depends on the model's speed."""
        steps = int(min(_NVE_MAX_STEPS, max(100, _NVE_SECONDS / max(self.seconds_per_call, 1e-3))))
        picoseconds = steps * _NVE_TIMESTEP_FS * FS_TO_PS
        time_ps, energy_meV = self._nve(steps)
        drift = np.polyfit(time_ps, energy_meV, 1)[0] / len(self.atoms)
        return self.finding(
            "NVE drift",
            abs(drift),
            self.precision.drift_meV_per_atom_ps,
            "meV/atom/ps",
            f"{picoseconds:.2f} ps at {_NVE_TIMESTEP_FS} fs, {_NVE_TEMPERATURE_K:.0f} K",
        )

    def _nve(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        script = [
            "minimize 0 0.05 100 200",
            "reset_timestep 0",
            # twice the temperature, as half of it turns into potential energy
            f"velocity all create {2 * _NVE_TEMPERATURE_K} 11 loop geom",
            f"timestep {_NVE_TIMESTEP_FS * FS_TO_PS}",
            "thermo_style custom step etotal",
            "thermo_modify format float %.10f",
            "thermo 10",
            "fix 1 all nve",
            f"run {steps}",
        ]
        _, table = self.run_script(self.atoms, script)
        return table["Step"] * _NVE_TIMESTEP_FS * FS_TO_PS, 1e3 * table["TotEng"]

    def run_script(
        self, atoms: Atoms, commands: Sequence[str]
    ) -> tuple[str, Mapping[str, np.ndarray]]:
        """Run commands on a structure; return LAMMPS's output and the last thermo table."""
        script = [
            "units metal",
            "atom_style atomic",
            "box tilt large",
            "read_data structure.data",
            *self.pair,
            *commands,
        ]
        done = run_script("\n".join(script) + "\n", atoms, self.model.type_names)
        return done.output, done.tables[-1].columns

    def _displaced(self, displacement: np.ndarray) -> Atoms:
        atoms = self.atoms.copy()
        atoms.positions += displacement
        return atoms

    def _deformed(self, strain: np.ndarray) -> Atoms:
        """Return the structure with every r replaced by (1 + strain) r."""
        atoms = self.atoms.copy()
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain).T, scale_atoms=True)
        return atoms
