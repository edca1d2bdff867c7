"""LAMMPS: building the plugin, launching, file formats."""
