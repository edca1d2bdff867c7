"""Observables, one family per file."""
