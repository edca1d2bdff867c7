"""Imaginary modes: found, and removed."""
