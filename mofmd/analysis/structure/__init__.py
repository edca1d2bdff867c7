"""Observables of the structure."""
