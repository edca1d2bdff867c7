"""Training with the frameworks' own trainers."""
