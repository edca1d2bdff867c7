"""Heat capacities of a screening beside those of DFT, as a table in Markdown.

    mofmd ensemble new screen heat_capacity --structures 'heat_capacity/*.cif' --model sevennet-l3i5
    mofmd ensemble run screen --workers 4
    mofmd ensemble collect screen
    python benchmarks/heat_capacities.py screen heat_capacity_300K.csv

The CSV file has the columns structure, atoms and Cv_J_per_g_per_K_DFT, as made from MOFSimBench
(Kraß, Huang, Moosavi, arXiv 2507.11806), which takes phonons of the cell itself: add
`--set supercell_width_A=1` for that. In cells of a few Å an atom then feels its own images, and
modes away from Γ are not those of the model (imaginary ones among them). Three sums are shown:

- mesh: all modes of a mesh, 3N a cell, as a thermodynamic function of the crystal;
- Γ: modes at Γ without the three translations, of which nothing is interpolated;
- 3N − 6: the same with the three rotations of the cell's atoms projected out of the dynamical
  matrix as well, as CP2K's VIBRATIONAL_ANALYSIS does unless it is told FULLY_PERIODIC.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from phonopy import Phonopy

from mofmd.phonons.load import load_phonopy

TEMPERATURE_K = 300.0
THZ_TO_K = 47.99243  # h/k
GAS_CONSTANT_J_PER_K_MOL = 8.31446
SUMS = ("mesh", "Γ", "3N − 6")


def at_gamma(phonopy: Phonopy) -> tuple[float, float]:
    """Heat capacities [J/K/g] of modes at Γ, and of those with rotations projected out."""
    cell = phonopy.primitive
    masses, where = (
        cell.masses,
        cell.positions - np.average(cell.positions, axis=0, weights=cell.masses),
    )
    moves = [np.tile(axis, (len(cell), 1)) for axis in np.eye(3)]
    turns = [np.cross(axis, where) for axis in np.eye(3)]
    phonopy.dynamical_matrix.run([0.0, 0.0, 0.0])
    matrix = phonopy.dynamical_matrix.dynamical_matrix.real
    found = []
    for out in (moves, moves + turns):
        rigid = np.array([(np.sqrt(masses)[:, None] * each).ravel() for each in out]).T
        basis = np.linalg.qr(rigid, mode="complete")[0][:, rigid.shape[1] :]
        values = np.linalg.eigvalsh(basis.T @ matrix @ basis)
        nu = np.sqrt(np.abs(values)) * phonopy.unit_conversion_factor
        x = np.maximum(THZ_TO_K * nu / TEMPERATURE_K, 1e-6)
        terms = x**2 * np.exp(x) / np.expm1(x) ** 2
        found.append(float(GAS_CONSTANT_J_PER_K_MOL * terms.sum() / masses.sum()))
    return found[0], found[1]


def table(rows: list[dict], known: dict[str, dict], screen: Path) -> str:
    """Lay lines of a screening beside those of a reference; mean errors below.

    Parameters
    ----------
    rows
        Of ``results.json`` of a collected ensemble.
    known
        Lines of the reference by structure.
    screen
        Folder of the ensemble, for the force constants of its members.
    """
    heads = "".join(f" {name}, % |" for name in SUMS)
    lines = [
        f"| structure | atoms | C (mesh), J/K/g | DFT |{heads} imaginary on the mesh, % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    errors = []
    for row in rows:
        name = row["structure"]
        if row["state"] != "finished":
            lines.append(f"| {name} | | {row['state']}: {row['reason']} | | | | | |")
            continue
        if row["temperature_K"] != TEMPERATURE_K:
            raise SystemExit(f"{name}: was computed at {row['temperature_K']:g} K, DFT at 300 K")
        phonopy, _ = load_phonopy(screen / "members" / row["member"] / "phonons")
        found, dft = row["heat_capacity_J_per_K_g"], float(known[name]["Cv_J_per_g_per_K_DFT"])
        bound = row["heat_capacity_error_J_per_K_g"]
        error = [100.0 * (value / dft - 1.0) for value in (found, *at_gamma(phonopy))]
        errors.append(error)
        shown = "".join(f" {value:+.1f} |" for value in error)
        lines.append(
            f"| {name} | {row['atoms']} | {found:.4f}{f' ± {bound:.4f}' if bound else ''} | "
            f"{dft:.4f} |{shown} {100.0 * row['imaginary_share']:.2g} |"
        )
    if errors:
        for name, values in zip(SUMS, np.array(errors).T, strict=True):
            lines.append(
                f"\n{name}: {len(errors)} structures, mean error {values.mean():+.1f} %, mean "
                f"absolute error {np.abs(values).mean():.1f} %."
            )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("screen", type=Path, help="ensemble of heat_capacity, collected")
    parser.add_argument("reference", type=Path, help="CSV file of DFT")
    arguments = parser.parse_args()
    with arguments.reference.open() as file:
        known = {row["structure"]: row for row in csv.DictReader(file)}
    print(
        table(json.loads((arguments.screen / "results.json").read_text()), known, arguments.screen)
    )


if __name__ == "__main__":
    main()
