"""Processes of this machine: whether they live, and how they end."""
