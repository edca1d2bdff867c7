"""The ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from mofmd.calculator.memory import available_bytes, memory_per_edge, refuse_too_large
from mofmd.calculator.operators import load_operators
from mofmd.calculator.resident import Resident, Sums
from mofmd.errors import InputError, RunError
from mofmd.models.dispersion.dispersion import (
    CUTOFF_A,
    Dispersion,
    DispersionChoice,
    choose_dispersion,
    parse_dispersion,
)
from mofmd.models.files.model_file import read_model_file
from mofmd.models.files.validity import check_species
from mofmd.models.names import find_model

SKIN_A = 0.5
CHARGED = 0.5  # elementary charges: less is rounding of partial charges


class DeployedModel(Calculator):  # type: ignore[misc] # ASE has no types
    """A model file of any kind that a pair style of mofmd runs, with LAMMPS's numbers.

    Gives ``energy``, ``free_energy`` (the same), ``energies`` of atoms, ``forces`` and, where all
    three directions are periodic, ``stress``: eV, Å. Files, embedded models, checks, kernels and
    operators are those of the pair styles.

    Parameters
    ----------
    model
        A file (TorchScript or AOTInductor), or a name (``mofmd models list``).
    dispersion
        ``auto``: what the file says is missing, as in decks (D3 for universal models, nothing for
        most others); ``none``; ``d3bj:FUNCTIONAL`` and the like. ``self.dispersion`` says which.
    device
        ``cpu``, ``cuda``, ``cuda:N``, or ``auto``.
    threads
        Of torch in this process; None leaves them as they are.
    dtype
        ``float64``: to run the network in float64 though it was deployed in float32 (TorchScript
        files); None: as deployed.
    dispersion_cutoff_A
        To which D3 sums over pairs [Å].
    skin_A
        See ``Resident``.

    Raises
    ------
    InputError, MissingFileError
        If the file cannot be used, or an option makes no sense.
    BuildError
        If ``mofmd build`` has not been run.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
    ]

    def __init__(  # noqa: PLR0913 - one argument per option
        self,
        model: str | Path,
        *,
        dispersion: str | Dispersion = "auto",
        device: str = "cpu",
        threads: int | None = None,
        dtype: Literal["float32", "float64"] | None = None,
        dispersion_cutoff_A: float = CUTOFF_A,
        skin_A: float = SKIN_A,
    ) -> None:
        super().__init__()
        if dtype not in (None, "float32", "float64"):
            raise InputError(f"dtype: {dtype!r}, expected float32 or float64")
        if threads is not None and threads < 1:
            raise InputError(f"threads: {threads}, expected 1 or more")
        if not 0.0 <= skin_A < np.inf:
            raise InputError(f"skin_A: {skin_A}, expected a distance in Å")
        if not 0.0 < dispersion_cutoff_A < np.inf:
            raise InputError(
                f"dispersion_cutoff_A: {dispersion_cutoff_A}, expected a distance in Å"
            )
        self.path = _model_path(model)
        self.threads = threads
        choice: DispersionChoice = (
            parse_dispersion(dispersion) if isinstance(dispersion, str) else dispersion
        )
        self.dispersion = choose_dispersion(choice, self.path)
        self._engine = _open(self.path, device, dtype)
        self.type_names: tuple[str, ...] = tuple(self._engine.type_names())
        self.r_max_A = float(self._engine.r_max())
        self.dtype = str(self._engine.dtype())
        self.device = str(self._engine.device())
        self._skin_A = skin_A
        self._model = Resident(self._engine, self.r_max_A, skin_A)
        self._dispersion_cutoff_A = dispersion_cutoff_A
        self._d3: tuple[tuple[str, ...], Resident] | None = None
        self._bytes_per_edge = 0.0
        if self.device == "cpu":  # on a GPU torch says itself when memory is out
            self._bytes_per_edge = memory_per_edge(self.path, self.dtype)
        self._looked_at: tuple[Any, np.ndarray] | None = None
        self._fitting = 0, 0.0  # most atoms that were found to fit, and their density [1/Å³]
        self.parameters.update(
            model=str(model),
            dispersion="none" if self.dispersion is None else str(self.dispersion),
            device=self.device,
            dtype=self.dtype,
        )

    def set(self, **options: Any) -> dict[str, Any]:
        """Refuse options: they are chosen when the calculator is made.

        Raises
        ------
        InputError
            If there are any.
        """
        if options:
            raise InputError(
                f"{', '.join(options)}: chosen when the calculator is made; make another "
                "DeployedModel with it"
            )
        return {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate atoms; ASE calls this.

        Raises
        ------
        InputError
            If the atoms are not what the model can evaluate.
        RunError
            If the model gives something that is not a number, or fails.
        """
        super().calculate(atoms, properties, system_changes)
        self._set_threads()
        self.results = {}
        atoms = self.atoms
        kinds = self._kinds_of(atoms)
        cell, pbc = atoms.cell.array, np.array(atoms.pbc)
        self._check_memory(atoms)
        try:
            sums = self._model.evaluate(atoms.positions, cell, pbc, kinds)
            if self.dispersion is not None and len(atoms):
                sums = _added(sums, self._dispersion_of(atoms))
        except RuntimeError as error:
            raise RunError(f"{self.path.name}: {_plain(error)}") from error
        self._check_sums(atoms, sums)
        energy = float(sums.energies.sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": sums.energies,
            "forces": sums.forces,
        }
        if sums.virial is not None and pbc.all():
            stress = -0.5 * (sums.virial + sums.virial.T) / atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def features(self, atoms: Atoms) -> np.ndarray:
        """Features that the model makes of the surroundings of each atom, without dispersion.

        Returns
        -------
        np.ndarray
            (atoms, features): those of ``FileFeatures`` that do not change under rotation.

        Raises
        ------
        InputError
            If the file offers none: layers of a compiled file cannot be reached, and only files of
            ``mofmd deploy`` have them where they are looked for.
        """
        features = self._file_features()
        self.check(atoms)
        self._set_threads()
        return np.asarray(features.nodes(atoms))

    def novelty(self, atoms: Atoms) -> np.ndarray | None:
        """How new the surroundings of each atom are to the model, by the density in its file.

        Returns
        -------
        np.ndarray or None
            (atoms,) scores: 0 ordinary, 1 as rare as the quantile of the density says, infinite an
            element that was never seen. None where the file holds no density.

        Raises
        ------
        InputError
            If the density is damaged or of another model, or the atoms are not what the model can
            evaluate.
        """
        from mofmd.calculator.density.scorer import Scorer
        from mofmd.models.files.deployed import read_density_record

        if self._scorer is None:
            if read_density_record(self.path) is None:
                return None
            self._scorer = Scorer(self.path, features=self._file_features())
        self.check(atoms)
        self._check_memory(atoms)
        self._set_threads()
        return np.asarray(self._scorer.of_atoms(atoms))

    _features: Any = None
    _scorer: Any = None

    def _file_features(self) -> Any:
        """Network of the features, loaded once for all that asks for them."""
        from mofmd.calculator.features import FileFeatures

        if self._features is None:
            self._features = FileFeatures(self.path, dtype=self.dtype, device=self.device)
        return self._features

    def _set_threads(self) -> None:
        import torch

        if self.threads is not None and torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)

    def _dispersion_of(self, atoms: Atoms) -> Sums:
        assert self.dispersion is not None
        elements = tuple(sorted({str(symbol) for symbol in atoms.symbols}))
        if self._d3 is None or self._d3[0] != elements:
            import torch

            engine = torch.classes.mofmd.Dispersion(
                self.dispersion.coefficients(elements),
                list(elements),
                self._dispersion_cutoff_A,
                self.device,
            )
            self._d3 = (elements, Resident(engine, float(engine.reach()), self._skin_A))
        kinds = np.array([elements.index(symbol) for symbol in atoms.symbols], dtype=np.int64)
        return self._d3[1].evaluate(atoms.positions, atoms.cell.array, np.array(atoms.pbc), kinds)

    def check(self, atoms: Atoms) -> None:
        """Refuse a structure that the model cannot be asked of, before anything is done with it.

        Raises
        ------
        InputError
            If the model does not know an element, or a position or cell is no number.
        """
        check_species(self.path, self.type_names, sorted(set(map(str, atoms.symbols))))
        _check_positions_and_charge(atoms)
        _check_cell(atoms)

    def _kinds_of(self, atoms: Atoms) -> np.ndarray:
        """(atoms,) place of each element in the model; refuse as ``check`` does.

        Elements and cell are looked at where they are not those of the structure before: that
        takes longer than all else here, and displaced structures share them.
        """
        looked_at = (atoms.numbers.tobytes(), atoms.cell.array.tobytes(), tuple(atoms.pbc))
        if self._looked_at is None or self._looked_at[0] != looked_at:
            self.check(atoms)
            places = [self.type_names.index(symbol) for symbol in atoms.symbols]
            self._looked_at = looked_at, np.array(places, dtype=np.int64)
        else:
            _check_positions_and_charge(atoms)
        return self._looked_at[1]

    def _check_memory(self, atoms: Atoms) -> None:
        """Refuse what does not fit into memory, where more or denser atoms come than before."""
        room = atoms.get_volume() if all(atoms.pbc) else np.inf
        known = self._fitting
        is_known = len(atoms) <= known[0] and len(atoms) / room <= 1.1 * known[1]
        if is_known or not self._bytes_per_edge:
            return
        edges = self._model.count_edges(atoms.positions, atoms.cell.array, np.array(atoms.pbc))
        refuse_too_large(self.path.name, self._bytes_per_edge, edges, len(atoms), available_bytes())
        self._fitting = max(len(atoms), known[0]), max(len(atoms) / room, known[1])

    def _check_sums(self, atoms: Atoms, sums: Sums) -> None:
        finite = np.isfinite(sums.energies) & np.isfinite(sums.forces).all(axis=1)
        if finite.all():
            return
        atom = int(np.flatnonzero(~finite)[0])
        x, y, z = atoms.positions[atom]
        raise RunError(
            f"{self.path.name}: gives an energy or force that is not a number at atom {atom}, "
            f"counted from zero ({atoms.symbols[atom]} at {x:.4f} {y:.4f} {z:.4f} Å): the "
            "structure has left what the model was trained for, or atoms overlap"
        )


def _check_positions_and_charge(atoms: Atoms) -> None:
    where = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(where):
        raise InputError(f"positions: that of atom {where[0]}, counted from zero, is not a number")
    charge = float(
        atoms.info.get("charge", 0.0) or np.sum(atoms.get_initial_charges(), dtype=float)
    )
    if abs(charge) >= CHARGED:
        raise InputError(
            f"atoms: have a charge of {charge:+g} e, of which the model knows nothing: it would "
            "give the energy of a neutral system; add what compensates it, or remove the charges"
        )


def _check_cell(atoms: Atoms) -> None:
    cell, pbc = atoms.cell.array, np.array(atoms.pbc)
    if not np.isfinite(cell).all():
        raise InputError("cell: holds something that is not a number")
    if pbc.any() and np.linalg.matrix_rank(cell[pbc]) < pbc.sum():
        raise InputError(
            "cell: the vectors of the periodic directions span no volume; set the cell, or "
            "pbc=False for a molecule"
        )


def _model_path(model: str | Path) -> Path:
    return find_model(model).resolve()


def _open(path: Path, device: str, dtype: str | None) -> Any:
    """Load a file; what the compiled code says against it is for people already."""
    import torch

    family = read_model_file(path).family
    load_operators()
    try:
        return torch.classes.mofmd.Model(str(path), family, device, dtype or "")
    except RuntimeError as error:
        raise InputError(_plain(error)) from error


def _plain(error: RuntimeError) -> str:
    """Take what was said, without torch's list of where it was said."""
    return str(error).split("\nException raised from")[0].strip()


def _added(first: Sums, second: Sums) -> Sums:
    virial = None
    if first.virial is not None and second.virial is not None:
        virial = first.virial + second.virial
    return Sums(first.energies + second.energies, first.forces + second.forces, virial)
