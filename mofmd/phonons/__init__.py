"""Lattice dynamics: phonons, their thermodynamics and their change with temperature."""
