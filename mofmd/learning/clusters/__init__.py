"""Clusters: surroundings of atoms, cut out of a framework as neutral molecules."""
