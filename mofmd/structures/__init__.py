"""Structures: built-in crystals, files of every format, supercells."""
