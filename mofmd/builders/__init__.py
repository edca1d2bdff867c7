"""Building frameworks from their blocks: defects, caps, and what a defective framework is."""
