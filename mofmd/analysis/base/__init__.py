"""What all observables share: their interface, results and statistics."""
