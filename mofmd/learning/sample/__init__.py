"""Frames from dynamics under many conditions."""
