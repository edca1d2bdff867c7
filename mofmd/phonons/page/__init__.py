"""Figures and the page of a phonon calculation."""
