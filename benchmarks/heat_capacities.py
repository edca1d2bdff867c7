"""Heat capacities of a screening beside those of DFT, as a table in Markdown.

    mofmd ensemble new screen heat_capacity --structures 'heat_capacity/*.cif' --model sevennet-l3i5
    mofmd ensemble run screen --workers 4
    mofmd ensemble collect screen
    python benchmarks/heat_capacities.py screen heat_capacity_300K.csv

The CSV file has the columns structure, atoms and Cv_J_per_g_per_K_DFT, as made from MOFSimBench
(Kraß, Huang, Moosavi, arXiv 2507.11806), which takes phonons of the cell itself: add
`--set supercell_width_A=1` for that. In cells of a few Å an atom then feels its own images, and
modes away from Γ are not those of the model (imaginary ones among them).
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

TEMPERATURE_K = 300.0


def table(rows: list[dict], known: dict[str, dict]) -> str:
    """Lay lines of a screening beside those of a reference; mean errors below.

    Parameters
    ----------
    rows
        Of ``results.json`` of a collected ensemble.
    known
        Lines of the reference by structure.
    """
    lines = [
        "| structure | atoms | C, J/K/g | DFT | error, % | imaginary modes |",
        "|---|---:|---:|---:|---:|---|",
    ]
    errors = []
    for row in rows:
        name = row["structure"]
        if row["state"] != "finished":
            lines.append(f"| {name} | | {row['state']}: {row['reason']} | | | |")
            continue
        if row["temperature_K"] != TEMPERATURE_K:
            raise SystemExit(f"{name}: was computed at {row['temperature_K']:g} K, DFT at 300 K")
        found, dft = row["heat_capacity_J_per_K_g"], float(known[name]["Cv_J_per_g_per_K_DFT"])
        bound = row["heat_capacity_error_J_per_K_g"]
        error = 100.0 * (found / dft - 1.0)
        errors.append(error)
        lines.append(
            f"| {name} | {row['atoms']} | {found:.4f}{f' ± {bound:.4f}' if bound else ''} | "
            f"{dft:.4f} | {error:+.2f} | {row['imaginary_modes'] or 'none'} |"
        )
    if errors:
        lines.append(
            f"\n{len(errors)} structures. Mean error {np.mean(errors):+.2f} %, mean absolute error "
            f"{np.mean(np.abs(errors)):.2f} %."
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
    print(table(json.loads((arguments.screen / "results.json").read_text()), known))


if __name__ == "__main__":
    main()
