"""Labelled frames: files, checks, splits, distortions."""
