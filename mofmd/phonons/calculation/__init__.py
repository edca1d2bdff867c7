"""From a relaxed structure to force constants."""
