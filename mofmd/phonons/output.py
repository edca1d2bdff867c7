"""What a phonon calculation leaves on disk: tables, arrays, phonopy's own files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mofmd
from mofmd.disk.atomic import write_atomic
from mofmd.phonons.ladder import Rung
from mofmd.phonons.load import PHONOPY_FILE
from mofmd.phonons.spectrum.convergence import TEMPERATURE_K, MeshStep
from mofmd.phonons.spectrum.path import BandPath
from mofmd.phonons.spectrum.spectrum import Spectrum
from mofmd.phonons.spectrum.verdict import verdict

if TYPE_CHECKING:
    from phonopy import Phonopy

SCHEMA = "mofmd-phonons-1"
RECORD = "phonons.json"
ARRAYS = "phonons.npz"
THZ_TO_PER_CM = 33.35640951981521  # exact: 1e12/c
TEXT_ATOMS = 3000  # of a supercell: above it FORCE_CONSTANTS would be a file of gigabytes
SHOWN_IMAGINARY = 50
PLACE = ("segment", "label", "distance_per_A", "q_a_fractional", "q_b_fractional", "q_c_fractional")
"""Heads of the columns that say where on a path a row is."""
DIRECTION = ("direction_x", "direction_y", "direction_z")
"""Heads of the columns of a unit vector, Cartesian."""


def write_table(path: Path, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file; floating-point numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        writer.writerow([repr(float(x)) if isinstance(x, float) else x for x in row])
    write_atomic(path, text.getvalue())


def write_phonopy(phonopy: Phonopy, folder: Path) -> None:
    """Write ``phonopy.yaml`` with displacements and forces, before anything is made of them."""
    text = str(
        phonopy.to_phonopy_yaml(
            settings={"force_sets": True, "displacements": True, "force_constants": False}
        )
    )
    write_atomic(folder / PHONOPY_FILE, text)


def write_force_constants(phonopy: Phonopy, folder: Path) -> None:
    """Write ``force_constants.hdf5`` and, of supercells that are not huge, ``FORCE_CONSTANTS``."""
    from phonopy.file_IO import write_FORCE_CONSTANTS, write_force_constants_to_hdf5

    values = phonopy.force_constants
    first = phonopy.primitive.p2s_map
    for name, write in (
        ("force_constants.hdf5", write_force_constants_to_hdf5),
        ("FORCE_CONSTANTS", write_FORCE_CONSTANTS),
    ):
        if name == "FORCE_CONSTANTS" and len(phonopy.supercell) > TEXT_ATOMS:
            continue
        part = folder / f".{name}.part"
        write(values, filename=part, p2s_map=first)
        part.replace(folder / name)


def write_spectrum(
    spectrum: Spectrum, folder: Path, facts: dict[str, Any], ladder: tuple[Rung, ...] = ()
) -> None:
    """Write all tables, ``phonons.npz`` and, last, ``phonons.json``.

    Parameters
    ----------
    spectrum
        What was found.
    folder
        Exists.
    facts
        Of the calculation, for the record.
    ladder
        Of the structure's symmetry.
    """
    modes = len(spectrum.gamma.frequencies_THz)
    _write_along_path(
        folder / "bands.csv",
        spectrum.path,
        [f"mode_{k}_THz" for k in range(1, modes + 1)],
        spectrum.bands.frequencies_THz,
    )
    dos = spectrum.dos
    write_table(
        folder / "dos.csv",
        ["from_THz", "to_THz", "total_per_THz", *(f"{name}_per_THz" for name in dos.names)],
        np.column_stack(
            [dos.edges_THz[:-1], dos.edges_THz[1:], dos.total_per_THz, dos.parts_per_THz.T]
        ).tolist(),
    )
    _write_thermal(spectrum, folder)
    _write_gamma(spectrum, folder)
    write_table(
        folder / "sound.csv",
        [*DIRECTION, "slow_km_per_s", "middle_km_per_s", "fast_km_per_s"],
        np.hstack([spectrum.speeds.directions, spectrum.speeds.speeds_km_per_s]).tolist(),
    )
    if ladder:
        write_table(
            folder / "symmetry.csv",
            ["tolerance_A", "space_group", "operations", "displacements"],
            [(r.tolerance_A, r.space_group, r.operations, r.displacements) for r in ladder],
        )
    write_table(
        folder / "convergence.csv",
        ["temperature_K", *MeshStep.__dataclass_fields__],
        [[TEMPERATURE_K, *vars(step).values()] for step in spectrum.convergence],
    )
    if spectrum.velocities_km_per_s is not None:
        size = np.linalg.norm(spectrum.velocities_km_per_s, axis=2)
        _write_along_path(
            folder / "velocities.csv",
            spectrum.path,
            [f"mode_{k}_km_per_s" for k in range(1, modes + 1)],
            size,
        )
    _write_arrays(spectrum, folder)
    write_atomic(
        folder / RECORD,
        json.dumps(record(spectrum, facts, ladder), indent=1, ensure_ascii=False) + "\n",
    )


def record(
    spectrum: Spectrum, facts: dict[str, Any], ladder: tuple[Rung, ...] = ()
) -> dict[str, Any]:
    """Sum up what was found, units in the names."""
    thermal = spectrum.thermal
    gamma = spectrum.gamma
    judged = verdict(spectrum)
    at_300 = {
        "heat_capacity_J_per_K_mol": float(
            np.interp(300.0, thermal.temperatures_K, thermal.heat_capacity_J_per_K_mol)
        ),
        "heat_capacity_J_per_K_g": thermal.heat_capacity_J_per_K_g(300.0),
    }
    return {
        "schema": SCHEMA,
        "mofmd_version": mofmd.__version__,
        **facts,
        "atoms": len(spectrum.atoms),
        "formula": spectrum.atoms.get_chemical_formula(),
        "cell_A": spectrum.atoms.cell.array.tolist(),
        "force_constants": spectrum.force_constants.as_dict(),
        "mesh": list(spectrum.mesh.numbers),
        "states": float(spectrum.dos.total_per_THz @ np.diff(spectrum.dos.edges_THz)),
        "lowest_optical_gamma_THz": spectrum.lowest_optical_THz,
        "highest_THz": float(spectrum.mesh.sample.frequencies_THz.max()),
        "acoustic_gamma_THz": gamma.frequencies_THz[gamma.acoustic].tolist(),
        "stability": {
            "stable": judged.stable,
            "looked_at": judged.looked_at,
            "wave_vectors_of_the_supercell": spectrum.exact_points,
            "why": judged.text,
        },
        "imaginary": {
            "tolerance_THz": thermal.tolerance_THz,
            "at_wave_vectors_of_the_supercell": [
                {"q": m.q.tolist(), "frequency_THz": m.frequency_THz}
                for m in spectrum.soft[:SHOWN_IMAGINARY]
            ],
            "share_of_modes": thermal.imaginary_share,
            "lowest": [
                {"q": list(m.q), "mode": m.mode, "frequency_THz": m.frequency_THz}
                for m in spectrum.imaginary[:SHOWN_IMAGINARY]
            ],
        },
        "zero_point_energy_kJ_per_mol": thermal.zero_point_kJ_per_mol,
        "at_300_K": at_300,
        "mesh_convergence_at_300_K": [vars(step) for step in spectrum.convergence],
        "symmetry_ladder": [vars(rung) for rung in ladder],
        "note": "per mole of primitive cells; no non-analytical correction (no Born charges)",
    }


def _write_along_path(path: Path, along: BandPath, heads: list[str], values: np.ndarray) -> None:
    """Write a row for each point of a path: which one it is, then (points, …) values."""
    places = [
        [segment, label, float(distance), *map(float, q)]
        for segment, label, distance, q in zip(
            along.point_segments(),
            along.point_labels(),
            along.distances_per_A,
            along.q,
            strict=True,
        )
    ]
    rows = [[*place, *row] for place, row in zip(places, values.tolist(), strict=True)]
    write_table(path, [*PLACE, *heads], rows)


def _write_thermal(spectrum: Spectrum, folder: Path) -> None:
    thermal = spectrum.thermal
    names = ("free_energy_kJ_per_mol", "entropy_J_per_K_mol", "heat_capacity_J_per_K_mol")
    columns, heads = [thermal.temperatures_K], ["temperature_K"]
    for k, name in enumerate(names):
        columns += [getattr(thermal, name), thermal.low[k], thermal.high[k]]
        heads += [name, f"{name}_low", f"{name}_high"]
    write_table(folder / "thermal.csv", heads, np.column_stack(columns).tolist())


def _write_gamma(spectrum: Spectrum, folder: Path) -> None:
    gamma = spectrum.gamma
    heads = ["mode", "frequency_THz", "wavenumber_per_cm", "translation", "participation_ratio"]
    rows = [
        [k + 1, float(f), float(f) * THZ_TO_PER_CM, "yes" if acoustic else "no", float(ratio)]
        + [float(share) for share in shares]
        for k, (f, acoustic, ratio, shares) in enumerate(
            zip(
                gamma.frequencies_THz,
                gamma.acoustic,
                gamma.participation,
                gamma.shares,
                strict=True,
            )
        )
    ]
    write_table(
        folder / "gamma.csv", [*heads, *(f"share_{name}" for name in spectrum.groups.names)], rows
    )


def _write_arrays(spectrum: Spectrum, folder: Path) -> None:
    buffer = io.BytesIO()
    mesh, path, dos = spectrum.mesh, spectrum.path, spectrum.dos
    shares = mesh.sample.shares
    np.savez_compressed(
        buffer,
        bands_q=path.q,
        bands_distances_per_A=path.distances_per_A,
        bands_segments=np.array(path.segments),
        bands_labels=np.array(path.labels),
        bands_frequencies_THz=spectrum.bands.frequencies_THz,
        mesh_numbers=np.array(mesh.numbers),
        mesh_q=mesh.sample.q,
        mesh_weights=mesh.weights,
        mesh_frequencies_THz=mesh.sample.frequencies_THz,
        mesh_shares=np.zeros(0) if shares is None else shares,
        groups=np.array(spectrum.groups.names),
        dos_edges_THz=dos.edges_THz,
        dos_total_per_THz=dos.total_per_THz,
        dos_parts_per_THz=dos.parts_per_THz,
        gamma_frequencies_THz=spectrum.gamma.frequencies_THz,
        gamma_eigenvectors=spectrum.gamma.eigenvectors,
        numbers=spectrum.atoms.numbers,
        positions_A=spectrum.atoms.positions,
        cell_A=spectrum.atoms.cell.array,
    )
    write_atomic(folder / ARRAYS, buffer.getvalue())
