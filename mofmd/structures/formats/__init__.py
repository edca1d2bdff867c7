"""Formats of structure files, one module each."""
