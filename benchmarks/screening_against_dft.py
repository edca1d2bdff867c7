"""Volumes and bulk moduli of a screening beside those of DFT, as a table in Markdown.

    python benchmarks/screening_against_dft.py SCREEN bulk_modulus.csv

SCREEN is an ensemble of `equation_of_state` that `mofmd ensemble collect` has collected. The CSV
file has the columns structure, K_GPa_DFT, volumes_A3 and energies_hartree, as made from MOFSimBench
(Kraß, Huang, Moosavi, arXiv 2507.11806). The volume of DFT is that of the same fit of its energies.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from ase.units import Hartree

from mofmd.analysis.mechanics.equation_of_state import fit_energy_volume


def main(screen: Path, reference: Path) -> None:
    """Print the table and the mean errors."""
    with reference.open() as file:
        known = {row["structure"]: row for row in csv.DictReader(file)}
    rows = json.loads((screen / "results.json").read_text())
    print("| structure | atoms | V0, Å³ | DFT | error, % | K, GPa | DFT | error, % |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    errors = []
    for row in rows:
        if row["state"] != "finished":
            print(f"| {row['structure']} | | {row['state']}: {row['reason']} | | | | | |")
            continue
        dft = known[row["structure"]]
        if row["atoms"] % int(dft["atoms"]):
            print(
                f"| {row['structure']} | {dft['atoms']} | {row['atoms']} atoms in the cell: not "
                "the composition of DFT | | | | | |"
            )
            continue
        energies = [Hartree * energy for energy in json.loads(dft["energies_hartree"])]
        fit = fit_energy_volume(json.loads(dft["volumes_A3"]), energies)
        cells = row["atoms"] // int(dft["atoms"])  # a CIF may hold several primitive cells
        volume, modulus = row["equilibrium_volume_A3"] / cells, row["bulk_modulus_GPa"]
        dft_modulus = float(dft["K_GPa_DFT"])
        both = (
            100 * (volume / fit.volume.value - 1),
            100 * (modulus / dft_modulus - 1),
            modulus - dft_modulus,
        )
        errors.append(both)
        print(
            f"| {row['structure']} | {dft['atoms']} | {volume:.1f} | {fit.volume.value:.1f} | "
            f"{both[0]:+.2f} | {modulus:.2f} | {dft_modulus:.2f} | {both[1]:+.1f} |"
        )
    mean, size = np.mean(errors, axis=0), np.mean(np.abs(errors), axis=0)
    print(
        f"\n{len(errors)} structures. Mean error and mean absolute error: volume {mean[0]:+.2f} "
        f"and {size[0]:.2f} %, K {mean[1]:+.1f} and {size[1]:.1f} %, {mean[2]:+.2f} and "
        f"{size[2]:.2f} GPa."
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
