"""Trained models: environments, deployed files."""
