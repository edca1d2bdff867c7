"""Numbers in text, parsed by compiled code."""
