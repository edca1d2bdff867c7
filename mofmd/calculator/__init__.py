"""Deployed models as ASE calculators, in this process: no LAMMPS, no files.

Examples
--------
>>> from mofmd.calculator import DeployedModel
>>> from mofmd.structures.read import read_structure
>>> atoms = read_structure("zif-4")
>>> atoms.calc = DeployedModel("zif4-allegro-s")
>>> round(atoms.get_potential_energy() / len(atoms), 1)  # eV per atom
-220.9
"""

from mofmd.calculator.model import DeployedModel

__all__ = ["DeployedModel"]
