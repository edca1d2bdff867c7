"""Commands about simulations: generate, run, ensemble."""
