"""From force constants to frequencies, densities of states and thermal functions."""
