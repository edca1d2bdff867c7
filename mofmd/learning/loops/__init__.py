"""Loops that train, find where a model fails, label and train again."""
