"""Two models, or a model and a reference, beside each other."""
