"""The page that lays E(V) and P(V) of structures beside each other."""
