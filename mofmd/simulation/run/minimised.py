"""What a deck of the protocol ``minimise`` has reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mofmd.errors import InputError

LINE = "mofmd minimised "


@dataclass(frozen=True)
class Minimised:
    """The end of a minimisation by LAMMPS.

    Parameters
    ----------
    energy_eV
        Potential energy.
    force_max_eV_per_A
        Largest component of a force.
    force_norm_eV_per_A
        Norm of the vector of all 3N components.
    force_tolerance_eV_per_A
        What was asked of the norm.
    pressure_bar
        Of the virial; compression positive.
    volume_A3
        Of the cell.
    """

    energy_eV: float
    force_max_eV_per_A: float
    force_norm_eV_per_A: float
    force_tolerance_eV_per_A: float
    pressure_bar: float
    volume_A3: float

    @property
    def reached(self) -> bool:
        """Whether the norm is within what was asked of it."""
        return self.force_norm_eV_per_A <= self.force_tolerance_eV_per_A

    def __str__(self) -> str:
        """Say it in a line."""
        verdict = "reached" if self.reached else "not reached: `mofmd relax` goes further"
        return (
            f"energy {self.energy_eV:.6f} eV, largest force component "
            f"{self.force_max_eV_per_A:.2e} eV/Å, norm of all {self.force_norm_eV_per_A:.2e} eV/Å "
            f"(asked: {self.force_tolerance_eV_per_A:g} eV/Å, {verdict}), pressure "
            f"{self.pressure_bar:.1f} bar, volume {self.volume_A3:.3f} Å³"
        )


def read_minimised(directory: Path) -> Minimised | None:
    """Read the log of a deck; None where there is no such line, as other protocols have none.

    Raises
    ------
    InputError
        If the line is not whole.
    """
    log = directory / "log.lammps"
    if not log.is_file():
        return None
    found = None
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(LINE):
            found = line.removeprefix(LINE).split()
    if found is None:
        return None
    try:
        values = {name: float(text) for name, text in zip(found[::2], found[1::2], strict=True)}
        return Minimised(**values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{log}: its line on the minimisation is damaged ({error})") from error
