"""Phonons at temperatures: quasi-harmonic expansion."""
