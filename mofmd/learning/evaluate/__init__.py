"""Models against reference labels: predictions, errors, tables, figures."""
