"""E(V) and P(V) of structures, side by side."""
