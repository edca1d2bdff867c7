"""Tables and figures of thermal expansion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import mofmd
from mofmd.analysis.base.statistics import Estimate
from mofmd.disk.atomic import write_atomic
from mofmd.figure_style import save_figure
from mofmd.phonons.output import write_table
from mofmd.phonons.page.tables import table
from mofmd.phonons.temperature.expansion import Expansion, other_choices
from mofmd.phonons.temperature.figures import EDGES, expansion_figure, free_energy_figure
from mofmd.phonons.temperature.measured import Measured, alphas_by_source
from mofmd.phonons.temperature.qha import Qha
from mofmd.report.page import html_page
from mofmd.report.svg import figure_svg

SCHEMA = "mofmd-qha-1"


def write_expansion(
    expansion: Expansion,
    folder: Path,
    facts: dict[str, Any],
    beside: tuple[Measured, ...] = (),
) -> None:
    """Write ``qha_….csv``, ``volumes.csv``, figures, ``report.html`` and ``qha.json``.

    Parameters
    ----------
    expansion
        What was found.
    folder
        Exists.
    facts
        Of the calculation, for the record.
    beside
        Volumes of dynamics or of measurements, drawn in the same figure.
    """
    for name, qha in (("birch_murnaghan", expansion.birch_murnaghan), ("vinet", expansion.vinet)):
        write_table(
            folder / f"qha_{name}.csv",
            [
                "temperature_K",
                "volume_A3",
                "volume_error_A3",
                "alpha_V_per_K",
                "alpha_V_error_per_K",
                "alpha_L_mean_per_K",
                *(f"length_{edge}_A" for edge in EDGES),
                *(f"alpha_L_{edge}_per_K" for edge in EDGES),
                "bulk_modulus_GPa",
                "gibbs_eV",
            ],
            np.column_stack(
                [
                    qha.temperatures_K,
                    qha.volumes_A3,
                    qha.volume_errors_A3,
                    qha.alpha_V_per_K,
                    qha.alpha_V_errors_per_K,
                    qha.mean_alpha_L_per_K,
                    qha.lengths_A,
                    qha.alpha_L_per_K,
                    qha.bulk_moduli_GPa,
                    qha.gibbs_eV,
                ]
            ).tolist(),
        )
    lengths = np.linalg.norm(expansion.cells_A, axis=2)
    write_table(
        folder / "volumes.csv",
        ["volume_A3", "energy_eV", *(f"length_{edge}_A" for edge in EDGES)],
        np.column_stack([expansion.volumes_A3, expansion.energies_eV, lengths]).tolist(),
    )
    if beside:
        write_table(
            folder / "beside.csv",
            list(Measured.__dataclass_fields__),
            [list(vars(each).values()) for each in beside],
        )
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in (
        ("expansion", expansion_figure(expansion, beside)),
        ("free_energies", free_energy_figure(expansion)),
    ):
        save_figure(figure, folder / "figures" / name)
    choices = other_choices(expansion)
    record = {
        "schema": SCHEMA,
        "mofmd_version": mofmd.__version__,
        **facts,
        "static": {
            "volume_A3": expansion.birch_murnaghan.static.volume_A3,
            "bulk_modulus_GPa": {
                "birch-murnaghan": expansion.birch_murnaghan.static.bulk_modulus_GPa,
                "vinet": expansion.vinet.static.bulk_modulus_GPa,
            },
            "residual_eV": expansion.birch_murnaghan.static.residual_eV,
        },
        "at_300_K": {
            "birch-murnaghan": at_temperature(expansion.birch_murnaghan, 300.0),
            "vinet": at_temperature(expansion.vinet, 300.0),
        },
        "at_300_K_by_choice_of_volumes": {
            name: at_temperature(qha, 300.0) for name, qha in choices.items()
        },
    }
    alphas = {name: vars(found) for name, found in alphas_by_source(beside).items()}
    if alphas:
        record["beside"] = alphas
    write_page(expansion, folder, facts, beside, choices)
    write_atomic(folder / "qha.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def at_temperature(qha: Qha, temperature_K: float) -> dict[str, Any] | None:
    """Expansion at a temperature, units in the names; None beyond the last one."""
    t = qha.temperatures_K
    if not t[0] <= temperature_K <= t[-1]:
        return None

    def value(y: np.ndarray) -> float:
        return float(np.interp(temperature_K, t, y))

    return {
        "temperature_K": temperature_K,
        "volume_A3": value(qha.volumes_A3),
        "volume_error_A3": value(qha.volume_errors_A3),
        "alpha_V_per_K": value(qha.alpha_V_per_K),
        "alpha_V_error_per_K": value(qha.alpha_V_errors_per_K),
        "alpha_L_mean_per_K": value(qha.mean_alpha_L_per_K),
        "alpha_L_per_K": {e: value(qha.alpha_L_per_K[:, k]) for k, e in enumerate(EDGES)},
        "bulk_modulus_GPa": value(qha.bulk_moduli_GPa),
    }


def volume_text(at: dict[str, Any]) -> str:
    """Volume ± error [Å³], with the digits that the error leaves."""
    return str(Estimate(at["volume_A3"], at["volume_error_A3"], np.inf))


def alpha_text(at: dict[str, Any]) -> str:
    """Volumetric expansion ± error [10⁻⁶/K], with the digits that the error leaves."""
    return str(Estimate(1e6 * at["alpha_V_per_K"], 1e6 * at["alpha_V_error_per_K"], np.inf))


def write_page(
    expansion: Expansion,
    folder: Path,
    facts: dict[str, Any],
    beside: tuple[Measured, ...] = (),
    choices: Mapping[str, Qha] | None = None,
) -> Path:
    """Write ``report.html`` with the figures and the numbers at 300 K.

    Parameters
    ----------
    expansion
        What was found.
    folder
        Exists.
    facts
        Of the calculation, for people.
    beside
        See ``write_expansion``.
    choices
        See ``other_choices``.
    """
    qhas = (expansion.birch_murnaghan, expansion.vinet)
    found = [(qha, at_temperature(qha, 300.0)) for qha in qhas]
    rows = [
        (
            qha.equation,
            volume_text(at),
            alpha_text(at),
            *(f"{1e6 * at['alpha_L_per_K'][edge]:+.2f}" for edge in EDGES),
            f"{1e6 * at['alpha_L_mean_per_K']:+.2f}",
            f"{at['bulk_modulus_GPa']:.3f}",
            f"{qha.static.bulk_modulus_GPa:.3f}",
        )
        for qha, at in found
        if at is not None
    ]
    heads = (
        "equation of state",
        "V (Å³)",
        "α_V (10⁻⁶/K)",
        *(f"α_L of {edge} (10⁻⁶/K)" for edge in EDGES),
        "α_V/3 (10⁻⁶/K)",
        "K (GPa)",
        "K without vibrations (GPa)",
    )
    captions = (
        (
            expansion_figure(expansion, beside),
            "Volume and expansion; shaded: errors (jackknife)."
            + (" Points: dynamics or measurements." if beside else ""),
        ),
        (free_energy_figure(expansion), "Free energies at the volumes computed."),
    )
    figures = "".join(
        f"<figure><div>{figure_svg(figure)}</div><figcaption>{caption}</figcaption></figure>"
        for figure, caption in captions
    )
    title = f"Thermal expansion of {facts.get('structure', 'a crystal')}"
    parts = [
        f'<header><h1>{escape(title)}</h1><p class="lead">{escape(str(facts.get("model", "")))} · '
        f"quasi-harmonic, shape of the cell {escape(str(facts.get('shape', '')))} · mofmd "
        f"{mofmd.__version__}</p></header>",
        f"<h2>At 300 K</h2>{table(heads, rows)}" if rows else "",
        _choices_table(expansion, choices or {}) if rows else "",
        _beside_table(expansion, beside),
        f'<h2>Figures</h2><div class="figures">{figures}</div>',
    ]
    page = folder / "report.html"
    write_atomic(page, html_page(f"mofmd: {title}", parts))
    return page


def _choices_table(expansion: Expansion, choices: Mapping[str, Qha]) -> str:
    """Lay out what fewer volumes give: whether their choice decides the expansion."""
    everything = {f"all {len(expansion.volumes_A3)}": expansion.birch_murnaghan}
    rows = []
    for name, qha in {**everything, **choices}.items():
        at = at_temperature(qha, 300.0)
        if at is not None:
            modulus = f"{at['bulk_modulus_GPa']:.3f}"
            rows.append((name, volume_text(at), alpha_text(at), modulus))
    heads = ("volumes", "V (Å³)", "α_V (10⁻⁶/K)", "K (GPa)")
    return f"<h3>By choice of volumes (Birch-Murnaghan)</h3>{table(heads, rows)}"


def _beside_table(expansion: Expansion, beside: tuple[Measured, ...]) -> str:
    if not beside:
        return ""
    qha = expansion.birch_murnaghan
    rows = []
    for each in beside:
        own = at_temperature(qha, each.temperature_K)
        volume = str(Estimate(each.volume_A3, each.volume_error_A3, np.inf))
        other = (
            ("", "")
            if own is None
            else (
                f"{own['volume_A3']:.2f}",
                f"{100 * (own['volume_A3'] / each.volume_A3 - 1):+.3f}",
            )
        )
        rows.append((each.name, f"{each.temperature_K:.1f}", volume, *other))
    told = "".join(
        f"<p>α_V of {escape(name)}, {found.from_K:.0f} to {found.to_K:.0f} K: "
        f"{Estimate(1e6 * found.alpha_V_per_K, 1e6 * found.alpha_V_error_per_K, np.inf)} · "
        "10⁻⁶/K</p>"
        for name, found in alphas_by_source(beside).items()
    )
    heads = ("dynamics or measurement", "T (K)", "V (Å³)", "V quasi-harmonic (Å³)", "apart (%)")
    return f"<h2>Beside dynamics and measurements</h2>{table(heads, rows)}{told}"
