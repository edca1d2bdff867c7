"""Building blocks of a framework, their caps and their charges."""
