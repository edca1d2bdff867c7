"""From a reference method to a model for LAMMPS: sample, label, train, evaluate, distil."""
