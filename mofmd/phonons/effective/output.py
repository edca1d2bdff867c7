"""Results of effective phonons: a crystal at its mean positions, tables, a page."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mofmd
from mofmd.disk.atomic import write_atomic
from mofmd.figure_style import COLOURS, SIZE, new_figure, save_figure
from mofmd.phonons.calculate import results_in_folder
from mofmd.phonons.calculation.force_constants import ForceConstants, finish_force_constants
from mofmd.phonons.cells import make_phonopy, to_atoms
from mofmd.phonons.effective.md import FrameFit, Step
from mofmd.phonons.effective.results import Round, Sscha
from mofmd.phonons.load import PHONOPY_FILE
from mofmd.phonons.output import write_force_constants, write_table
from mofmd.phonons.page.tables import figure_html, table
from mofmd.phonons.spectrum.spectrum import Spectrum, SpectrumOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phonopy import Phonopy

SCHEMA, FRAMES_SCHEMA = "mofmd-sscha-1", "mofmd-phonons-md-1"
RECORD, ROUNDS = "sscha.json", "rounds.csv"
FRAMES_RECORD, STEPS = "md.json", "frames.csv"


def at_mean_positions(
    phonopy: Phonopy, values: np.ndarray, shifts_A: np.ndarray
) -> tuple[Phonopy, ForceConstants]:
    """Make phonopy's object of effective force constants and mean positions.

    Parameters
    ----------
    phonopy
        Of the structure begun with.
    values
        (primitive atoms, supercell atoms, 3, 3) [eV/Å²].
    shifts_A
        (supercell atoms, 3) of the mean positions from it.
    """
    cell = phonopy.unitcell.copy()
    first = np.asarray(phonopy.supercell.u2s_map)
    cell.positions = cell.positions + shifts_A[first]
    found = make_phonopy(
        cell, phonopy.supercell_matrix, phonopy.primitive_matrix, phonopy.symmetry.tolerance
    )
    found.force_constants = np.array(values)
    return found, finish_force_constants(found)


def write_effective(  # noqa: PLR0913, PLR0917 - one argument per part
    phonopy: Phonopy,
    constants: ForceConstants,
    folder: Path,
    options: SpectrumOptions,
    facts: dict[str, Any],
    sections: tuple[str, ...],
) -> Spectrum:
    """Write what ``mofmd phonons run`` writes, of effective force constants.

    Parameters
    ----------
    phonopy, constants
        From ``at_mean_positions``.
    folder
        Exists.
    options
        What is made of them.
    facts
        For the record.
    sections
        HTML of the page that tells how they were found.
    """
    text = str(
        phonopy.to_phonopy_yaml(
            settings={"force_sets": False, "displacements": False, "force_constants": True}
        )
    )
    write_atomic(folder / PHONOPY_FILE, text)
    write_force_constants(phonopy, folder)
    return results_in_folder(
        phonopy, constants, folder, options, facts, to_atoms(phonopy.unitcell), sections=sections
    )


def write_sscha(
    found: Sscha, phonopy: Phonopy, folder: Path, options: SpectrumOptions, facts: dict[str, Any]
) -> Spectrum:
    """Write results of the self-consistent approximation: tables, page and, last, ``sscha.json``.

    Parameters
    ----------
    found
        What was found.
    phonopy
        Of the structure begun with.
    folder
        Of the calculation.
    options
        What is made of the force constants.
    facts
        Of the calculation, for the record.
    """
    effective, constants = at_mean_positions(phonopy, found.values_eV_per_A2, found.shifts_A)
    write_table(
        folder / ROUNDS,
        ["round", *list(Round.__dataclass_fields__)[1:]],
        [["" if v is None else v for v in asdict(each).values()] for each in found.rounds],
    )
    figure = rounds_figure(found)
    (folder / "figures").mkdir(exist_ok=True)
    save_figure(figure, folder / "figures" / "rounds")
    last = found.rounds[-1]
    record = {
        "schema": SCHEMA,
        "mofmd_version": mofmd.__version__,
        "temperature_K": found.temperature_K,
        "converged": found.converged,
        "rounds": len(found.rounds),
        "supercells": last.supercells,
        "parameters": found.parameters,
        "free_energy_eV": last.free_energy_eV,
        "free_energy_error_eV": last.free_energy_error_eV,
        "harmonic_eV": last.harmonic_eV,
        "anharmonic_eV": last.anharmonic_eV,
        "change_THz": last.change_THz,
        "noise_THz": found.noise_THz,
        "lowest_THz": last.lowest_THz,
        "largest_shift_A": float(np.linalg.norm(found.shifts_A, axis=1).max()),
        "anharmonicity": last.anharmonicity,
        "note": "free energies are of a primitive cell, above the energy of the structure begun "
        "with; frequencies at the wave vectors that fit into the supercell",
    }
    about = {**facts, "sscha": record}
    spectrum = write_effective(
        effective, constants, folder, options, about, (_section(found, record, figure),)
    )
    write_atomic(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return spectrum


def rounds_figure(found: Sscha) -> Figure:
    """Draw change of the frequencies and free energy against the round."""
    figure, panels = new_figure((SIZE[0], 4.2), 2)
    done = [each.number for each in found.rounds]
    panels[0].semilogy(done, [max(each.change_THz, 1e-9) for each in found.rounds], "o-", ms=3)
    panels[0].axhline(max(found.noise_THz, 1e-9), color="#7f7f7f", lw=0.7, ls="--")
    panels[0].set_ylabel("Change of\nfrequencies (THz)")
    known = [
        (each.number, each.free_energy_eV, each.free_energy_error_eV)
        for each in found.rounds
        if each.free_energy_eV is not None and each.free_energy_error_eV is not None
    ]
    numbers, energies, errors = np.array(known, dtype=float).reshape(-1, 3).T
    panels[1].errorbar(numbers, energies, errors, fmt="o-", ms=3, capsize=2, color=COLOURS[1])
    panels[1].set(ylabel="Free energy\n(eV per primitive cell)", xlabel="Round")
    panels[1].set_xticks(done)
    return figure


def _section(found: Sscha, record: dict[str, Any], figure: Figure) -> str:
    energy = record["free_energy_eV"]
    rows = [
        ("temperature", f"{found.temperature_K:g} K"),
        (
            "converged",
            "yes" if found.converged else f"NO: {len(found.rounds)} rounds were not enough",
        ),
        (
            "free energy above the structure begun with, per primitive cell",
            "none: imaginary modes"
            if energy is None
            else f"{energy:.5f} ± {record['free_energy_error_eV']:.5f} eV",
        ),
        (
            "of this anharmonic",
            "" if energy is None else f"{record['anharmonic_eV']:.5f} eV",
        ),
        ("error of the frequencies from sampling, rms", f"{found.noise_THz:.4f} THz"),
        ("largest shift of a mean position", f"{record['largest_shift_A']:.4f} Å"),
        ("share of the forces that is anharmonic", f"{100 * record['anharmonicity']:.1f} %"),
        (
            "supercells of a round, and free parameters",
            f"{record['supercells']}, {found.parameters}",
        ),
    ]
    return (
        f'<h2 id="sscha">Self-consistent at {found.temperature_K:g} K</h2>'
        + table(("quantity", "value"), rows)
        + figure_html(
            figure,
            "Convergence: change of the frequencies (dashed: their error from sampling) and free "
            "energy by round.",
        )
    )


def write_frame_fit(
    found: FrameFit, phonopy: Phonopy, folder: Path, options: SpectrumOptions, facts: dict[str, Any]
) -> Spectrum:
    """Write results of a fit to frames of dynamics: tables, page and, last, ``md.json``.

    Parameters
    ----------
    found
        What was found.
    phonopy
        Of the snapshots.
    folder
        Of the calculation.
    options
        What is made of the force constants.
    facts
        Of the calculation, for the record.
    """
    effective, constants = at_mean_positions(phonopy, found.values_eV_per_A2, found.shifts_A)
    write_table(
        folder / STEPS,
        list(Step.__dataclass_fields__),
        [list(asdict(each).values()) for each in found.steps],
    )
    record = {
        "schema": FRAMES_SCHEMA,
        "mofmd_version": mofmd.__version__,
        "temperature_K": found.temperature_K,
        "frames": found.steps[-1].frames,
        "parameters": found.parameters,
        "noise_THz": found.noise_THz,
        "lowest_THz": found.steps[-1].lowest_THz,
        "largest_shift_A": float(np.linalg.norm(found.shifts_A, axis=1).max()),
        "anharmonicity": found.anharmonicity,
        "note": "classical dynamics; frequencies at the wave vectors that fit into the supercell",
    }
    temperature = "" if found.temperature_K is None else f"{found.temperature_K:.1f} K"
    rows = [
        ("temperature of the frames", temperature or "not known"),
        ("frames, and free parameters", f"{record['frames']}, {found.parameters}"),
        ("error of the frequencies from sampling, rms", f"{found.noise_THz:.4f} THz"),
        ("largest shift of a mean position", f"{record['largest_shift_A']:.4f} Å"),
        ("share of the forces that is anharmonic", f"{100 * found.anharmonicity:.1f} %"),
    ]
    steps = [
        (str(each.frames), f"{each.difference_THz:.4f}", f"{each.lowest_THz:.4f}")
        for each in found.steps
    ]
    section = (
        f'<h2 id="frames">Effective phonons of dynamics {temperature}</h2>'
        + table(("quantity", "value"), rows)
        + "<h3>Convergence with the frames</h3>"
        + table(("frames", "frequencies differ by (THz)", "lowest (THz)"), steps)
    )
    spectrum = write_effective(
        effective, constants, folder, options, {**facts, "md": record}, (section,)
    )
    write_atomic(folder / FRAMES_RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return spectrum
