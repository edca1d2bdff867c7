"""Protocols, decks and runs."""
