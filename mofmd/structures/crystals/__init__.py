"""Crystals that ship with the package."""
