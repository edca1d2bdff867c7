"""The demonstration run."""
