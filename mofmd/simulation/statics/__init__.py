"""Tasks at 0 K without LAMMPS: relaxations and equations of state, kept in a folder like a run."""
