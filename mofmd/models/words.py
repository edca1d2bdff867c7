"""Words in the place of a model's that name a reference method: ``mofmd.calculator.reference``."""

XTB = "gfn1-xtb"
REFERENCE_WORDS = f"an ASE calculator as package.module:factory, or {XTB}"
"""For messages and help."""
