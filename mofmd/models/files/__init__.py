"""Model files: their archives, what they say of themselves, those in the package."""
