"""Ensembles: many runs of one recipe."""
