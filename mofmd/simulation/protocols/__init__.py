"""Protocols: what is simulated, as typed records with the units in their names.

A new protocol is one module in this folder, with a class derived from ``Protocol``, and one LAMMPS
script of the same name in ``lammps_inputs/``; it is found here by itself.
"""

from mofmd.simulation.protocols.base import Protocol
from mofmd.simulation.protocols.melt_quench import MeltQuench
from mofmd.simulation.protocols.minimise import Minimise
from mofmd.simulation.protocols.npt import NPT
from mofmd.simulation.protocols.nst import NST
from mofmd.simulation.protocols.nve import NVE
from mofmd.simulation.protocols.nvt import NVT

__all__ = ["NPT", "NST", "NVE", "NVT", "MeltQuench", "Minimise", "Protocol"]
