"""The physics gate: what must hold before anybody trusts a deployed model.

All numbers come from LAMMPS running the very file, through the pair style that users run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms

from mofmd.engine.evaluate import Evaluation
from mofmd.geometry.deform import deformed
from mofmd.models.gate.dynamics import TEMPERATURE_K, TIMESTEP_FS, UnstableError, measure_drift
from mofmd.models.gate.engine import GateEngine
from mofmd.models.gate.work import (
    NODES,
    SLOPE,
    Balance,
    Ledger,
    displaced,
    measure_noise,
)

# Where the first structure comes from. Only what somebody chose must hold together in dynamics:
# a crystal of the package may be strange to the model, a random packing is to all.
Origin = Literal["given", "loop", "example", "crystal", "packing"]
# Other vectors of the same lattice (determinant 1): LAMMPS, whose x axis is the first vector, turns
# the structure by angles that are no symmetry of anything.
_BASES = (
    np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]]),
    np.array([[0, 1, 0], [0, 1, 1], [1, 0, 1]]),
    np.array([[1, 0, 1], [1, 1, 0], [1, 0, 2]]),
)
_COORDINATES = 8
_ROUNDING = 3.0  # times what was measured
_HIDDEN = 0.1  # relative; rounding beyond it leaves nothing to see


@dataclass(frozen=True)
class Precision:
    """Paths and tolerances for a model of one dtype; see ``docs/model_files.md`` for their origin.

    Tolerances of forces, stresses and the Jacobian are relative to the largest component.
    """

    half_A: float
    half_strain: float
    source: float
    gradient: float
    jacobian: float
    energy_invariance: float  # relative
    force_invariance: float
    drift_meV_per_atom_ps: float


PRECISIONS = {
    "float64": Precision(1e-3, 1e-4, 1e-8, 1e-6, 1e-5, 1e-10, 1e-8, 1.0),
    "float32": Precision(3e-2, 5e-3, 1e-5, 4e-4, 2e-3, 1e-6, 2e-5, 1.0),
}


@dataclass(frozen=True)
class Check:
    """One finding of the gate.

    Attributes
    ----------
    name
        What was checked.
    value, tolerance, unit
        The largest deviation found and what is allowed; no value where it was not done.
    passed
        Whether ``value`` is a number and within ``tolerance``; None where it was not done.
    detail
        How it was found, or why it was not done.
    """

    name: str
    value: float | None
    tolerance: float
    unit: str
    passed: bool | None
    detail: str

    @property
    def state(self) -> str:
        """``passed``, ``failed`` or ``not done``."""
        return {True: "passed", False: "failed", None: "not done"}[self.passed]


@dataclass(frozen=True)
class Reference:
    """Results of the source model's own calculator."""

    energies_eV: Sequence[float]
    forces_eV_per_A: Sequence[np.ndarray]
    stresses_eV_per_A3: Sequence[np.ndarray]


@dataclass(frozen=True)
class Subject:
    """What the gate is run on.

    Attributes
    ----------
    structures
        Periodic structures; derivatives and dynamics are of the first.
    origin
        Where the first comes from: ``given`` by the user, a frame of a ``loop`` (or of a
        comparison) that goes on where its model breaks, an ``example`` of the model's own, a
        ``crystal`` of the package or a random ``packing``.
    reference
        The source model's results for the structures; None when there is no source.
    """

    structures: Sequence[Atoms]
    origin: Origin
    reference: Reference | None = None


def check_physics(
    engine: GateEngine, subject: Subject, ranks: Sequence[int] = (1, 2, 4)
) -> Iterator[Check]:
    """Yield the findings one by one.

    Parameters
    ----------
    engine
        The file under test, in LAMMPS.
    subject
        Structures, and what the source says of them.
    ranks
        Numbers of MPI ranks that must agree.
    """
    gate = _Gate(engine, subject)
    yield from gate.source()
    yield from gate.derivatives()
    yield gate.invariance()
    yield from gate.ranks(ranks)
    yield gate.energy_conservation()


def summary(checks: Sequence[Check], subject: Subject, device: str) -> dict[str, Any]:
    """Return what the manifest keeps of a run of the gate."""
    return {
        "passed": all(check.passed is not False for check in checks),
        "not_done": {check.name: check.detail for check in checks if check.passed is None},
        "device": device,
        "structures": [atoms.get_chemical_formula() for atoms in subject.structures],
        "checks": [asdict(check) for check in checks],
    }


def _finding(name: str, value: float, tolerance: float, unit: str, detail: str) -> Check:
    return Check(name, float(value), tolerance, unit, bool(value <= tolerance), detail)


class _Gate:
    def __init__(self, engine: GateEngine, subject: Subject) -> None:
        self.engine = engine
        self.subject = subject
        self.structures = list(subject.structures)
        self.atoms = self.structures[0]
        self.dtype = str(engine.model.manifest["dtype"])
        self.precision = PRECISIONS[self.dtype]
        self.results = engine.evaluate("energies and forces", self.structures)
        self.base = self.results[0]
        self.turned = engine.evaluate(
            "other orientations", [_turned(self.atoms, b) for b in _BASES]
        )
        self.noise = measure_noise(self.base, self.turned, self.atoms.get_volume())
        self.force_scale = max(_largest(self.base.forces_eV_per_A), np.finfo(float).tiny)

    def source(self) -> Iterator[Check]:
        """Compare with the source, for every structure."""
        reference = self.subject.reference
        if reference is None:
            return
        stored = self.engine.model.manifest
        same_dtype = stored.get("source_dtype", stored["dtype"]) == stored["dtype"]
        tolerance = self.precision.source if same_dtype else PRECISIONS["float32"].source
        energy = max(
            abs(found.energy_eV - expected) / max(abs(expected), len(found.forces_eV_per_A))
            for found, expected in zip(self.results, reference.energies_eV, strict=True)
        )
        yield _finding("energy = source", energy, tolerance, "relative", "per structure")
        forces = [found.forces_eV_per_A for found in self.results]
        rounding = _ROUNDING * self.noise.force_eV_per_A / self.force_scale
        yield self._same("forces", forces, reference.forces_eV_per_A, tolerance, rounding)
        stresses = [found.stress_eV_per_A3 for found in self.results]
        virial = max(_largest(self.base.stress_eV_per_A3) * self.atoms.get_volume(), 1e-300)
        rounding = _ROUNDING * self.noise.virial_eV / virial
        yield self._same("stress", stresses, reference.stresses_eV_per_A3, tolerance, rounding)

    @staticmethod
    def _same(
        what: str,
        found: Sequence[np.ndarray],
        expected: Sequence[np.ndarray],
        tolerance: float,
        rounding: float,
    ) -> Check:
        # forces of a crystal at rest are zero: they are held against those of the first structure,
        # which is not at rest
        first = _largest(expected[0])
        worst = max(
            _largest(a - b) / max(_largest(b), first, 1e-12)
            for a, b in zip(found, expected, strict=True)
        )
        return _finding(
            f"{what} = source", worst, tolerance + rounding, "relative", "largest component"
        )

    def derivatives(self) -> Iterator[Check]:
        """Compare forces and stress with energies, the Jacobian with its transpose."""
        half_A, half_strain = self.precision.half_A, self.precision.half_strain
        count = len(self.atoms)
        rng = np.random.default_rng(7)
        directions = [
            self.base.forces_eV_per_A / self.force_scale,
            rng.choice([-1.0, 1.0], size=(count, 3)),
        ]
        coordinates = self._coupled_coordinates()
        for c in coordinates:
            single = np.zeros(3 * count)
            single[c] = 1.0
            directions.append(single.reshape(-1, 3))
        strains = [np.outer(a, b) for a in np.eye(3) for b in np.eye(3)]
        moved = [displaced(self.atoms, s * half_A * d) for d in directions for s in NODES]
        strained = [deformed(self.atoms, s * half_strain * e) for e in strains for s in NODES]
        found = self.engine.evaluate("forces and stress against energies", moved + strained)
        paths = [found[k : k + len(NODES)] for k in range(0, len(found), len(NODES))]
        along = paths[: len(directions)]
        noise = self.noise.with_grid([self.base, *found])
        ledger = Ledger(self.base, self.atoms.get_volume(), noise)
        yield self._balanced(
            "forces = -dE/dr",
            [
                ledger.displacement(d, half_A, nodes)
                for d, nodes in zip(directions, along, strict=True)
            ],
            f"work along {len(directions)} paths of {2 * half_A:g} A",
        )
        yield self._balanced(
            "stress = dE/d(strain)/V",
            [
                ledger.strain(e, half_strain, nodes)
                for e, nodes in zip(strains, paths[len(directions) :], strict=True)
            ],
            f"work of 9 components, strains of {2 * half_strain:g}",
        )
        yield self._symmetric(coordinates, along[2:])

    def _balanced(self, name: str, balances: Sequence[Balance], detail: str) -> Check:
        """Make a finding of the path that comes closest to its tolerance, or lies beyond it."""
        tolerances = [self.precision.gradient + _ROUNDING * each.rounding for each in balances]
        ratios = [b.deviation / t for b, t in zip(balances, tolerances, strict=True)]
        worst = int(np.argmax(np.nan_to_num(ratios, nan=np.inf)))
        if not max(tolerances) < _HIDDEN:
            return self._hidden(name, max(tolerances))
        rounding = _ROUNDING * balances[worst].rounding
        if rounding > 0.1 * self.precision.gradient:
            detail += f"; of the tolerance {rounding:.0e} is rounding"
        return _finding(name, balances[worst].deviation, tolerances[worst], "relative", detail)

    def _hidden(self, name: str, rounding: float) -> Check:
        other = "deploy with --dtype float64, or " if self.dtype == "float32" else ""
        why = (
            f"the rounding of {self.dtype} is {rounding:.0e} of the largest component here, and "
            f"hides what is looked for: {other}give a structure with larger forces (--structure)"
        )
        return Check(name, None, self.precision.gradient, "relative", None, why)

    def _symmetric(self, coordinates: np.ndarray, paths: Sequence[Sequence[Evaluation]]) -> Check:
        name, half_A = "force Jacobian symmetric", self.precision.half_A
        forces = np.array([[found.forces_eV_per_A.ravel() for found in nodes] for nodes in paths])
        jacobian = np.einsum("k,ckx->cx", SLOPE, forces) / half_A
        block = jacobian[:, coordinates]
        scale = max(_largest(block), np.finfo(float).tiny)
        noise = self.noise.force_eV_per_A * float(np.abs(SLOPE).sum()) / half_A
        rounding = _ROUNDING * noise / scale
        if not rounding < _HIDDEN:
            return self._hidden(name, rounding)
        return _finding(
            name,
            _largest(block - block.T) / scale,
            self.precision.jacobian + rounding,
            "relative",
            f"{len(coordinates)} coordinates of neighbours",
        )

    def _coupled_coordinates(self) -> np.ndarray:
        """Choose coordinates of atoms near each other, every element among them if it is near.

        Those of the atom with the largest force and, of its nearest atoms, one of each element
        first, the largest component of each.
        """
        forces = np.abs(self.base.forces_eV_per_A)
        centre = int(np.argmax(forces.max(axis=1)))
        distances = self.atoms.get_distances(centre, range(len(self.atoms)), mic=True)
        near = [int(k) for k in np.argsort(distances, kind="stable") if k != centre]
        symbols = self.atoms.get_chemical_symbols()
        first_of_kind = {symbols[k]: k for k in reversed(near)}
        order = sorted(first_of_kind.values(), key=lambda k: float(distances[k]))
        atoms = [*order, *(k for k in near if k not in order)][: _COORDINATES - 3]
        own = [3 * centre + axis for axis in range(3)]
        return np.array(own + [3 * k + int(np.argmax(forces[k])) for k in atoms])

    def invariance(self) -> Check:
        """Change the order of atoms, translate, rotate."""
        rng = np.random.default_rng(8)
        order = rng.permutation(len(self.atoms))
        shifted = displaced(self.atoms, rng.uniform(-5, 5, 3))
        permuted, translated = self.engine.evaluate("order and place", [self.atoms[order], shifted])
        forces = self.base.forces_eV_per_A
        differences = [
            permuted.forces_eV_per_A - forces[order],
            translated.forces_eV_per_A - forces,
            *(turned.forces_eV_per_A - forces for turned in self.turned),
        ]
        return _finding(
            "forces invariant",
            max(map(_largest, differences)) / max(1.0, self.force_scale),
            10 * self.precision.force_invariance,
            "eV/A",
            "order of atoms, translation, rotation",
        )

    def ranks(self, ranks: Sequence[int]) -> Iterator[Check]:
        """Compare numbers of ranks with the first."""
        if len(ranks) < 2:
            return
        runs = [
            self.engine.evaluate(f"{count} ranks", self.structures, count)
            if count > 1
            else self.results
            for count in ranks
        ]
        energy, force = 0.0, 0.0
        for results in runs[1:]:
            for found, expected in zip(results, runs[0], strict=True):
                scale = max(abs(expected.energy_eV), len(expected.forces_eV_per_A))
                energy = max(energy, abs(found.energy_eV - expected.energy_eV) / scale)
                difference = _largest(found.forces_eV_per_A - expected.forces_eV_per_A)
                force = max(force, difference / max(1.0, _largest(expected.forces_eV_per_A)))
        detail = f"{', '.join(map(str, ranks))} ranks"
        tolerances = self.precision
        yield _finding(
            "energy on any ranks", energy, tolerances.energy_invariance, "relative", detail
        )
        yield _finding("forces on any ranks", force, tolerances.force_invariance, "eV/A", detail)

    def energy_conservation(self) -> Check:
        """Run NVE after a minimisation, where the structure is one that the model shall hold."""
        name, unit, tolerance = "NVE drift", "meV/atom/ps", self.precision.drift_meV_per_atom_ps
        if self.subject.origin == "packing":
            why = (
                "there is no physical structure of these elements at hand, and a random packing "
                "means nothing to dynamics: give one with --structure"
            )
            return Check(name, None, tolerance, unit, None, why)
        try:
            drift = measure_drift(self.engine, self.atoms)
        except UnstableError as error:
            formula = self.atoms.get_chemical_formula()
            if self.subject.origin == "loop":
                why = (
                    f"the model does not hold {formula} together yet ({error}), which ends no "
                    "loop and no comparison of models"
                )
                return Check(name, None, tolerance, unit, None, why)
            if self.subject.origin == "crystal":
                why = (
                    f"the model does not hold the crystal {formula} of the package, which it may "
                    f"not have been made for ({error}): give a structure of its own with "
                    "--structure"
                )
                return Check(name, None, tolerance, unit, None, why)
            return Check(
                name, None, tolerance, unit, False, f"{formula} does not hold together: {error}"
            )
        return _finding(
            name,
            abs(drift.slope),
            tolerance + _ROUNDING * drift.uncertainty,
            unit,
            f"{drift.picoseconds:.2f} ps at {TIMESTEP_FS} fs, {TEMPERATURE_K:.0f} K, "
            f"+- {drift.uncertainty:.1g}",
        )


def _turned(atoms: Atoms, basis: np.ndarray) -> Atoms:
    """Return the same crystal by other vectors of its lattice."""
    turned = atoms.copy()
    turned.set_cell(basis @ atoms.cell.array, scale_atoms=False)
    return turned


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())
