"""The `mofmd learn` commands."""
