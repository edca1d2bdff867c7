"""Elastic tensors and equations of state."""
