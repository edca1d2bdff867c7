"""Structures from files: CIF, LAMMPS data, POSCAR, frames of trajectories."""
