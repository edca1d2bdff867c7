"""Density of atomic features: how new the surroundings of an atom are to a model."""
