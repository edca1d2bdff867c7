"""A reference method as an ASE calculator whose work is done in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from mofmd.calculator.process import CalculatorProcess
from mofmd.calculator.reference import Reference
from mofmd.engine.evaluate import Patience


class SeparateCalculator(Calculator):  # type: ignore[misc] # ASE has no types
    """A reference method; a context manager: its process ends with the block.

    What it prints stays out of the way, its threads are its own, a crash there is an error here.
    Gives ``energy``, ``free_energy`` (the same), ``forces`` and, where the method has them,
    ``energies`` of atoms and ``stress``: eV, Å.

    Parameters
    ----------
    reference
        Which.
    threads
        OMP_NUM_THREADS of the process.
    """

    def __init__(self, reference: Reference, threads: int = 1) -> None:
        super().__init__()
        self.results: dict[str, Any] = {}
        self.implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]
        self.reference = reference
        # they tell one relaxation from another
        self.parameters.update(calculator=reference.word, **reference.facts)
        self._process = CalculatorProcess(reference.factory, {}, threads, reference.word)

    def __enter__(self) -> SeparateCalculator:
        """Start the process, and ask whether the method has stress.

        Raises
        ------
        InputError
            If the factory cannot be called, or returns no calculator.
        RunError
            If it raises, or the process ends.
        """
        self._process.__enter__()
        try:
            self._process.wait(Patience(limit_s=None))
        except BaseException:
            self._process.__exit__()
            raise
        if not self._process.has_stress:
            self.implemented_properties.remove("stress")
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.__exit__()

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
            If the method refuses the atoms.
        RunError
            If it fails.
        """
        if self.results and not system_changes:
            return  # all that it has is there: what ASE asks for now it has not
        super().calculate(atoms, properties, system_changes)
        found = self._process.evaluate(self.atoms, Patience(limit_s=None))
        energy = float(found["energy"])
        results: dict[str, Any] = {"energy": energy, "free_energy": energy}
        results |= {name: found[name] for name in ("forces", "energies") if name in found}
        if "stress" in found:
            results["stress"] = full_3x3_to_voigt_6_stress(found["stress"])
        self.results = results
