"""Molecular dynamics of metal-organic frameworks with LAMMPS and machine-learned potentials."""

__version__ = "0.1.0"
