"""D3 dispersion: which form a run uses, and its coefficients."""
