"""How new the surroundings of atoms are to a model, by the density in its file."""
