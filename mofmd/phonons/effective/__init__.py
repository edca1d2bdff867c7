"""Effective phonons at a temperature: self-consistent, or of frames of dynamics."""
