"""Whether a timestep can follow the lightest atom."""

from __future__ import annotations

import math

from ase import Atoms

from mofmd.errors import InputError
from mofmd.simulation.protocols.base.protocol import Protocol
from mofmd.units import BOLTZMANN_EV_PER_K, EV_PER_G_PER_MOL_TO_A2_PER_PS2, FS_TO_PS

# A tenth of the period of a C-H stretching vibration (3000 cm⁻¹: 11 fs), for the mass of H.
LONGEST_FOR_HYDROGEN_FS = 1.1
HYDROGEN_MASS = 1.008
# An atom at its mean thermal speed may not move farther in a step. Hydrogen: 1 fs up to 520 K,
# 0.5 fs up to 2090 K, 0.25 fs up to 8400 K; Castel et al. 2024 take 0.5 fs, and above 1500 K
# occasionally 0.25 fs.
LONGEST_MOVE_A = 0.036


def longest_timestep_fs(mass: float, temperature_K: float) -> float:
    """Longest timestep that an atom of a mass [g/mol] allows at a temperature [fs].

    Examples
    --------
    >>> round(longest_timestep_fs(1.008, 1500), 2)
    0.59
    """
    by_period = LONGEST_FOR_HYDROGEN_FS * math.sqrt(mass / HYDROGEN_MASS)
    if temperature_K <= 0:
        return by_period
    speed_A_per_ps = math.sqrt(
        3 * BOLTZMANN_EV_PER_K * temperature_K / mass * EV_PER_G_PER_MOL_TO_A2_PER_PS2
    )
    return min(by_period, LONGEST_MOVE_A / speed_A_per_ps / FS_TO_PS)


def check_timesteps(protocol: Protocol, structure: Atoms) -> None:
    """Refuse a protocol whose timestep is too long for the lightest atom of a structure.

    Raises
    ------
    InputError
        Naming the atom, the temperature and the longest timestep.
    """
    lightest = int(structure.get_masses().argmin())
    mass = float(structure.get_masses()[lightest])
    for timestep_fs, temperature_K in protocol.timesteps_fs.items():
        longest = longest_timestep_fs(mass, temperature_K)
        if timestep_fs > longest:
            raise InputError(
                f"timestep: {timestep_fs:g} fs is too long for {structure.symbols[lightest]} at "
                f"{temperature_K:g} K, which allows {longest:.2f} fs; take a shorter timestep_fs"
                " (melt_quench: or timestep_hot_fs), or a lower temperature"
            )
