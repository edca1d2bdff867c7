"""Bonds of a structure, and what follows from them: units, guests, rings, checks."""
