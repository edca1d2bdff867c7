"""Decks: folders that hold all a simulation needs."""
