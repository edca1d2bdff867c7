"""Frameworks with missing linkers, missing nodes and mixed metals."""
