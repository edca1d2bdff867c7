"""Pairs of atoms and connected sets in periodic cells."""
