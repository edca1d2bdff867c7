"""Nets of frameworks: barycentric placement, symmetry, and the fcu net's relatives."""
