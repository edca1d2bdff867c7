"""Protocols: what is simulated, as typed records with the units in their names.

A new protocol is one module in this folder, with a class derived from ``Protocol``, and one LAMMPS
script of the same name in ``lammps_inputs/``; ``mofmd generate`` finds it by itself.
"""

from mofmd.simulation.protocols.base.protocol import Protocol
from mofmd.simulation.protocols.elastic import Elastic
from mofmd.simulation.protocols.energy_volume import EnergyVolume
from mofmd.simulation.protocols.finite_strain import FiniteStrain
from mofmd.simulation.protocols.melt_quench import MeltQuench
from mofmd.simulation.protocols.minimise import Minimise
from mofmd.simulation.protocols.npt import NPT
from mofmd.simulation.protocols.nst import NST
from mofmd.simulation.protocols.nve import NVE
from mofmd.simulation.protocols.nvt import NVT
from mofmd.simulation.protocols.pressure_grid import PressureGrid
from mofmd.simulation.protocols.strain_fluctuation import StrainFluctuation
from mofmd.simulation.protocols.volume_grid import VolumeGrid

__all__ = [
    "NPT",
    "NST",
    "NVE",
    "NVT",
    "Elastic",
    "EnergyVolume",
    "FiniteStrain",
    "MeltQuench",
    "Minimise",
    "PressureGrid",
    "Protocol",
    "StrainFluctuation",
    "VolumeGrid",
]
