"""``mofmd phonons``: lattice dynamics."""
