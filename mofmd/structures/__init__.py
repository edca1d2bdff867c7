"""Structures: builders, reading and checking."""
