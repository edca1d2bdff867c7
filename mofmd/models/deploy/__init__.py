"""From a trained model to a checked file for LAMMPS."""
