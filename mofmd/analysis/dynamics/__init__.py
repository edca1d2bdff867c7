"""Observables of the motion."""
