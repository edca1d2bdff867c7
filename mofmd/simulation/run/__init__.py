"""Runs of decks: start, watch, progress, status, restart."""
